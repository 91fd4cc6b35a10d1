"""Devices, random generators and types of tensors."""

from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from sklearn import get_config

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


def get_generator_state(device):
    """Return where the generators in use stand: that of the CPU, and that of the device."""
    device = torch.device(device)
    states = {"cpu": torch.get_rng_state()}
    if device.type not in _WITHOUT_GENERATOR:
        states[device.type] = torch.get_device_module(device).get_rng_state(device)
    return states


def set_generator_state(device, states):
    """Let the generators in use go on from where :func:`get_generator_state` found them."""
    device = torch.device(device)
    torch.set_rng_state(states["cpu"])
    if device.type in states and device.type not in _WITHOUT_GENERATOR:
        torch.get_device_module(device).set_rng_state(states[device.type], device)


# Of weights and inputs, whatever the caller's default; golden values are computed in float64.
_FLOAT = torch.float32


def as_trained(module):
    """Return a network, in place, with weights of the type that training has."""
    return module.to(_FLOAT)


@contextmanager
def float32_on_cpu():
    """Make tensors as torch does by itself, whatever defaults and modes the caller has set."""
    default = torch.get_default_dtype()
    try:
        if default != _FLOAT:  # of the whole process, hence no sooner than needed
            torch.set_default_dtype(_FLOAT)
        # As a mode it is asked at every call of torch, so only where the caller has set another.
        # A tensor knows it; ``torch.get_default_device`` overlooks a mode before torch 2.5.
        is_cpu = torch.empty(0).device.type == "cpu"
        with nullcontext() if is_cpu else torch.device("cpu"):
            yield
    finally:
        if default != _FLOAT:
            torch.set_default_dtype(default)


@contextmanager
def local_torch_state(device):
    """Let training and inference find torch as it is by itself, and leave it as it was.

    Random generators are restored afterwards; gradients are on, tensors are in float32 and on the
    CPU unless something else is said; on CUDA convolutions are reproducible.
    """
    device = torch.device(device)
    index = device.index if device.index is not None else 0
    forked: dict[str, Any] = (
        {} if device.type in _WITHOUT_GENERATOR else {"device_type": device.type}
    )
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark
    with (
        torch.random.fork_rng(devices=[index] if forked else [], **forked),
        torch.inference_mode(False),
        torch.enable_grad(),
        float32_on_cpu(),
    ):
        try:
            if device.type == "cuda":
                cudnn.deterministic, cudnn.benchmark = True, False
            yield
        finally:
            if device.type == "cuda":
                cudnn.deterministic, cudnn.benchmark = before


def as_given(values: Any, X: Any) -> Any:
    """Return an array as what scikit-learn's array API dispatch has X as: a tensor beside it."""
    if not isinstance(X, torch.Tensor) or not get_config()["array_api_dispatch"]:
        return values
    if values.dtype.kind not in "biuf":  # no tensor holds strings
        return values
    return torch.as_tensor(values, device=X.device)


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
