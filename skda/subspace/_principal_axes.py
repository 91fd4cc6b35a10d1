"""Principal axes of a domain, and how many of them two domains share."""

import numpy as np
from scipy.linalg import eigh, svd, svdvals

_ORTHOGONAL = 0.995  # a sine that counts as one: 1.00 to two decimals


def principal_axes(rows):
    """Return the principal axes of rows and the variances along them, largest first.

    Axes of no variance are left out. Neither form is larger than the rows or their covariance.

    Parameters
    ----------
    rows : ndarray of shape (n_samples, n_features)
        Rows of one domain.

    Returns
    -------
    axes : ndarray of shape (rank, n_features)
        Orthonormal.

    variances : ndarray of shape (rank,)
        With n_samples - 1 in the denominator.
    """
    n_rows, n_columns = rows.shape
    centred = rows - rows.mean(axis=0)
    if n_rows > n_columns:
        variances, vectors = eigh(centred.T @ centred / (n_rows - 1))
        variances, axes = variances[::-1], np.ascontiguousarray(vectors.T[::-1])
    else:
        _, singular_values, axes = svd(centred, full_matrices=False)
        variances = singular_values**2 / (n_rows - 1)
    eps = np.finfo(rows.dtype).eps
    # Of equal rows nothing but the rounding of their mean is left, hence their own size.
    noise = max(n_rows, n_columns) * eps * max(variances[0], eps * np.square(rows).max())
    rank = np.count_nonzero(variances > noise)
    return axes[:rank], variances[:rank]


def leading_axes(source, target, n_components):
    """Return as many principal axes of source and of target as `n_components` says.

    Parameters
    ----------
    source, target : ndarrays of shape (n_samples, n_features)
        Rows of both domains.

    n_components : int or "sdm"
        A number, or the choice by the subspace disagreement measure.

    Returns
    -------
    source_axes, target_axes : ndarrays of shape (n_components, n_features)
        Orthonormal rows.

    Raises
    ------
    ValueError
        If a domain has fewer axes.
    """
    source_axes, _ = principal_axes(source)
    target_axes = source_axes if target is source else principal_axes(target)[0]
    most = min(len(source_axes), len(target_axes))
    if most == 0:
        raise ValueError("All rows of X or of X_target are equal: there is no subspace to find.")
    if n_components == "sdm":
        most = min(most, max(source.shape[1] // 2, 1))
        pooled = np.vstack([source - source.mean(axis=0), target - target.mean(axis=0)])
        pooled_axes, _ = principal_axes(pooled)
        disagreements = _disagreements(source_axes[:most], target_axes[:most], pooled_axes)
        n_components = next((d for d, sine in disagreements if sine >= _ORTHOGONAL), most)
    elif n_components > most:
        raise ValueError(
            f"n_components={n_components} is too large: X has {len(source_axes)} principal axes "
            f"of some variance, X_target {len(target_axes)}; use at most {most}."
        )
    return source_axes[:n_components], target_axes[:n_components]


def _disagreements(source_axes, target_axes, pooled_axes):
    """Yield every dimension d and the subspace disagreement measure (SDM) there, in [0, 1].

    The mean of two sines: of the largest angles between the first d axes of either domain and
    the first d axes of both domains together.
    """
    products = source_axes @ pooled_axes.T, target_axes @ pooled_axes.T
    for d in range(1, len(source_axes) + 1):
        cosines = np.array([svdvals(product[:d, :d])[-1] for product in products])
        yield d, np.sqrt(np.maximum(1 - cosines**2, 0)).mean()
