"""Devices, random generators and types of tensors."""

from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch

# Beside the one that is always forked and seeded.
_WITHOUT_GENERATOR = ("cpu", "meta")


def resolve_device(device):
    """Return the device that ``device`` stands for.

    Parameters
    ----------
    device : str or torch.device
        ``"auto"`` is the accelerator that torch finds on this machine, and the CPU if there is
        none.

    Returns
    -------
    device : str or torch.device
        A device that can be used.

    Raises
    ------
    ValueError
        If torch cannot use it here.
    """
    if device == "auto":
        return _accelerator() or "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f"device={device!r} cannot be used here: {error} Use 'auto', 'cpu', or a "
            "device that torch finds on this machine."
        ) from error
    return device


def _accelerator():
    """Return the kind of accelerator of this machine, or None."""
    if torch.cuda.is_available():
        return "cuda"
    if not hasattr(torch, "accelerator"):  # before torch 2.6
        return "mps" if torch.backends.mps.is_available() else None
    if not torch.accelerator.is_available():
        return None
    found = torch.accelerator.current_accelerator()
    return None if found is None else found.type


def seed_generators(seed, device):
    """Seed the generators in use, and no other device's."""
    torch.default_generator.manual_seed(seed)
    device = torch.device(device)
    if device.type not in _WITHOUT_GENERATOR:
        library = torch.get_device_module(device)
        with library.device(device) if hasattr(library, "device") else nullcontext():
            library.manual_seed(seed)


@contextmanager
def local_torch_state(device):
    """Restore random generators afterwards; on CUDA choose reproducible convolutions."""
    device = torch.device(device)
    index = device.index if device.index is not None else 0
    forked: dict[str, Any] = (
        {} if device.type in _WITHOUT_GENERATOR else {"device_type": device.type}
    )
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark
    with torch.random.fork_rng(devices=[index] if forked else [], **forked):
        try:
            if device.type == "cuda":
                cudnn.deterministic, cudnn.benchmark = True, False
            yield
        finally:
            if device.type == "cuda":
                cudnn.deterministic, cudnn.benchmark = before


def as_tensor(rows):
    """A tensor of `rows`, copied if they are read-only or run backwards."""
    if isinstance(rows, torch.Tensor):
        return rows
    rows = np.asarray(rows)
    as_they_are = rows.flags.writeable and min(rows.strides, default=0) >= 0
    return torch.from_numpy(rows if as_they_are else rows.copy())


def at_least_float32(features):
    """Half-precision features in float32: covariances and kernels overflow below it."""
    return features.float() if features.element_size() < 4 else features
