"""Weights from files."""

import pickle
from collections.abc import Mapping, Sequence
from os import fspath
from pathlib import Path
from typing import Any

from torch import nn

from skda.backbones._state_dicts import fit_state_dict, open_checkpoint
from skda.backbones._weight_files import check_weights_hash, read_weight_file


def load_weights(
    module: nn.Module,
    weights: Any,
    *,
    sha256: str | None = None,
    head: Sequence[str] = (),
) -> list[str]:
    """Load weights into `module`, in place; every key and shape must agree, but for a head.

    Checkpoints of training programs are opened: the state dict in them is taken, the average
    over training steps (EMA) where there is one, and what comes before the names in all keys, such
    as ``module.``, is dropped. No code of a file is run: a pickle of anything but tensors and plain
    values is refused before it is built.

    Parameters
    ----------
    module : torch.nn.Module
        The network. Weights of another precision are converted to its own.

    weights : str, path or mapping
        A ``.safetensors`` file, a checkpoint or state dict that ``torch.save`` wrote, or a
        state dict.

    sha256 : str, default=None
        That the file must have, in hexadecimal.

    head : sequence of str, default=()
        Paths of what is not needed: keys below them may be missing, unexpected or of another
        shape, and are left out then.

    Returns
    -------
    notes : list of str
        What was chosen or left out, a line each.

    Raises
    ------
    FileNotFoundError
        If there is no such file.

    ValueError
        If the file cannot be read or has another hash, if weights are not numbers, or with the
        first keys that are missing, unexpected or of another shape.

    Examples
    --------
    >>> import torch
    >>> from skda.backbones import load_weights
    >>> network = torch.nn.Linear(2, 1)
    >>> checkpoint = {"module.weight": torch.ones(1, 2), "module.bias": torch.zeros(1)}
    >>> load_weights(network, {"state_dict": checkpoint, "epoch": 3})
    ["weights: the prefix 'module.' of the keys was dropped."]
    >>> network.weight.tolist()
    [[1.0, 1.0]]
    """
    check_weights_hash(weights, sha256)
    if isinstance(weights, Mapping):
        name, content = "the mapping", weights
    else:
        name, content = _read_weights(weights, sha256)
    notes: list[str] = []
    state = open_checkpoint(content, name, notes)
    fit_state_dict(module, state, name, head, notes)
    return notes


def _read_weights(path, sha256):
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(
            f"weights: {fspath(path)!r} is no file; pass the path of a file, 'pretrained' or None."
        )
    try:
        content = read_weight_file(path, sha256)
    except (ImportError, MemoryError):
        raise
    except pickle.UnpicklingError as error:  # torch's message invites to run the code
        raise ValueError(
            f"weights: {path} cannot be read as weights: it holds other things than tensors and "
            "plain values, such as the hyper_parameters of Lightning, and a pickle of those is "
            "refused because it may run code. If you trust where the file comes from, keep its "
            "tensors alone, once: torch.save(torch.load(path, weights_only=False)['state_dict'], "
            "'weights.pt')."
        ) from error
    except Exception as error:  # whatever the damage makes of the reader
        if str(error).startswith("weights_sha256"):
            raise
        raise ValueError(f"weights: {path} cannot be read as weights: {error}") from error
    if not isinstance(content, Mapping):
        raise ValueError(
            f"weights: {path} holds no state dict (tensors by name) but a "
            f"{type(content).__name__}; save module.state_dict()."
        )
    return path, content
