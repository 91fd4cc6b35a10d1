"""Probabilities, shares and labels as every function of the room takes them."""

from typing import Any

import numpy as np

from skda._checks import as_array, as_column, check_lengths, check_table
from skda._naming import naming, shortened

# How far a sum of float32 probabilities may be from 1.
_TOLERANCE = 1e-3


def check_probabilities(probabilities: Any, name: str) -> np.ndarray:
    """Return probabilities of classes as float64.

    Parameters
    ----------
    probabilities : array-like of shape (n_samples, n_classes)
        What ``predict_proba`` gives.

    name : str
        Of the parameter.

    Returns
    -------
    probabilities : ndarray of shape (n_samples, n_classes), dtype=float64
        Rows of numbers of 0 or more, with a sum that is 1 but for rounding.

    Raises
    ------
    TypeError, ValueError
        If they are something else.
    """
    table = check_table(probabilities, name)
    sums = table.sum(axis=1)
    if table.min() < 0 or np.abs(sums - 1).max() > _TOLERANCE:
        worst = np.argmax(np.abs(sums - 1))
        raise ValueError(
            f"{name} must hold rows of numbers of 0 or more with a sum of 1, but row "
            f"{worst} has a sum of {sums[worst]:.3g} and the least number is {table.min():.3g}; "
            "pass what predict_proba gives, or the softmax of logits."
        )
    return table


def check_shares(shares: Any, name: str, n_classes: int) -> np.ndarray:
    """Return shares of classes as float64, with a sum of exactly 1.

    Parameters
    ----------
    shares : array-like of shape (n_classes,)
        The shares.

    name : str
        Of the parameter.

    n_classes : int
        How many there must be.

    Returns
    -------
    shares : ndarray of shape (n_classes,), dtype=float64
        Numbers of 0 or more.

    Raises
    ------
    TypeError, ValueError
        If they are something else.
    """
    wanted = f"{n_classes} numbers of 0 or more with a sum of 1, one per class"
    with naming(name, wanted):
        values = np.asarray(as_array(shares, name), dtype=np.float64)
        good = values.shape == (n_classes,) and np.isfinite(values).all() and values.min() >= 0
        if not good or abs(values.sum() - 1) > _TOLERANCE:
            raise ValueError(
                f"got {shortened(repr(shares), 120)}; of numbers of rows per class the shares "
                "are counts / counts.sum()."
            )
    return values / values.sum()


def check_codes(labels: Any, name: str, probabilities: np.ndarray, of: str) -> np.ndarray:
    """Return numbers of classes, of which there is one per row of probabilities.

    Parameters
    ----------
    labels : array-like of shape (n_samples,)
        Numbers of columns of `probabilities`.

    name : str
        Of the parameter.

    probabilities : ndarray of shape (n_samples, n_classes)
        What they label.

    of : str
        Name of `probabilities`.

    Returns
    -------
    codes : ndarray of shape (n_samples,), dtype=int64
        From 0 to n_classes - 1.

    Raises
    ------
    TypeError, ValueError
        If they are something else.
    """
    n_classes = probabilities.shape[1]
    wanted = f"whole numbers from 0 to {n_classes - 1}, the columns of {of}"
    codes = as_column(labels, name, wanted=wanted)
    check_lengths(of, probabilities, name, codes)
    if codes.dtype.kind not in "iu" or codes.min() < 0 or codes.max() >= n_classes:
        raise ValueError(
            f"{name} must be {wanted}, got {shortened(codes[:5].tolist())}, ...; of labels of "
            "another kind they are numpy.searchsorted(classes, labels)."
        )
    return codes.astype(np.int64)
