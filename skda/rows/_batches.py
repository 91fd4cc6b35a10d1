"""Batches: a tensor, or a dict of tensors for networks with several inputs."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.nn import functional as F

from skda._torch import as_tensor


def as_batch(rows: Any) -> Any:
    """Return rows of an array as a tensor, and of a dict of arrays as a dict of tensors."""
    if isinstance(rows, Mapping):
        return {name: as_tensor(values) for name, values in rows.items()}
    return as_tensor(rows)


def batch_size(batch: Any) -> int:
    """Return how many rows a batch holds."""
    # Not len, which is a constant to whoever exports a network.
    return (next(iter(batch.values())) if isinstance(batch, Mapping) else batch).shape[0]


def take_batch(batch: Any, rows: slice) -> Any:
    """Return some rows of a batch."""
    return map_batch(lambda values: values[rows], batch)


def map_batch(function: Any, batch: Any) -> Any:
    """Apply a function to the tensor, or to every tensor, of a batch."""
    if isinstance(batch, Mapping):
        return {name: function(values) for name, values in batch.items()}
    return function(batch)


def forward_batch(module: Any, batch: Any) -> Any:
    """Run a module on a batch; the entries of a dict are its keyword arguments."""
    return module(**batch) if isinstance(batch, Mapping) else module(batch)


def join_batches(batches: Sequence[Any]) -> Any:
    """Put batches below one another.

    Parameters
    ----------
    batches : sequence of tensors, or of dicts of tensors with the same names
        Token ids of different lengths are padded with zeros at the end; their
        ``attention_mask`` is zero there.

    Returns
    -------
    batch : torch.Tensor or dict of torch.Tensor
        All rows.

    Examples
    --------
    >>> import torch
    >>> from skda.rows import join_batches
    >>> short, long = {"input_ids": torch.ones(1, 2)}, {"input_ids": torch.ones(1, 3)}
    >>> join_batches([short, long])["input_ids"].tolist()
    [[1.0, 1.0, 0.0], [1.0, 1.0, 1.0]]
    """
    if len(batches) == 1:
        return batches[0]
    if isinstance(batches[0], Mapping):
        return {name: _cat([batch[name] for batch in batches]) for name in batches[0]}
    return torch.cat(list(batches))


def _cat(parts):
    if parts[0].ndim == 2:
        width = max(part.shape[1] for part in parts)
        parts = [F.pad(part, (0, width - part.shape[1])) for part in parts]
    return torch.cat(parts)
