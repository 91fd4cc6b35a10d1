"""Tables and labels as every metric takes them."""

from typing import Any

import numpy as np
from sklearn.utils import check_consistent_length
from sklearn.utils.multiclass import check_classification_targets

from skda._sklearn_compat import check_array, column_or_1d
from skda.domains import as_target_tuple


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
    source = check_array(X, dtype=np.float64, ensure_min_samples=2, input_name="X")
    targets = [
        check_array(rows, dtype=np.float64, input_name="X_target")
        for rows in as_target_tuple(X_target)
    ]
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
    X = check_array(X, dtype=np.float64, input_name="X")
    codes, n_classes = check_labels(y)
    check_consistent_length(X, codes)
    return X, codes, n_classes


def check_labels(y: Any) -> tuple[np.ndarray, int]:
    """Return class numbers of labels, and the number of classes, as in `check_features`."""
    y = column_or_1d(y)
    check_classification_targets(y)
    classes, codes = np.unique(y, return_inverse=True)
    if len(classes) < 2:
        raise ValueError(
            f"y holds one class, {classes[0]!r}; a transferability needs rows of at least two."
        )
    return codes, len(classes)
