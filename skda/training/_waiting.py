"""Operators for which a program waits for its device, and which no CUDA graph can hold."""

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

# By their names in ATen, without overloads: those whose result, or its shape, depends on values
# that the CPU has to know, and decompositions of cuSOLVER that are checked on the CPU.
_WAITING = frozenset(
    """
    _local_scalar_dense nonzero masked_select unique_dim _unique _unique2 unique_consecutive
    bincount histc repeat_interleave _linalg_svd _linalg_eigh _linalg_eigvals linalg_eig
    linalg_eigvals linalg_lstsq linalg_qr geqrf _linalg_check_errors _ctc_loss is_nonzero equal
    _to_sparse to_sparse _sparse_coo_tensor_unsafe
    """.split()
)


class WaitingWatch(TorchDispatchMode):
    """Notes the first operator of this thread that waits for the device.

    Attributes
    ----------
    found : str or None
        Its name.

    Examples
    --------
    >>> import torch
    >>> from skda.training._waiting import WaitingWatch
    >>> with WaitingWatch() as watch:
    ...     scale = torch.ones(3).sum().item()
    >>> watch.found
    '_local_scalar_dense'
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: str | None = None

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if self.found is None and _waits(func, args, kwargs or {}):
            self.found = func._schema.name.partition("::")[2]
        return func(*args, **kwargs) if kwargs else func(*args)


def _waits(func: Any, args: Any, kwargs: dict[str, Any]) -> bool:
    name = func._schema.name.partition("::")[2]
    if name in _WAITING:
        return True
    if name == "lift_fresh":  # of a list of numbers, which was on the CPU
        return args[0].device.type != "cpu"
    if name in ("index", "index_put", "index_put_"):
        return any(t is not None and t.dtype in (torch.bool, torch.uint8) for t in args[1])
    if name in ("_to_copy", "copy_"):
        return _crosses(name, args, kwargs)
    return False


def _crosses(name, args, kwargs):
    """Whether a copy goes from one device to another, be it of a number in a list."""
    if name == "copy_":
        return args[0].device != args[1].device
    device = kwargs.get("device")
    return device is not None and torch.device(device).type != args[0].device.type
