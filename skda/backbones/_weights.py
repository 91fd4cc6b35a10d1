"""Weights from files."""

import hashlib
import pickle
from collections.abc import Mapping
from os import fspath
from pathlib import Path
from typing import Any

import torch
from torch import nn

from skda._optional import import_optional


def load_weights(module: nn.Module, weights: Any, *, sha256: str | None = None) -> None:
    """Load weights into `module`, in place; every key and shape must agree.

    No code of a file is run: a pickle of anything but tensors is refused before it is built.

    Parameters
    ----------
    module : torch.nn.Module
        The network. Weights of another precision are converted to its own.

    weights : str, path or mapping
        A ``.safetensors`` file, a state dict that ``torch.save`` wrote, or a state dict.

    sha256 : str, default=None
        That the file must have, in hexadecimal.

    Raises
    ------
    FileNotFoundError
        If there is no such file.

    ValueError
        If the file cannot be read or has another hash, or with the list of keys that are
        missing, unexpected or of another shape.
    """
    if isinstance(weights, Mapping):
        name, state = "the mapping", weights
    else:
        name, state = _read_weights(weights, sha256)
    strangers = [key for key, value in state.items() if not isinstance(value, torch.Tensor)]
    if strangers:
        raise ValueError(
            f"weights: {name} holds no state dict (tensors by name): its {strangers[0]!r} is a "
            f"{type(state[strangers[0]]).__name__}; pass what module.state_dict() returns and "
            "nothing around it."
        )
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(
            f"weights: {name} does not fit {type(module).__name__}. {error}"
        ) from error


def _read_weights(path, sha256):
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"weights: {fspath(path)!r} is no file; pass the path of a file, 'pretrained' or None."
        )
    if sha256 is not None:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if digest != sha256.lower():
            raise ValueError(
                f"weights_sha256={sha256!r}, but that of {path} is {digest}; the file is damaged "
                "or another one."
            )
    read = _read_state_dict
    if path.suffix == ".safetensors":
        read = import_optional("safetensors.torch", "vision").load_file
    try:
        state = read(path)
    except pickle.UnpicklingError as error:  # torch's message invites to run the code
        raise ValueError(
            f"weights: {path} cannot be read as weights: it holds other things than tensors, and "
            "a pickle of those is refused because it may run code."
        ) from error
    except Exception as error:  # whatever the damage makes of the reader
        raise ValueError(f"weights: {path} cannot be read as weights: {error}") from error
    if not isinstance(state, Mapping):
        raise ValueError(
            f"weights: {path} holds no state dict (tensors by name) but a "
            f"{type(state).__name__}; save module.state_dict()."
        )
    return path, state


def _read_state_dict(path):
    return torch.load(path, map_location="cpu", weights_only=True)
