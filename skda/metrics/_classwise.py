"""Distances between the rows of one class in two domains."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skda._checks import check_column, check_finite, check_lengths
from skda._naming import naming
from skda.metrics._checks import check_domains
from skda.metrics._mmd import mmd


def classwise_discrepancy(
    X: Any, y: Any, X_target: Any, y_target: Any, *, discrepancy: Callable[[Any, Any], float] = mmd
) -> Bunch:
    """Distance between two domains class by class.

    The mean over classes compares what the rows of one class look like in both domains, whereas
    a distance between all rows also grows if classes have other shares.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Source rows.

    y : array-like of shape (n_samples,)
        Their labels.

    X_target : array-like of shape (n_target_samples, n_features)
        Target rows.

    y_target : array-like of shape (n_target_samples,)
        Their labels, or the predictions of a classifier. Predictions from the compared features
        themselves put alike rows together, which tends to make this distance too small.

    discrepancy : callable, default=mmd
        From source rows and target rows to a number, such as :func:`mmd`, :func:`coral_distance`,
        :func:`proxy_a_distance` or a :func:`functools.partial` of them.

    Returns
    -------
    result : sklearn.utils.Bunch
        With the entries

        mean : float
            Mean over the classes with a value; NaN, with a warning, if there are none.
        classes : ndarray of shape (n_classes,)
            The classes of `y`.
        discrepancies : ndarray of shape (n_classes,)
            Class by class. NaN for a class with less than two rows in one of the domains.

    Raises
    ------
    ValueError
        If lengths or the numbers of columns differ.

    References
    ----------
    M. Long et al. Transfer Feature Learning with Joint Distribution Adaptation. ICCV 2013.

    Examples
    --------
    Only one of two classes is elsewhere in the target:

    >>> import numpy as np
    >>> from skda.metrics import classwise_discrepancy
    >>> rng = np.random.default_rng(0)
    >>> X, y = rng.normal(size=(200, 2)), np.repeat(["a", "b"], 100)
    >>> X_target = rng.normal(size=(200, 2)) + np.where(y == "a", 3, 0)[:, None]
    >>> classwise_discrepancy(X, y, X_target, y).discrepancies.round(1)
    array([ 0.8, -0. ])
    """
    if not callable(discrepancy):
        raise TypeError(
            "discrepancy must be a function from source rows and target rows to a number, got "
            f"{type(discrepancy).__name__}."
        )
    y, y_target = check_column(y), check_column(y_target, "y_target")
    source, target = check_domains(X, X_target)
    check_lengths("X", source, "y", y)
    check_lengths("X_target", target, "y_target", y_target)
    with naming("y", "labels of one type"):
        classes = np.unique(y)
    values = np.full(len(classes), np.nan)
    for number, label in enumerate(classes):
        of_class = source[y == label], target[y_target == label]
        if min(map(len, of_class)) >= 2:
            with naming("discrepancy", "a function from two tables to a number"):
                value = float(discrepancy(*of_class))
            values[number] = check_finite(value, f"discrepancy of class {label!r}")
    known = values[~np.isnan(values)]
    if not len(known):
        warnings.warn(
            "No class has two rows or more in both domains, by y and y_target: there is nothing to "
            "compare, and the mean is NaN.",
            UserWarning,
            stacklevel=2,
        )
    mean = float(known.mean()) if len(known) else np.nan
    return Bunch(mean=mean, classes=classes, discrepancies=values)
