"""Which kind of shift it is: the one that leaves least when it is undone."""

import numpy as np
from scipy.stats import norm

from skda.diagnosis._explanations import affine_maps, explain
from skda.diagnosis._two_sample import N_TESTS

# Where only larger A-distances would be seen nothing can be said.
_BLIND = 0.9
# A kind is named if that part of the evidence, as a logarithm, and of the A-distance are left at
# most: of many rows some always is.
_EVIDENCE_LEFT = 0.2
_DISTANCE_LEFT = 0.5
# For small shifts of Gaussian rows an area beyond 1/2 is that part of an accuracy beyond 1/2.
_ACCURACY_BY_AREA = 0.71


def detectable_distance(n_source: int, n_target: int, level: float) -> float:
    """Return the A-distance that the domain classifier's test would see half of the time.

    Parameters
    ----------
    n_source, n_target : int
        Rows, of which the test has a half at a time.

    level : float
        1 - level is the share of false alarms.
    """
    deviation = np.sqrt((2 / n_source + 2 / n_target) / 12)
    area = norm.isf((1 - level) / N_TESTS) * deviation
    return float(min(2, 4 * _ACCURACY_BY_AREA * area))


def find_kind(source, target, first, classes, rng, level):
    """Return the kind of shift, and what was tried.

    Parameters
    ----------
    source, target : Table
        Rows.

    first : Comparison
        Of them as they are.

    classes : Classes or None
        Of the source.

    rng : RandomState
        Splits the rows.

    level : float
        1 - level is the share of false alarms.

    Returns
    -------
    kind : str
        As in :class:`~skda.diagnosis.Diagnosis`.

    tried : list of Explanation
        Empty if there is nothing to explain.
    """
    alpha = 1 - level
    if detectable_distance(len(source), len(target), level) > _BLIND:
        return "undecided", []
    if first.p_value >= alpha:
        return "none", []
    tried = explain(source, target, classes, first.novelty, rng, level)
    # Of p-values of 1 the first is the simplest.
    best = max(tried, key=lambda one: one.comparison.p_value, default=None)
    if best is None or not _is_explained(first, best.comparison, alpha):
        return "covariate", tried
    if best.kind == "class shares" and classes.missing.any():
        return "missing classes", tried
    return best.kind, tried


def _is_explained(before, after, alpha):
    if after.lower > 0 and after.distance > _DISTANCE_LEFT * before.distance:
        return False
    if after.p_value >= alpha:
        # Of a p-value just below alpha chance makes one above it.
        return after.p_value >= 10 * before.p_value
    logs = [np.log(one.p_value + 1e-300) for one in (after, before)]
    return logs[0] > _EVIDENCE_LEFT * logs[1]


def column_table(source, target, comparison) -> dict[str, np.ndarray]:
    """Return the table of columns, see :class:`~skda.diagnosis.Diagnosis`."""
    factor, offset = affine_maps(source, target)
    rest = np.full(source.codes.shape[1], np.nan)
    return {
        "column": np.array(source.names, dtype=object),
        "statistic": np.asarray(comparison.statistics),
        "p_value": comparison.column_p_values,
        "source_missing": source.missing().mean(axis=0),
        "target_missing": target.missing().mean(axis=0),
        "factor": np.concatenate([factor, rest]),
        "offset": np.concatenate([offset, rest]),
    }


def explanation_table(first, tried) -> dict[str, np.ndarray]:
    """Return the table of explanations, see :class:`~skda.diagnosis.Diagnosis`."""
    kinds = ["nothing", *(one.kind for one in tried)]
    left = [first, *(one.comparison for one in tried)]
    figures = ("distance", "lower", "upper", "p_value")
    return {"kind": np.array(kinds, dtype=object)} | {
        figure: np.array([getattr(one, figure) for one in left], dtype=float) for figure in figures
    }
