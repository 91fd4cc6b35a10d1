"""Singular vectors of the rows of a table."""

import numpy as np


def rotated(X):
    """Return rows with the same inner products, in no more columns than there are rows."""
    n, d = X.shape
    return X if d <= n else np.linalg.qr(X.T, mode="r").T


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
