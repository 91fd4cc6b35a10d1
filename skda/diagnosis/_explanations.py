"""What the source must be made to look like the target: each kind of shift, undone in turn."""

from dataclasses import dataclass, replace

import numpy as np

from skda.diagnosis._tables import Table
from skda.diagnosis._two_sample import Comparison, compare

# Of fewer rows, or of weights that stand for fewer, nothing is left to be seen.
_LEAST_ROWS = 20
# If most rows are novel, the domain is, and not some rows.
_MOST_NOVEL = 0.5


@dataclass
class Explanation:
    """The domains after one kind of shift is undone.

    Parameters
    ----------
    kind : str
        Of the shift.

    comparison : Comparison
        What is left of the difference.
    """

    kind: str
    comparison: Comparison


def explain(source, target, classes, novelty, rng, level) -> list[Explanation]:
    """Undo each kind of shift that there can be, and compare the domains again.

    Parameters
    ----------
    source, target : Table
        Rows.

    classes : Classes or None
        Of the source.

    novelty : Novelty
        Which rows are far from the source.

    rng : RandomState
        Splits the rows.

    level : float
        Of intervals.

    Returns
    -------
    explanations : list of Explanation
        In the order of how little they ask for.
    """
    pairs = {}
    if source.missing().any() or target.missing().any():
        pairs["missing values"] = (*_same_missing(source, target, rng), None)
    if classes is not None:
        ratios = classes.shares / np.maximum(classes.source_shares, 1e-12)
        pairs["class shares"] = source, target, ratios[classes.codes]
    if source.numbers.shape[1]:
        pairs["scale or offset"] = _affine(source, target), target, None
    if 0 < novelty.in_target.mean() <= _MOST_NOVEL:
        pairs["novel rows"] = source.take(~novelty.in_source), target.take(~novelty.in_target), None
    return [
        Explanation(kind, compare(one, other, rng, level=level, weights=weights))
        for kind, (one, other, weights) in pairs.items()
        if min(_n_effective(one, weights), len(other)) >= _LEAST_ROWS
    ]


def _n_effective(table, weights):
    return len(table) if weights is None else weights.sum() ** 2 / (weights**2).sum()


def _same_missing(source, target, rng):
    """Return both with as many missing values: what the other lacks is taken at random."""
    tables = []
    rates = [table.missing().mean(axis=0) for table in (source, target)]
    for table, mine, other in ((source, rates[0], rates[1]), (target, rates[1], rates[0])):
        chance = np.clip((other - mine) / np.maximum(1 - mine, 1e-12), 0, 1)
        drop = rng.uniform(size=(len(table), len(chance))) < chance
        n_numbers = table.numbers.shape[1]
        tables.append(
            replace(
                table,
                numbers=np.where(drop[:, :n_numbers], np.nan, table.numbers),
                codes=np.where(drop[:, n_numbers:], -1, table.codes),
            )
        )
    return tables


def affine_maps(source: Table, target: Table) -> tuple[np.ndarray, np.ndarray]:
    """Return the factor and the offset that give each column of numbers the target's moments."""
    moments = []
    for table in (source, target):
        known = np.where(np.isnan(table.numbers), 0, 1)
        n = np.maximum(known.sum(axis=0), 1)
        values = np.nan_to_num(table.numbers)
        mean = values.sum(axis=0) / n
        moments.append((mean, np.sqrt((known * (values - mean) ** 2).sum(axis=0) / n)))
    (mean, spread), (target_mean, target_spread) = moments
    can_stretch = (spread > 1e-12) & (target_spread > 1e-12)
    factor = np.where(can_stretch, target_spread / np.where(can_stretch, spread, 1), 1.0)
    return factor, target_mean - factor * mean


def _affine(source: Table, target: Table) -> Table:
    factor, offset = affine_maps(source, target)
    return replace(source, numbers=source.numbers * factor + offset)
