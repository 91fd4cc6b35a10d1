"""In which precision a network runs, and whether float16 holds its numbers."""

from collections.abc import Callable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

PRECISIONS = ("auto", "float32", "bfloat16", "float16")

# Other rows may have larger activations than those that are tried.
_ROOM = 8


def half_precision(device: torch.device) -> str | None:
    """Return the half precision that a device is made for, None if float32 is faster there.

    float16 resolves eight times as finely as bfloat16, at the same speed; CPUs have no unit for it.

    Parameters
    ----------
    device : torch.device
        Where a network is to run.

    Returns
    -------
    precision : {"float16", "bfloat16"} or None
        float16 on CUDA devices from compute capability 7.0 on, bfloat16 on CPUs with AMX.
    """
    if device.type == "cuda":
        return "float16" if torch.cuda.get_device_capability(device) >= (7, 0) else None
    has_amx = getattr(torch.cpu, "_is_amx_tile_supported", None)
    return "bfloat16" if device.type == "cpu" and has_amx is not None and has_amx() else None


def wider_precision(device: torch.device) -> str:
    """Return what networks run in whose numbers float16 does not hold."""
    has_bfloat16 = device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)
    return "bfloat16" if has_bfloat16 else "float32"


class _Largest(TorchDispatchMode):
    """The largest number in float16 that this thread computes, in size."""

    def __init__(self):
        super().__init__()
        self.values: list[torch.Tensor] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        output = func(*args, **(kwargs or {}))
        for tensor in output if isinstance(output, tuple | list) else (output,):
            is_half = isinstance(tensor, torch.Tensor) and tensor.dtype == torch.float16
            if is_half and tensor.numel():
                # NaN, which remains of a difference of infinities, is the largest.
                values = [tensor.detach().abs().amax(), *self.values]
                self.values = [torch.stack(values).amax()]
        return output


def fits_float16(function: Callable[[], Any]) -> bool:
    """Return whether what a function computes in float16 is far from its largest number.

    What overflows within a network may come out of it as a number like any other, such as 6 from
    a ReLU6.

    Parameters
    ----------
    function : callable
        Runs the network.

    Returns
    -------
    fits : bool
        Whether everything is below an eighth of 65504.

    Examples
    --------
    >>> import torch
    >>> from skda.feature_extraction._precision import fits_float16
    >>> x = torch.full((2,), 300.0, dtype=torch.float16)
    >>> fits_float16(lambda: x + x), fits_float16(lambda: torch.clamp(x * x, max=6))
    (True, False)
    """
    with torch.no_grad(), _Largest() as largest:
        function()
    return all(bool(x <= torch.finfo(torch.float16).max / _ROOM) for x in largest.values)


def relative_drift(got: tuple, expected: tuple) -> float:
    """Return how far features of any layer are from others at most, in units of their norm."""
    return max(
        float(torch.linalg.norm(output - reference) / torch.linalg.norm(reference).clamp(min=1e-6))
        for output, reference in zip(got, expected, strict=True)
    )
