"""Tables and labels as every metric takes them."""

from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from skda._checks import LABELS, TABLE, check_column, check_lengths, check_table
from skda._naming import naming, shortened
from skda.domains import as_target_tuple, check_column_names, column_names


def check_domains(X: Any, X_target: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of two domains as tables of float64.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Source rows.

    X_target : array-like or tuple of array-likes
        Target rows; those of several domains are put together.

    Returns
    -------
    source, target : ndarrays of shape (n, n_features)
        At least two rows each.

    Raises
    ------
    ValueError
        If there are less rows, or if the numbers of columns differ.
    """
    source = check_table(X, "X", min_rows=2)
    targets = check_targets(X_target, X)
    for rows in targets:
        if rows.shape[1] != source.shape[1]:
            raise ValueError(
                f"X_target has {rows.shape[1]} columns, X has {source.shape[1]}; compare rows of "
                "the same features."
            )
    if sum(map(len, targets)) < 2:
        raise ValueError(
            f"X_target has {sum(map(len, targets))} rows; a distance between domains needs at "
            "least 2."
        )
    return source, np.concatenate(targets)


def check_targets(X_target: Any, X: Any) -> list[np.ndarray]:
    """Return the tables of the target domains, whose columns are named as those of X."""
    if X_target is None:
        raise ValueError("X_target is None; pass the rows of the target domain.")
    with naming("X_target", f"{TABLE}, or a tuple of tables"):
        targets = as_target_tuple(X_target)
    names = column_names(X)
    for rows in targets:
        if names and all(isinstance(name, str) for name in names):
            check_column_names(rows, names, "X_target")
    return [check_table(rows, "X_target") for rows in targets]


def check_features(X: Any, y: Any) -> tuple[np.ndarray, np.ndarray, int]:
    """Return features as float64, and class numbers.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Features.

    y : array-like of shape (n_samples,)
        Labels of any type.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features)
        In float64.

    codes : ndarray of shape (n_samples,)
        From 0 to n_classes - 1.

    n_classes : int
        At least two.

    Raises
    ------
    ValueError
        If lengths differ, or if there is one class only.
    """
    X = check_table(X, "X")
    codes, n_classes = check_labels(y)
    check_lengths("X", X, "y", codes)
    return X, codes, n_classes


def check_labels(y: Any, name: str = "y") -> tuple[np.ndarray, int]:
    """Return class numbers of labels, and the number of classes, as in `check_features`."""
    y = check_column(y, name)
    with naming(name, LABELS):
        classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        held = f"one class, {shortened(repr(classes[0]))}" if len(classes) else "no row"
        raise ValueError(
            f"{name} holds {held}; a transferability needs rows of at least two classes."
        )
    return codes, len(classes)


def check_draws(random_state: Any) -> np.random.RandomState:
    """Return a random state."""
    with naming("random_state", "None, a whole number of 0 or more, or a RandomState"):
        return check_random_state(random_state)
