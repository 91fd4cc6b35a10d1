"""LogME."""

from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from skda._checks import check_finite
from skda.metrics._checks import check_features
from skda.metrics._singular import left_singular

# Where the ratio of signal to noise is looked for: from features that explain nothing to such
# that explain the labels exactly, for which the evidence has no bound.
_LOG_RATIOS = np.log(10) * np.linspace(-12, 14, 53)


def logme_score(X: Any, y: Any) -> float:
    r"""Log maximum evidence (LogME) of a linear model from features to labels.

    For the indicator t of every class, the linear model with Gaussian weights and noise,

    .. math:: t = F w + \varepsilon, \quad w \sim N(0, a^{-1} I), \quad
              \varepsilon \sim N(0, b^{-1} I)

    gives the labels the density :math:`p(t \mid F, a, b) = N(t; 0, b^{-1} I + a^{-1} F F^T)`. The
    score is :math:`\max_{a, b} \log p / n`, averaged over the classes. Since the weights are
    integrated out, features do not gain by their number alone.

    The paper iterates a fixed point of a and b. Here the maximum is looked for along the ratio
    b / a, given which the best b is known. This also settles features that explain nothing (the
    density of noise alone) or all (b / a ends at 1e14 over the largest eigenvalue of F^T F).

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Features of the rows of the task, as they are: the model has no intercept.

    y : array-like of shape (n_samples,)
        Labels of the task.

    Returns
    -------
    score : float
        In nats per row; greater is better. Comparable between features of the same rows.

    Raises
    ------
    ValueError
        If lengths differ, or if y holds one class only.

    References
    ----------
    K. You, Y. Liu, J. Wang, M. Long. LogME: Practical Assessment of Pre-trained Models for Transfer
    Learning. ICML 2021, section 4.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skda.metrics import logme_score
    >>> X, y = load_iris(return_X_y=True)
    >>> round(logme_score(X, y), 2), round(logme_score(X[:, :2], y), 2)
    (-0.16, -0.39)
    """
    X, codes, n_classes = check_features(X, y)
    targets = np.eye(n_classes)[codes]
    U, singular = left_singular(X)
    inside = np.square(U.T @ targets).T
    outside = np.maximum(targets.sum(axis=0) - inside.sum(axis=1), 0)
    evidences = [
        _maximise_evidence(singular**2, *parts, len(X))[0]
        for parts in zip(inside, outside, strict=True)
    ]
    return float(check_finite(np.mean(evidences), "X")) / len(X)


def _maximise_evidence(eigenvalues, inside, outside, n):
    """Return the maximum of ``log p(t | F, a, b)`` and the a and b where it is.

    Parameters
    ----------
    eigenvalues : ndarray of shape (rank,)
        Of F^T F.

    inside : ndarray of shape (rank,)
        Squared components of t along the left singular vectors of F.

    outside : float
        What is left of the squared norm of t.

    n : int
        Number of rows.
    """
    largest = eigenvalues.max() or 1.0

    def noise(log_ratio):
        """Return 1 / b, the best for a ratio b / a."""
        return (np.sum(inside / (1 + np.exp(log_ratio) / largest * eigenvalues)) + outside) / n

    def evidence(log_ratio):
        log_det = np.log1p(np.exp(log_ratio) / largest * eigenvalues).sum()
        return -0.5 * (n * (np.log(2 * np.pi * noise(log_ratio)) + 1) + log_det)

    # There may be several maxima.
    best = np.argmax([evidence(log_ratio) for log_ratio in _LOG_RATIOS])
    around = _LOG_RATIOS[max(best - 1, 0)], _LOG_RATIOS[min(best + 1, len(_LOG_RATIOS) - 1)]
    found: Any = minimize_scalar(lambda x: -evidence(x), bounds=around, method="bounded")
    log_ratio = found.x
    b = 1 / noise(log_ratio)
    return evidence(log_ratio), b * largest / np.exp(log_ratio), b
