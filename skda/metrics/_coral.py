"""Distance between the covariances of two domains."""

from typing import Any

from skda import losses
from skda._checks import check_finite
from skda._torch import as_tensor
from skda.metrics._checks import check_domains


def coral_distance(X: Any, X_target: Any) -> float:
    r"""CORAL distance: the squared Frobenius distance between the covariances of two domains.

    .. math:: d = \frac{1}{4 d^2} \lVert C_S - C_T \rVert_F^2

    with the unbiased covariances of d features; the value of :func:`skda.losses.coral` in float64.
    Blind to a shift of the mean, and of the fourth power of the features' scale: standardise
    the columns by the rows of both domains before layers or networks are compared.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Source rows.

    X_target : array-like of shape (n_target_samples, n_features), or tuple of array-likes
        Target rows; those of several domains are put together.

    Returns
    -------
    distance : float
        Zero or more.

    Raises
    ------
    ValueError
        If a domain has less than two rows, or if the numbers of columns differ.

    References
    ----------
    B. Sun, K. Saenko. Deep CORAL: Correlation Alignment for Deep Domain Adaptation. ECCV
    Workshops 2016, equations 1 to 3.

    Examples
    --------
    >>> from skda.metrics import coral_distance
    >>> coral_distance([[0], [2]], [[0], [4]])
    9.0
    """
    source, target = map(as_tensor, check_domains(X, X_target))
    return check_finite(losses.coral(source, target).item(), "X and X_target")
