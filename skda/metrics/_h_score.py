"""H-score."""

from numbers import Real
from typing import Any

import numpy as np

from skda._checks import check_finite
from skda._naming import shortened
from skda.metrics._checks import check_features
from skda.metrics._singular import left_singular


def h_score(X: Any, y: Any, *, shrinkage: float | str = "auto") -> float:
    r"""H-score: how much of the features' spread lies between the classes.

    .. math:: H = \operatorname{tr}\bigl(\Sigma_\alpha^{-1} (1 - \alpha) \Sigma_{E[f | y]}\bigr),
              \quad \Sigma_\alpha = (1 - \alpha) \Sigma + \alpha \frac{\operatorname{tr}\Sigma}{d} I

    with the covariance :math:`\Sigma` of d features and the covariance of the means of their
    classes. Without shrinkage (:math:`\alpha = 0`, the pseudo-inverse) it is the H-score of [1]_,
    which no invertible linear map of the features changes; it reaches its maximum as soon as there
    are as many features as rows, and the shrinkage of [2]_ is for this.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Features of the rows of the task.

    y : array-like of shape (n_samples,)
        Labels of the task.

    shrinkage : {"auto"} or float, default="auto"
        :math:`\alpha` in [0, 1]; ``"auto"`` is that of Ledoit and Wolf.

    Returns
    -------
    score : float
        In [0, n_classes - 1]; greater is better.

    Raises
    ------
    ValueError
        If lengths differ, if y holds one class only, or if `shrinkage` is not as described.

    References
    ----------
    .. [1] Y. Bao et al. An Information-Theoretic Approach to Transferability in Task Transfer
       Learning. ICIP 2019.

    .. [2] S. Ibrahim, N. Ponomareva, R. Mazumder. Newer is not always better: Rethinking
       transferability metrics, their peculiarities, stability and performance. ECML PKDD 2022.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skda.metrics import h_score
    >>> X, y = load_iris(return_X_y=True)
    >>> round(h_score(X, y), 2), round(h_score(X[:, :2], y), 2)
    (1.17, 0.89)
    """
    amount: Any = shrinkage
    is_number = isinstance(shrinkage, Real) and not isinstance(shrinkage, bool)
    is_auto = isinstance(shrinkage, str) and shrinkage == "auto"
    if not (is_auto or (is_number and 0 <= amount <= 1)):
        raise ValueError(
            f"shrinkage must be 'auto' or a number from 0 to 1, got {shortened(repr(shrinkage))}."
        )
    X, codes, n_classes = check_features(X, y)
    n, d = X.shape
    X = X - X.mean(axis=0)
    # Both covariances live in the space of the right singular vectors, and are not built.
    U, singular = left_singular(X)
    kept = singular > singular[0] * max(X.shape) * np.finfo(float).eps
    U, variances = U[:, kept], singular[kept] ** 2 / n
    if not len(variances):
        return 0.0
    if is_auto:
        amount = _ledoit_wolf(variances, np.square(X).sum(axis=1), d)
    means = np.stack([U[codes == number].mean(axis=0) for number in range(n_classes)])
    between = np.bincount(codes) @ means**2
    shrunk = (1 - amount) * variances
    total = shrunk + amount * variances.sum() / d
    return float(check_finite(between @ (shrunk / total), "X"))


def _ledoit_wolf(variances, squared_norms, d):
    """Shrinkage from the eigenvalues of a covariance and the norms of its n centred rows."""
    n = len(squared_norms)
    dispersion = np.square(variances).sum() - variances.sum() ** 2 / d
    noise = (np.square(squared_norms).mean() - np.square(variances).sum()) / n
    return min(noise / dispersion, 1.0) if dispersion > 0 else 1.0
