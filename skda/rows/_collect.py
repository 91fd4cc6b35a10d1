"""Rows that come in parts, in arrays that are made once."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch

from skda.rows._batches import batch_size, map_batch


def collect_rows(parts: Iterable[Any], n_rows: int) -> Any:
    """Return all rows of parts, each of which is let go before the next one is made.

    A list of the parts that is joined at its end holds every row twice.

    Parameters
    ----------
    parts : iterable of ndarrays, tensors, or dicts of them, of shape (n, ...)
        Consecutive rows.

    n_rows : int
        How many rows there are in all; at least one.

    Returns
    -------
    rows : ndarray, torch.Tensor or dict of them, of shape (n_rows, ...)
        Of the type of the first part.

    Raises
    ------
    ValueError
        If there are more or fewer rows.

    Examples
    --------
    >>> import numpy as np
    >>> from skda.rows import collect_rows
    >>> collect_rows((np.full(n, n) for n in (1, 2)), 3).tolist()
    [1, 2, 2]
    """
    collected: Any = None
    stop = 0
    for part in parts:
        if collected is None:
            collected = map_batch(lambda values: _empty_like(values, n_rows), part)
        start, stop = stop, stop + batch_size(part)
        if stop > n_rows:
            break
        if isinstance(part, Mapping):
            for name, values in part.items():
                collected[name][start:stop] = values
        else:
            collected[start:stop] = part
    if stop != n_rows:
        raise ValueError(f"{stop} rows came where {n_rows} were to come.")
    return collected


def _empty_like(part, n_rows):
    shape = (n_rows, *part.shape[1:])
    if isinstance(part, torch.Tensor):
        return part.new_empty(shape)
    return np.empty(shape, dtype=part.dtype)
