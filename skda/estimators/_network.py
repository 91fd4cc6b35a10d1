"""What a network is made of: its layers, their widths, the blocks that are frozen."""

import numpy as np
import torch

from skda._torch import as_tensor
from skda.backbones import Block, list_blocks
from skda.nn import check_submodules, record_activations
from skda.training import OWN_LAYERS, AdaptationModule


def probe_widths(backbone, example, layers):
    """Return how many values of a row there are at the features and at the named layers.

    Parameters
    ----------
    backbone : torch.nn.Module
        The network.

    example : torch.Tensor of shape (2, ...)
        Rows as the network takes them.

    layers : sequence of str
        Paths of submodules.

    Returns
    -------
    widths : dict of str to int
        By layer, with ``"inputs"`` and ``"features"``.

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
        with torch.no_grad():
            outputs["features"] = backbone(example)
    except (RuntimeError, TypeError, ValueError) as error:
        raise ValueError(
            f"module: {name} failed on an input of shape {tuple(example.shape)}: {error}. It must "
            "take the rows of X and return features of shape (n, n_features)."
        ) from error
    finally:
        backbone.train(was_training)
        for handle in handles:
            handle.remove()
    outputs["inputs"] = example
    features = outputs["features"]
    if not isinstance(features, torch.Tensor) or features.ndim != 2 or len(features) != 2:
        shape = getattr(features, "shape", None)
        given = type(features).__name__ if shape is None else f"shape {tuple(shape)}"
        raise ValueError(
            f"module: {name} must return features of shape (n, n_features), but 2 rows gave "
            f"{given}; end it with a torch.nn.Flatten or a pooling layer."
        )
    for layer, output in outputs.items():
        if not isinstance(output, torch.Tensor) or len(output) != 2 or output.ndim < 2:
            raise ValueError(
                f"layers: {layer!r} does not give one row of activations per sample; choose "
                "another submodule."
            )
    return {layer: output.flatten(1).shape[1] for layer, output in outputs.items()}


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
    return AdaptationModule.as_input(as_tensor(rows))
