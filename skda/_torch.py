"""Devices, random generators and backbones, used with care for the user's own."""

import inspect
from contextlib import contextmanager

import torch
from torch import nn

from skda._params import check_keywords
from skda.nn import MLP, ConvNet


def resolve_device(device):
    """Return the device that ``device`` stands for.

    Parameters
    ----------
    device : str or torch.device
        ``"auto"`` is a CUDA device where there is one, and the CPU otherwise.

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
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f"device={device!r} cannot be used here: {error} Use 'auto', 'cpu', or a "
            "device that torch finds on this machine."
        ) from error
    return device


def seed_generators(seed, device):
    """Seed the generators in use, and no other device's."""
    torch.default_generator.manual_seed(seed)
    if torch.device(device).type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)


@contextmanager
def local_torch_state(device):
    """Restore random generators afterwards; on CUDA choose reproducible convolutions."""
    device = torch.device(device)
    on_cuda = device.type == "cuda"
    index = device.index if device.index is not None else 0
    cudnn = torch.backends.cudnn
    before = cudnn.deterministic, cudnn.benchmark
    with torch.random.fork_rng(devices=[index] if on_cuda else []):
        try:
            if on_cuda:
                cudnn.deterministic, cudnn.benchmark = True, False
            yield
        finally:
            if on_cuda:
                cudnn.deterministic, cudnn.benchmark = before


def build_backbone(factory, input_shape, keywords, name):
    """Build a network for rows of one shape.

    Parameters
    ----------
    factory : callable or None
        A class or function; it gets ``in_features`` (tables), ``in_channels`` and ``image_size``
        (images) where it has parameters of these names. None is :class:`skda.nn.MLP` or
        :class:`skda.nn.ConvNet`.

    input_shape : tuple of int
        (n_features,) or (n_channels, height, width).

    keywords : dict
        Those given as ``module__*``.

    name : str
        Of the parameter that holds the factory, for messages.

    Returns
    -------
    module : torch.nn.Module
        The network.

    Raises
    ------
    TypeError
        If the factory does not take a keyword, or returns no module.
    """
    is_table = len(input_shape) == 1
    factory = factory or (MLP if is_table else ConvNet)
    check_keywords("module", factory, keywords)
    if is_table:
        sizes = {"in_features": input_shape[0]}
    else:
        sizes = {"in_channels": input_shape[0], "image_size": input_shape[1:]}
    taken = inspect.signature(factory).parameters
    sizes = {name: size for name, size in sizes.items() if name in taken}
    module = factory(**{**sizes, **keywords})
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"{name}: {factory!r} returned {type(module).__name__}, no torch.nn.Module."
        )
    return module
