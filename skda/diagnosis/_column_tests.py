"""In which columns two domains differ."""

import numpy as np
from scipy.stats import chi2, kstwobign, norm

# A chi-squared statistic of fewer expected rows of a level is none.
_LEAST_EXPECTED = 5


def test_columns(source, target, shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Compare every column of two domains.

    Parameters
    ----------
    source, target : Table
        Rows.

    shares : ndarray of shape (n_samples,)
        Of the source rows, with a sum of 1.

    Returns
    -------
    statistics : ndarray of shape (n_columns,)
        The largest difference of distribution functions (of shares of levels, half their distance
        in L1), or the difference of the shares of missing values, if that is larger.

    p_values : ndarray of shape (n_columns,)
        Corrected for the two tests of a column, and for the number of columns.
    """
    n_source, n_target = 1 / (shares**2).sum(), len(target)
    statistics, p_values = [], []
    for number in range(source.numbers.shape[1]):
        known = [~np.isnan(table.numbers[:, number]) for table in (source, target)]
        mine, other = [
            table.numbers[rows, number] for table, rows in zip((source, target), known, strict=True)
        ]
        found = _distribution_test(mine, other, shares[known[0]])
        statistics.append(found[0])
        p_values.append(found[1])
    for codes, other in zip(source.codes.T, target.codes.T, strict=True):
        found = _level_test(codes[codes >= 0], other[other >= 0], shares[codes >= 0])
        statistics.append(found[0])
        p_values.append(found[1])
    absent = source.missing()
    rates = shares @ absent, target.missing().mean(axis=0)
    pooled = (n_source * rates[0] + n_target * rates[1]) / (n_source + n_target)
    deviation = np.sqrt(np.maximum(pooled * (1 - pooled), 1e-12) * (1 / n_source + 1 / n_target))
    # With the correction for continuity, which few rows need.
    excess = np.abs(rates[0] - rates[1]) - (1 / n_source + 1 / n_target) / 2
    by_missing = 2 * norm.sf(np.maximum(excess, 0) / deviation)
    has_missing = pooled > 0
    p_values = np.asarray(p_values)
    both = np.minimum(1, 2 * np.minimum(p_values, by_missing))
    statistics = np.maximum(statistics, np.abs(rates[0] - rates[1]))
    return statistics, _holm(np.where(has_missing, both, p_values))


def _distribution_test(source, target, shares):
    """Return the statistic of Kolmogorov and Smirnov, and its p-value for large samples."""
    if not len(source) or not len(target) or not shares.sum():
        return 0.0, 1.0
    shares = shares / shares.sum()
    order = np.argsort(source, kind="stable")
    cumulated = np.concatenate([[0], np.cumsum(shares[order])])
    points = np.unique(np.concatenate([source, target]))
    mine = cumulated[np.searchsorted(source[order], points, "right")]
    other = np.searchsorted(np.sort(target), points, "right") / len(target)
    statistic = float(np.abs(mine - other).max())
    n = 1 / ((shares**2).sum() + 1 / len(target))
    # M. A. Stephens 1970: makes the limit fit for few rows.
    return statistic, float(kstwobign.sf((np.sqrt(n) + 0.12 + 0.11 / np.sqrt(n)) * statistic))


def _level_test(source, target, shares):
    """Return half the distance in L1 of the shares of levels, and a chi-squared p-value."""
    if not len(source) or not len(target) or not shares.sum():
        return 0.0, 1.0
    n, m = shares.sum() ** 2 / (shares**2).sum(), len(target)
    n_levels = max(source.max(), target.max()) + 1
    mine = np.bincount(source, shares / shares.sum(), n_levels)
    other = np.bincount(target, minlength=n_levels) / m
    statistic = float(np.abs(mine - other).sum() / 2)
    pooled = (n * mine + m * other) / (n + m)
    is_rare = pooled * min(n, m) < _LEAST_EXPECTED
    groups = np.where(is_rare, n_levels, np.arange(n_levels))
    parts = [np.bincount(groups, values) for values in (mine, other, pooled)]
    used = parts[2] > 0
    if used.sum() < 2:
        return statistic, 1.0
    excess = ((parts[0] - parts[1])[used] ** 2 / parts[2][used]).sum() / (1 / n + 1 / m)
    return statistic, float(chi2.sf(excess, used.sum() - 1))


def _holm(p_values):
    """Return p-values corrected for their number (S. Holm 1979)."""
    order = np.argsort(p_values)
    stepped = p_values[order] * np.arange(len(p_values), 0, -1)
    corrected = np.empty(len(p_values))
    corrected[order] = np.minimum(1, np.maximum.accumulate(stepped))
    return corrected
