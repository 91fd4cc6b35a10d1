"""TransRate."""

from numbers import Real
from typing import Any

import numpy as np

from skda._checks import check_finite
from skda._naming import shortened
from skda.metrics._checks import check_features
from skda.metrics._singular import rotated

_SMALLEST, _LARGEST = 1e-100, 1e100


def transrate_score(X: Any, y: Any, *, distortion: float = 1e-4) -> float:
    r"""TransRate: how many nats the labels save when the features are coded.

    .. math:: R(F) - \sum_c \frac{n_c}{n} R(F_c), \quad
              R(F) = \frac{1}{2} \log\det\Bigl(I + \frac{1}{n \epsilon} F^T F\Bigr)

    with the centred features F and the rows :math:`F_c` of a class: an estimate of the mutual
    information of features and labels. Not invariant to the scale of the features, which is that
    of the distortion too. Classes weigh by their rows, as in the definition of the paper; its
    listing averages over classes, which is the same if all have as many rows.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Features of the rows of the task.

    y : array-like of shape (n_samples,)
        Labels of the task.

    distortion : float, default=1e-4
        :math:`\epsilon`, greater than 0, in squared units of the features.

    Returns
    -------
    score : float
        Greater is better.

    Raises
    ------
    ValueError
        If lengths differ, if y holds one class only, or if `distortion` is not positive.

    References
    ----------
    L.-K. Huang, J. Huang, Y. Rong, Q. Yang, Y. Wei. Frustratingly Easy Transferability Estimation.
    ICML 2022.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skda.metrics import transrate_score
    >>> X, y = load_iris(return_X_y=True)
    >>> transrate_score(X, y) > transrate_score(X[:, :2], y)
    True
    """
    is_number = isinstance(distortion, Real) and not isinstance(distortion, bool)
    if not is_number or not _SMALLEST <= distortion <= _LARGEST:
        raise ValueError(
            f"distortion must be greater than zero, got {shortened(repr(distortion))}; use a "
            f"number from {_SMALLEST:g} to {_LARGEST:g}."
        )
    X, codes, n_classes = check_features(X, y)
    X = rotated(X - X.mean(axis=0))
    of_classes = [X[codes == number] for number in range(n_classes)]
    given = sum(len(rows) * _coding_rate(rows, distortion) for rows in of_classes) / len(X)
    return float(check_finite(_coding_rate(X, distortion) - given, "X"))


def _coding_rate(X, distortion):
    singular = np.linalg.svd(X, compute_uv=False)
    return np.log1p(singular**2 / (len(X) * distortion)).sum() / 2
