"""What a network is made of: its layers, their widths, the blocks that are frozen."""

import numpy as np
import torch

from skda._threads import counted
from skda.backbones import Block, describe_output, list_blocks
from skda.nn import check_submodules, record_activations
from skda.rows import as_batch, forward_batch, map_batch
from skda.training import OWN_LAYERS, AdaptationModule


def probe(backbone, example, layers):
    """Return the widths of the features and of the named layers, and the work that a row is.

    Parameters
    ----------
    backbone : torch.nn.Module
        The network.

    example : torch.Tensor of shape (2, ...), or dict of tensors
        Rows as the network takes them.

    layers : sequence of str
        Paths of submodules.

    Returns
    -------
    widths : dict of str to int
        How many values of a row there are, by layer, with ``"inputs"`` and ``"features"``.

    work : (int, int)
        Multiply-adds for a row, and of how many products.

    Raises
    ------
    ValueError
        If the network does not take the rows, or gives no row of values for each.
    """
    name = type(backbone).__name__
    outputs = {}
    inside = [layer for layer in layers if layer not in OWN_LAYERS]
    handles = record_activations(backbone, inside, outputs)
    was_training = backbone.training
    backbone.eval()
    try:
        with torch.no_grad(), counted(backbone) as counts:
            outputs["features"] = forward_batch(backbone, example)
    except (IndexError, RuntimeError, TypeError, ValueError) as error:
        raise ValueError(
            f"module: {name} failed on {_describe(example)}: {error}. It must take the rows of X "
            f"and return features of shape (n, n_features).{_token_hint(backbone, example)}"
        ) from error
    finally:
        backbone.train(was_training)
        for handle in handles:
            handle.remove()
    if isinstance(example, torch.Tensor):
        outputs["inputs"] = example
    features = outputs["features"]
    if not isinstance(features, torch.Tensor) or features.ndim != 2 or len(features) != 2:
        raise ValueError(
            f"module: {name} must return features of shape (n, n_features), but 2 rows gave "
            f"{describe_output(features)}; end it with a torch.nn.Flatten or a pooling layer."
        )
    for layer, output in outputs.items():
        if not isinstance(output, torch.Tensor) or len(output) != 2 or output.ndim < 2:
            raise ValueError(
                f"layers: {layer!r} does not give one row of activations per sample; choose "
                "another submodule."
            )
    widths = {layer: output.flatten(1).shape[1] for layer, output in outputs.items()}
    return widths, (sum(counts) // len(features), len(counts))


def _describe(batch):
    if isinstance(batch, torch.Tensor):
        return f"an input of shape {tuple(batch.shape)}"
    return f"inputs of shapes {map_batch(lambda x: tuple(x.shape), batch)}"


def _token_hint(backbone, example):
    has_embedding = any(isinstance(part, torch.nn.Embedding) for part in backbone.modules())
    if has_embedding and isinstance(example, torch.Tensor) and example.is_floating_point():
        return " It looks numbers up in an embedding: pass input='tokens' for whole numbers."
    return ""


def frozen_blocks(backbone, n_frozen, freeze):
    """Return the blocks that do not learn, by the parameters of these names.

    Parameters
    ----------
    backbone : torch.nn.Module
        The network.

    n_frozen : int
        How many leading blocks.

    freeze : {"none", "all"} or list of str
        The alternative.

    Returns
    -------
    blocks : list of Block
        First block first.

    Raises
    ------
    ValueError
        If there are not as many blocks, or if both are given.
    """
    blocks = list_blocks(backbone)
    if n_frozen > len(blocks):
        names = ", ".join(repr(block.name) for block in blocks) or "none"
        raise ValueError(
            f"n_frozen={n_frozen}, but {type(backbone).__name__} has {len(blocks)} blocks: {names}."
        )
    if freeze == "none":
        return blocks[:n_frozen]
    if n_frozen:
        raise ValueError(
            f"n_frozen={n_frozen} and freeze={freeze!r} were both given; use one of them."
        )
    if freeze == "all":
        return blocks or [Block("", ("",))]
    check_submodules(backbone, freeze, "freeze")
    return [Block(path, (path,)) for path in freeze]


def example_rows(dataset):
    """Return two source rows as the network takes them."""
    rows = dataset.X[np.arange(2) % len(dataset.X)]
    return AdaptationModule.as_input(as_batch(rows))
