"""Singular vectors of the rows of a table."""

from typing import Any

import numpy as np


def rotated(X: np.ndarray) -> np.ndarray:
    """Return rows with the same inner products, in no more columns than there are rows."""
    n, d = X.shape
    root: Any = X.T if d <= n else np.linalg.qr(X.T, mode="r")
    return root.T


def left_singular(X):
    """Return the left singular vectors of X and its singular values.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        The table.

    Returns
    -------
    U : ndarray of shape (n_samples, rank)
        One vector per column, rank = min(n_samples, n_features).

    singular : ndarray of shape (rank,)
        In descending order.
    """
    U, singular, _ = np.linalg.svd(rotated(X), full_matrices=False)
    return U, singular
