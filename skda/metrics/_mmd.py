"""Maximum mean discrepancy between two domains, and its permutation test."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import torch

from skda import losses
from skda._checks import check_finite
from skda._naming import shortened
from skda._torch import as_tensor
from skda.losses import gaussian_mixture, squared_distances, typical_distance
from skda.metrics._checks import check_domains, check_draws

# Entries of a kernel matrix that exist at a time.
_BLOCK_ENTRIES = 2**20
# They stand side by side in memory, with all rows each.
_MOST_PERMUTATIONS = 10**7


def mmd(
    X: Any,
    X_target: Any,
    *,
    bandwidth: str | float = "median",
    multipliers: Sequence[float] = (0.25, 0.5, 1.0, 2.0, 4.0),
    estimator: Any = "unbiased",
) -> float:
    r"""Squared maximum mean discrepancy between two domains, with a mixture of Gaussians.

    .. math:: d = E\,k(s, s') + E\,k(t, t') - 2\, E\,k(s, t), \quad
              k(a, b) = \frac{1}{U} \sum_u \exp\bigl(-\lVert a - b \rVert^2 / (m_u \gamma)\bigr)

    The value of :func:`skda.losses.mmd` in float64. Zero in expectation for equal domains, and
    less than 2. Memory is linear in rows.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Source rows.

    X_target : array-like of shape (n_target_samples, n_features), or tuple of array-likes
        Target rows; those of several domains are put together.

    bandwidth : {"median", "mean"} or float, default="median"
        :math:`\gamma`: the median or mean squared distance between the rows of both domains (of at
        most 256 rows at equal distances), or a number, in squared units of the features. Of
        one-dimensional Gaussian kernels with standard deviation s it is 2 s^2.

    multipliers : sequence of float, default=(0.25, 0.5, 1.0, 2.0, 4.0)
        The :math:`m_u`, one per kernel.

    estimator : {"unbiased", "biased", "linear"}, default="unbiased"
        Over pairs of different rows (can be negative), over all pairs (never negative, too large
        by about 1 / n_samples + 1 / n_target_samples), or over consecutive rows.

    Returns
    -------
    discrepancy : float
        The squared discrepancy.

    Raises
    ------
    ValueError
        If a domain has less than two rows, if the numbers of columns differ, or if a parameter is
        not one of the above.

    See Also
    --------
    mmd_permutation_test : Whether the difference can be chance.

    References
    ----------
    A. Gretton et al. A Kernel Two-Sample Test. JMLR 13, 2012, lemma 6.

    Examples
    --------
    >>> from skda.metrics import mmd
    >>> round(mmd([[0], [0]], [[1.5], [1.5]], bandwidth=2, multipliers=[1]), 6)  # 2 - 2 k(0, 1.5)
    1.350695
    """
    source, target = map(as_tensor, check_domains(X, X_target))
    discrepancy = losses.mmd(
        source, target, bandwidth=bandwidth, multipliers=multipliers, estimator=estimator
    )
    return check_finite(discrepancy.item(), "X and X_target")


class MMDTest(NamedTuple):
    """What :func:`mmd_permutation_test` finds.

    Parameters
    ----------
    statistic : float
        The unbiased squared discrepancy of the two domains.

    p_value : float
        Share of relabelled domains, these ones included, with at least this discrepancy.

    permutation_statistics : ndarray of shape (n_permutations,)
        The discrepancies of the relabelled domains.
    """

    statistic: float
    p_value: float
    permutation_statistics: np.ndarray


def mmd_permutation_test(
    X: Any,
    X_target: Any,
    *,
    bandwidth: str | float = "median",
    multipliers: Sequence[float] = (0.25, 0.5, 1.0, 2.0, 4.0),
    n_permutations: int = 1000,
    random_state: Any = None,
) -> MMDTest:
    r"""Test whether two domains have the same distribution.

    The rows of both domains are put together and relabelled B times at random, which gives the
    unbiased :func:`mmd` of domains that do not differ, and

    .. math:: p = \frac{1 + \#\{b : d_b \ge d\}}{B + 1}

    If the rows are independent and the domains do not differ, p is at most :math:`\alpha` with
    probability :math:`\alpha` or less, whatever their distribution. The kernel is computed once,
    in blocks of rows.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_features)
        Source rows.

    X_target : array-like of shape (n_target_samples, n_features), or tuple of array-likes
        Target rows; those of several domains are put together.

    bandwidth : {"median", "mean"} or float, default="median"
        As in :func:`mmd`, but of 256 random rows, which the test needs to be exact.

    multipliers : sequence of float, default=(0.25, 0.5, 1.0, 2.0, 4.0)
        As in :func:`mmd`.

    n_permutations : int, default=1000
        B. The smallest p-value is 1 / (B + 1).

    random_state : int, RandomState instance or None, default=None
        Relabels the rows.

    Returns
    -------
    test : MMDTest
        With the fields ``statistic``, ``p_value`` and ``permutation_statistics``.

    Raises
    ------
    ValueError
        If a domain has less than two rows, if the numbers of columns differ, or if a parameter is
        not one of the above.

    References
    ----------
    A. Gretton et al. A Kernel Two-Sample Test. JMLR 13, 2012, lemma 6. E. Lehmann, J. Romano.
    Testing Statistical Hypotheses. Springer 2005, section 15.2.

    Examples
    --------
    >>> import numpy as np
    >>> from skda.metrics import mmd_permutation_test
    >>> rng = np.random.default_rng(0)
    >>> X, X_target = rng.normal(size=(50, 3)), rng.normal(size=(60, 3)) + 1
    >>> test = mmd_permutation_test(X, X_target, random_state=0)
    >>> round(test.p_value, 3)
    0.001
    """
    if not isinstance(n_permutations, Integral) or not 1 <= n_permutations <= _MOST_PERMUTATIONS:
        raise ValueError(
            f"n_permutations must be a whole number of 1 or more, up to {_MOST_PERMUTATIONS}, got "
            f"{shortened(repr(n_permutations))}."
        )
    source, target = check_domains(X, X_target)
    kernel = gaussian_mixture(bandwidth, multipliers)
    rng = check_draws(random_state)
    n, m = len(source), len(target)
    # In random order: the rows that tell the bandwidth must not depend on their domain.
    order = rng.permutation(n + m)
    rows = torch.from_numpy(np.concatenate([source, target])[order])
    width: Any = bandwidth
    if isinstance(bandwidth, str):
        width = typical_distance(rows, bandwidth)
    relabelled = [order, *(rng.permutation(n + m) for _ in range(n_permutations))]
    is_source = torch.from_numpy(np.stack(relabelled, axis=1) < n).double()
    within, across, total = _pair_sums(kernel, rows, width, is_source)
    among_target = total - within - 2 * across
    statistics = (
        within / (n * (n - 1)) + among_target / (m * (m - 1)) - 2 * across / (n * m)
    ).numpy()
    check_finite(statistics[0], "X and X_target")
    statistic, others = statistics[0], statistics[1:]
    # Relabelling may give the same two sets of rows, and other roundings.
    n_larger = int((others >= statistic - 1e-12).sum())
    return MMDTest(float(statistic), (1 + n_larger) / (n_permutations + 1), others)


def _pair_sums(kernel, rows, bandwidth, is_source) -> tuple[Any, Any, Any]:
    """Sum the kernel over pairs of different rows: in the source, across domains, and all."""
    in_source = from_source = total = 0.0
    step = max(_BLOCK_ENTRIES // len(rows), 1)
    for start in range(0, len(rows), step):
        block, later = slice(start, start + step), slice(start, None)
        distances = squared_distances(rows[block], rows[later]) / bandwidth
        values = kernel.with_slope(distances)[0].triu_(1)  # every pair once
        in_source += 2 * (is_source[block] * (values @ is_source[later])).sum(dim=0)
        from_source += values.sum(dim=1) @ is_source[block] + values.sum(dim=0) @ is_source[later]
        total += 2 * values.sum()
    return in_source, from_source - in_source, total
