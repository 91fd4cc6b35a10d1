"""Batches, class numbers and settings as every loss takes them.

Of tensors only attributes are looked at, never values: to read those of an accelerator a training
step would have to wait for it. Two batches cost 2 microseconds.
"""

from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from skda._torch import at_least_float32

# What arithmetic in float32 can multiply and divide by.
_SMALLEST, _LARGEST = 1e-30, 1e30
_SHAPES = {2: "(n, n_columns)", 4: "(n, n_channels, height, width)", None: "(n, ...)"}


def check_batches(batches: Mapping[str, Any], ndim: int | None = 2) -> list[torch.Tensor]:
    """Return batches with a common type of at least float32.

    Parameters
    ----------
    batches : dict of str to torch.Tensor of shape (n, ...)
        By the names of the parameters.

    ndim : int or None, default=2
        How many dimensions a batch has; None is two or more.

    Returns
    -------
    batches : list of torch.Tensor
        Of float32, or all of float64 if one is.

    Raises
    ------
    TypeError, ValueError
        If something is no dense tensor of floating-point numbers with these dimensions, is empty,
        or is on another device than the others.
    """
    checked, device, dtype = [], None, None
    for name, batch in batches.items():
        if not (
            isinstance(batch, torch.Tensor)
            and (batch.ndim == ndim or (ndim is None and batch.ndim > 1))
            and batch.layout is torch.strided
            and batch.is_floating_point()
            and batch.numel()
        ):
            raise _unfit(name, batch, ndim)
        batch = at_least_float32(batch)
        checked.append(batch)
        if device is None:
            device, dtype = batch.device, batch.dtype
        elif batch.device != device:
            raise ValueError(
                f"{' and '.join(batches)} must be on one device, got "
                f"{', '.join(str(batch.device) for batch in batches.values())}."
            )
        elif batch.dtype is not dtype:
            dtype = torch.float64
    if dtype is torch.float64:
        checked = [batch.double() for batch in checked]
    return checked


def check_batch(name: str, batch: Any, ndim: int | None = 2) -> torch.Tensor:
    """Return one batch as :func:`check_batches` does."""
    return check_batches({name: batch}, ndim)[0]


def check_domains(ndim: int | None = 2, **batches: Any) -> list[torch.Tensor]:
    """Return two batches with the same columns, see :func:`check_batches`."""
    first, second = checked = check_batches(batches, ndim)
    if first.shape[1:] != second.shape[1:]:
        raise ValueError(f"{_with_shapes(batches)}; all dimensions but the first must be the same.")
    return checked


def check_same_rows(ndim: int | None = 2, **batches: Any) -> list[torch.Tensor]:
    """Return two batches about the same rows, see :func:`check_batches`."""
    first, second = checked = check_batches(batches, ndim)
    if first.shape[0] != second.shape[0]:
        raise ValueError(f"{_with_shapes(batches)}; they must be about the same rows.")
    return checked


def check_same_shape(ndim: int | None = 2, **batches: Any) -> list[torch.Tensor]:
    """Return two batches of the same shape, see :func:`check_batches`."""
    first, second = checked = check_batches(batches, ndim)
    if first.shape != second.shape:
        raise ValueError(f"{_with_shapes(batches)}; the shapes must be the same.")
    return checked


def check_layers(layers: Any, name: str) -> dict[str, Any]:
    """Return the layers of one domain by names for messages; they are not yet looked at."""
    is_one = isinstance(layers, torch.Tensor | np.ndarray | Mapping | str | bytes)
    if is_one or not isinstance(layers, Iterable):
        raise TypeError(
            f"{name} must be a list of tensors, one per layer, got {type(layers).__name__}."
        )
    return {f"{name}[{number}]": layer for number, layer in enumerate(layers)}


def check_classes(name: str, classes: Any, rows_name: str, rows: torch.Tensor) -> torch.Tensor:
    """Return the class numbers of rows as int64.

    Parameters
    ----------
    name, rows_name : str
        Of the parameters, for messages.

    classes : torch.Tensor of shape (n,)
        Integers. Their range is not looked at.

    rows : torch.Tensor of shape (n, ...)
        The rows that they belong to.

    Returns
    -------
    classes : torch.Tensor of shape (n,), dtype=torch.int64
        The class numbers.

    Raises
    ------
    TypeError, ValueError
        If they are no integers, not one per row, or on another device.
    """
    if not isinstance(classes, torch.Tensor):
        raise TypeError(_not_a_tensor(name, classes))
    is_integer = not (classes.is_floating_point() or classes.is_complex())
    if not is_integer or classes.dtype is torch.bool or classes.layout is not torch.strided:
        raise ValueError(
            f"{name} must be a dense tensor of class numbers, integers from 0, got {classes.dtype} "
            f"({classes.layout}); use {name}.long()."
        )
    if classes.ndim != 1 or len(classes) != len(rows):
        raise ValueError(
            f"{name} has shape {tuple(classes.shape)} for {len(rows)} rows of {rows_name}; it must "
            f"be ({len(rows)},), one class number per row."
        )
    if classes.device != rows.device:
        raise ValueError(
            f"{name} and {rows_name} must be on one device, got {classes.device}, {rows.device}."
        )
    return classes.long()


