"""Source rows by weights, such as the shares that their classes have in a target."""

from typing import Any

import numpy as np
import torch


def class_shares(labels: Any, n_classes: int) -> np.ndarray:
    """Return the share of every class among labels.

    Parameters
    ----------
    labels : ndarray or torch.Tensor of int64 of shape (n,)
        Class numbers.

    n_classes : int
        How many classes there are.

    Returns
    -------
    shares : ndarray of shape (n_classes,)
        With a sum of 1.
    """
    return np.bincount(np.asarray(labels), minlength=n_classes) / len(labels)


def weights_for_shares(labels: np.ndarray, shares: np.ndarray, is_used: Any = None) -> np.ndarray:
    """Return weights of rows with which their classes have given shares.

    Parameters
    ----------
    labels : ndarray of int64 of shape (n_rows,)
        Class numbers.

    shares : ndarray of shape (n_classes,)
        What classes are to have. Those of classes without a row go to the others.

    is_used : ndarray of bool of shape (n_rows,), default=None
        Which rows have a weight; None is all.

    Returns
    -------
    weights : ndarray of shape (n_rows,)
        With a sum of 1.

    Raises
    ------
    ValueError
        If only classes without a row have a share.
    """
    is_used = np.ones(len(labels), dtype=bool) if is_used is None else is_used
    counts = np.bincount(labels[is_used], minlength=len(shares))
    ratios = np.divide(shares, counts, out=np.zeros(len(shares)), where=counts > 0)
    weights = ratios[labels] * is_used
    if not weights.sum() > 0:
        raise ValueError(
            "target_shares has shares of classes alone that no source row is of; leave it at None, "
            "or pass source rows of these classes."
        )
    return weights / weights.sum()


def draw_by_weights(
    labels: np.ndarray,
    weights: np.ndarray,
    shape: tuple[int, int],
    generator: torch.Generator | None = None,
) -> torch.Tensor:
    """Draw rows for batches, as often as their weights say, by systematic resampling.

    Over all batches rows of a class with the same weight come equally often, up to once; every
    batch has its classes' shares, up to one row of each; and what comes more than once comes in
    different batches, unless it has to come more often than there are batches.

    Parameters
    ----------
    labels : ndarray of int64 of shape (n_rows,)
        Class numbers.

    weights : ndarray of shape (n_rows,)
        Of the rows; those without never come.

    shape : (int, int)
        Number of batches, and of rows of each.

    generator : torch.Generator, default=None
        What draws; None takes rows in their order.

    Returns
    -------
    rows : torch.Tensor of int64 of `shape`
        Row numbers.
    """
    (n_batches, size), n_rows = shape, len(labels)
    codes = torch.from_numpy(labels)
    order = torch.arange(n_rows)
    if generator is not None:
        order = torch.randperm(n_rows, generator=generator)
    order = order[codes[order].argsort(stable=True)]
    edges = torch.from_numpy(weights)[order].double().cumsum(dim=0)
    edges *= n_batches * size / edges[-1]
    # In float32, that it stays below 1 when a number is added to it.
    start = 0.5 if generator is None else torch.rand((), generator=generator).double()
    places = torch.arange(n_batches * size, dtype=torch.float64) + start
    # The first row whose edge is beyond a place: one without a weight has none of its own.
    found = torch.searchsorted(edges, places, right=True).clamp(max=n_rows - 1)
    batches = order[found].view(size, n_batches).T
    return batches if generator is None else batches[torch.randperm(n_batches, generator=generator)]
