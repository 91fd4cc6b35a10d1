"""Arrays and tensors: what of them is bytes, and what is said of these."""

import math
import re
from typing import Any

import numpy as np
import torch

_DTYPE = re.compile(r"[<>|=]?([biufcmM]\d{1,2}|[SU]\d{1,9})(\[\d{0,9}\w{1,2}\])?")
# Types of numpy that tensors have too.
_SHARED = {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8"}
_COMPLEX = {torch.complex128: torch.float64}


def array_to_tensor(array: np.ndarray) -> tuple[torch.Tensor, dict[str, Any]]:
    """Return the values of an array as a tensor, and what else makes the array.

    Parameters
    ----------
    array : ndarray
        Of numbers, strings, bytes or dates.

    Returns
    -------
    tensor : torch.Tensor
        Of the same numbers, or of the bytes.

    entries : dict
        ``dtype``, ``shape`` and ``order``.

    Raises
    ------
    ValueError
        If its type is another one.
    """
    array = np.asarray(array)
    if not _DTYPE.fullmatch(array.dtype.str):
        raise ValueError(f"arrays of dtype {array.dtype} cannot be stored")
    is_fortran = array.flags.f_contiguous and not array.flags.c_contiguous
    entries = {"dtype": array.dtype.str, "shape": list(array.shape)}
    if is_fortran:
        array, entries = array.T, {**entries, "order": "F"}
    array = np.ascontiguousarray(array)
    if array.dtype.str[1:] in _SHARED and array.dtype.isnative:
        values = torch.from_numpy(array if array.flags.writeable else array.copy())
    else:
        values = torch.from_numpy(np.frombuffer(array.tobytes(), np.uint8).copy())
    return values.reshape(-1), entries


def tensor_to_array(tensor: torch.Tensor, entries: dict[str, Any]) -> np.ndarray:
    """Return the array that :func:`array_to_tensor` was given; ValueError if that cannot be."""
    dtype, shape = as_dtype(entries["dtype"]), as_shape(entries["shape"])
    is_fortran = {None: False, "F": True}[entries.get("order")]
    if tensor.numel() * tensor.element_size() != math.prod(shape) * dtype.itemsize:
        raise ValueError(f"an array of shape {shape} and dtype {dtype} has other bytes")
    array = tensor.numpy().reshape(-1).view(np.uint8).view(dtype) if tensor.numel() else None
    if array is None:
        array = np.empty(0, dtype)
    if is_fortran:
        return array.reshape(shape[::-1]).T
    return array.reshape(shape)


def as_dtype(text: Any) -> np.dtype:
    """Return a type of numpy by its code."""
    if not isinstance(text, str) or not _DTYPE.fullmatch(text):
        raise ValueError(f"{str(text)[:40]!r} is no dtype")
    return np.dtype(text)


def as_shape(sizes: Any) -> tuple[int, ...]:
    """Return a shape of whole numbers."""
    if not isinstance(sizes, list) or not all(type(n) is int and 0 <= n < 2**63 for n in sizes):
        raise ValueError(f"{str(sizes)[:80]} is no shape")
    return tuple(sizes)


def flat_tensor(tensor: torch.Tensor) -> tuple[torch.Tensor, dict[str, Any]]:
    """Return a tensor that the format has a type for, and how its values lay in memory.

    Parameters
    ----------
    tensor : torch.Tensor
        Dense.

    Returns
    -------
    stored : torch.Tensor
        Of the same shape, or with a last dimension for the parts of complex numbers.

    entries : dict
        ``strides``, where they are not the usual ones: results may depend on them in the last
        digit; and ``complex``.
    """
    entries: dict[str, Any] = {}
    tensor = tensor.detach()
    if not tensor.is_contiguous() and _is_dense(tensor.shape, tensor.stride()):
        entries["strides"] = list(tensor.stride())
    if tensor.dtype in _COMPLEX:
        tensor, entries["complex"] = torch.view_as_real(tensor.resolve_conj()), True
    return tensor, entries


def unflattened(tensor: torch.Tensor, entries: dict[str, Any]) -> torch.Tensor:
    """Return the tensor that :func:`flat_tensor` was given; ValueError if that cannot be."""
    if entries.get("complex"):
        tensor = torch.view_as_complex(tensor)
    strides = entries.get("strides")
    if strides is None:
        return tensor
    strides = as_shape(strides)
    if len(strides) != tensor.ndim or not _is_dense(tensor.shape, strides):
        raise ValueError(f"a tensor of shape {tuple(tensor.shape)} has no strides {strides}")
    laid = torch.empty_strided(tensor.shape, strides, dtype=tensor.dtype, device="cpu")
    return laid.copy_(tensor)


def _is_dense(shape, strides):
    """Whether values lie side by side in some order of the dimensions, each for itself."""
    expected = 1
    for stride, size in sorted(zip(strides, shape, strict=True)):
        if size == 1:
            continue
        if stride != expected:
            return False
        expected *= size
    return expected == math.prod(shape)