def out_of_range(name: str, columns_name: str, n_classes: int) -> ValueError:
    """Return the error for class numbers without a column in another parameter."""
    return ValueError(
        f"{name} must hold class numbers from 0 to {n_classes - 1}, since {columns_name} has "
        f"{n_classes} columns; it holds others."
    )


def one_hot(
    name: str, classes: torch.Tensor, columns_name: str, columns: torch.Tensor
) -> torch.Tensor:
    """Return class numbers as rows with a one; on the CPU torch looks at their range anyway.

    There are as many classes as another parameter has columns.
    """
    n_classes = columns.shape[1]
    try:
        return F.one_hot(classes, n_classes)
    except RuntimeError as error:
        raise out_of_range(name, columns_name, n_classes) from error


def singular_values(name: str, matrix: torch.Tensor) -> torch.Tensor:
    """Return the singular values of a matrix that was made from a parameter."""
    try:
        return torch.linalg.svdvals(matrix)
    except RuntimeError as error:  # LinAlgError
        raise ValueError(f"{name} must hold finite numbers; it has no singular values.") from error


def check_number(name: str, value: Any, *, positive: bool = False) -> Any:
    """Return a setting that float32 can calculate with."""
    low = _SMALLEST if positive else -_LARGEST
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    number: Any = value
    if not is_number or not low <= number <= _LARGEST:
        wanted = "greater than zero" if positive else "finite"
        raise _fault(value)(
            f"{name} must be {wanted}, got {_show(value)}; use a number from {low:g} to "
            f"{_LARGEST:g}."
        )
    return value


def check_bandwidth(name: str, value: Any) -> Any:
    """Return a rule for the bandwidth of a kernel, or a number."""
    if not isinstance(value, str):
        return check_number(name, value, positive=True)
    if value not in ("median", "mean"):
        raise ValueError(f"{name} must be 'median', 'mean' or a number, got {value!r}.")
    return value


def check_count(name: str, value: Any) -> Any:
    """Return a whole number of one or more."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise _fault(value)(f"{name} must be a whole number of 1 or more, got {_show(value)}.")
    return value


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> Any:
    """Return one of several words."""
    if not isinstance(value, str) or value not in choices:
        *some, last = map(repr, choices)
        raise ValueError(f"{name} must be {', '.join(some)} or {last}, got {_show(value)}.")
    return value


def check_numbers(name: str, values: Any, *, positive: bool = False) -> tuple[float, ...]:
    """Return a sequence of numbers, see :func:`check_number`."""
    try:
        values = values.tolist() if hasattr(values, "tolist") else values
        numbers = () if isinstance(values, str | bytes | Mapping) else tuple(map(float, values))
    except (TypeError, ValueError, OverflowError, RuntimeError):  # RuntimeError: a meta tensor
        numbers = ()
    low = _SMALLEST if positive else -_LARGEST
    if not numbers or not all(low <= number <= _LARGEST for number in numbers):
        kind = "positive numbers" if positive else "finite numbers"
        raise ValueError(
            f"{name} must be one or more {kind}, from {low:g} to {_LARGEST:g}, got {_show(values)}."
        )
    return numbers


def _unfit(name, batch, ndim):
    """Return what is wrong with a batch."""
    if not isinstance(batch, torch.Tensor):
        return TypeError(_not_a_tensor(name, batch))
    if batch.layout is not torch.strided:
        return ValueError(f"{name} must be dense, got {batch.layout}; use {name}.to_dense().")
    if not batch.is_floating_point():
        return ValueError(
            f"{name} must hold floating-point numbers, got {batch.dtype}; use {name}.float()."
        )
    empty = "" if batch.numel() else ", in which nothing may be empty"
    return ValueError(
        f"{name} must have the shape {_SHAPES[ndim]}, got {tuple(batch.shape)}{empty}."
    )


def _not_a_tensor(name, value):
    return (
        f"{name} must be a torch.Tensor, got {type(value).__name__}; torch.as_tensor makes one of "
        "an array."
    )


def _with_shapes(batches):
    return ", ".join(f"{name} has shape {tuple(batch.shape)}" for name, batch in batches.items())


def _fault(value):
    return ValueError if isinstance(value, Real) else TypeError


def _show(value):
    shown = " ".join(repr(value).split())
    return shown if len(shown) < 80 else f"{shown[:77]}..."
