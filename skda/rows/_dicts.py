"""Rows with several inputs by name, such as token ids and their mask."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from skda._checks import check_values
from skda._torch import as_tensor


class DictRows:
    """Arrays by name with a row each per sample; they reach the network as keyword arguments.

    Numbers keep their type, but float64 becomes float32.

    Parameters
    ----------
    arrays : mapping of str to array-like of shape (n_samples, ...)
        Such as ``input_ids`` and ``attention_mask``. Columns in which the mask is zero for a
        whole batch are cut off when it is read.

    name : str, default="X"
        Of the parameter, for messages.

    Raises
    ------
    ValueError
        If there is no array, or if their lengths differ, or values are no finite numbers.

    Examples
    --------
    >>> from skda.rows import DictRows
    >>> rows = DictRows({"input_ids": [[5, 7], [5, 8]], "attention_mask": [[1, 1], [1, 0]]})
    >>> rows.shape, rows[1:]["input_ids"].tolist()
    ((2,), [[5]])
    """

    dtype = np.dtype(object)
    ndim = 1

    def __init__(self, arrays: Mapping[str, Any], name: str = "X"):
        if not arrays:
            raise ValueError(f"{name} is an empty dict; pass one array per input of the network.")
        self.arrays = {key: _checked(values, f"{name}[{key!r}]") for key, values in arrays.items()}
        lengths = {key: len(values) for key, values in self.arrays.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(
                f"{name} is a dict of arrays with different numbers of rows, {lengths}; every "
                "array needs one row per sample."
            )
        self.shape = (next(iter(lengths.values())),)
        if not len(self):
            raise ValueError(f"{name} has 0 rows; pass at least one.")

    @property
    def row_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of a row by name."""
        return {key: tuple(values.shape[1:]) for key, values in self.arrays.items()}

    @property
    def fixed_shapes(self) -> dict[str, tuple[Any, ...]]:
        """What of every input is the same in all calls: its kind, and its shape unless of tokens.

        Whole numbers in two dimensions are token ids or masks, which may be longer or shorter.
        """
        return {
            key: ("tokens",)
            if values.dtype.kind in "biu" and values.ndim == 2
            else ("floats" if values.dtype.kind == "f" else "whole numbers", *values.shape[1:])
            for key, values in self.arrays.items()
        }

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def nbytes(self) -> int:
        """What all arrays take in memory."""
        return sum(values.nbytes for values in self.arrays.values())

    def __getitem__(self, rows: Any) -> dict[str, torch.Tensor]:
        """Return rows, by a slice or an array of int, as tensors by name."""
        batch = {key: as_tensor(values[rows]) for key, values in self.arrays.items()}
        mask = batch.get("attention_mask")
        if mask is None or mask.ndim != 2:
            return batch
        used = mask.any(dim=0).nonzero()
        length = int(used[-1]) + 1 if len(used) else 1
        return {
            key: values[:, :length] if values.shape == mask.shape else values
            for key, values in batch.items()
        }


def _checked(values, name):
    check_values(values, name)
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        values = (values.float() if values.is_floating_point() else values).numpy()
    try:
        values = np.asarray(values)
    except ValueError as error:  # numpy's, for lists of different lengths
        raise ValueError(
            f"{name} holds rows of different lengths; pad them to one length, as tokenizers do "
            "with padding=True."
        ) from error
    if values.dtype.kind not in "biuf" or values.ndim == 0:
        raise ValueError(
            f"{name} holds {values.dtype} of shape {values.shape}; pass an array of numbers with "
            "one row per sample."
        )
    if values.dtype.kind == "f":
        values = values.astype(np.float32, copy=False)
        if not np.isfinite(values).all():
            raise ValueError(f"{name} contains NaN or infinity.")
    return values.astype(np.int64) if values.dtype.kind == "u" else values
