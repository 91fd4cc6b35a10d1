"""Rows of the target that are unlike any row of the source."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import betabinom
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from skda.diagnosis._tables import Table, encode

# Rows farther from their neighbours than this share of the source's are novel.
NOVEL_SHARE = 0.01
_N_NEIGHBORS = 3


@dataclass
class Novelty:
    """Which rows are far from the source.

    Parameters
    ----------
    in_source, in_target : ndarrays of bool
        In the source they are a share of about ``NOVEL_SHARE``, whatever it is.

    p_value : float
        Of so many in the target.
    """

    in_source: np.ndarray
    in_target: np.ndarray
    p_value: float


def find_novel(
    source: Table, target: Table, shares: np.ndarray, rng: np.random.RandomState
) -> Novelty:
    """Find rows that are farther from the source than nearly all of its own.

    One half of the source is there to be near to, the other half says what is far, and then the
    halves change places. If the domains do not differ, the share of target rows beyond the j-th
    farthest of m held-out rows is a Beta(j, m + 1 - j) variable.

    Parameters
    ----------
    source, target : Table
        Rows.

    shares : ndarray of shape (n_samples,)
        Of the source rows, with a sum of 1.

    rng : RandomState
        Splits the source.

    Returns
    -------
    novelty : Novelty
        A target row is novel by the mean of the logarithmic distances to both halves.
    """
    rows, others = encode(source, target)
    # The spread of the source alone: a far target must not make far rows look near.
    scaler = StandardScaler().fit(rows)
    rows, others = scaler.transform(rows), scaler.transform(others)
    halves = np.array_split(rng.permutation(len(rows)), 2)
    in_source, excess = np.zeros(len(rows), dtype=bool), np.zeros(len(others))
    p_values = []
    for near, held_out in (halves, halves[::-1]):
        # Rows that a reweighted source has no more are no neighbours.
        near = near[shares[near] > 0] if (shares[near] > 0).any() else near
        neighbors = NearestNeighbors(n_neighbors=min(_N_NEIGHBORS, len(near))).fit(rows[near])
        mine, theirs = (neighbors.kneighbors(part)[0][:, -1] for part in (rows[held_out], others))
        limit, beyond = _limit(mine, shares[held_out])
        in_source[held_out] = mine >= limit
        excess += np.log(np.maximum(theirs, 1e-300) / max(limit, 1e-300))
        found = np.count_nonzero(theirs >= limit) if limit > 0 else 0
        p_values.append(betabinom.sf(found - 1, len(others), *beyond))
    # Twice the mean of two p-values is one, however they depend on each other.
    return Novelty(in_source, excess >= 0, float(min(1, 2 * np.mean(p_values))))


def _limit(distances, shares):
    """Return the distance that few rows reach, and the parameters of the share that does."""
    if not shares.sum():
        shares = np.ones(len(shares))
    n = shares.sum() ** 2 / (shares**2).sum()
    order = np.argsort(-distances, kind="stable")
    cumulated = np.cumsum(shares[order]) / shares.sum()
    place = int(np.searchsorted(cumulated, NOVEL_SHARE))
    a = max(1.0, cumulated[place] * n)
    return distances[order[place]], (a, max(1.0, n + 1 - a))
