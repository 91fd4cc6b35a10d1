"""Who is near to whom among target rows: by it the labels of judges are weighed and mended."""

from functools import cached_property

import numpy as np
from scipy import sparse
from sklearn.neighbors import NearestNeighbors

from skda.target_accuracy._smoothness import N_NEIGHBORS, nearest_rows, smoothness

# Neighbours are looked for among that many rows of a domain; more would cost time.
_MOST_ROWS = 2000
# A row that is further away than twice the usual is no neighbour: of a class of three rows two of
# the five nearest are of others. From 2 to 3 the study's tuning half was the same.
_FURTHEST = 2.0
# As many steps as far as labels go; each takes them to the neighbours of neighbours.
_N_STEPS = 20
# Labels of which nothing is left would end as those of their region's majority.
_MOST_STRENGTH = 0.95
_CHUNK = 4096


class Neighborhood:
    """Rows of one domain as points.

    Parameters
    ----------
    points : ndarray of shape (n_samples, n_dimensions)
        The rows.

    rng : RandomState
        Draws those among which neighbours are looked for, where there are more than 2000.

    usual : float, default=None
        How far the fifth neighbour usually is, for what is too far to be one; None takes the
        median of these rows.
    """

    def __init__(self, points: np.ndarray, rng: np.random.RandomState, usual: float | None = None):
        self.points = points
        self.drawn = np.sort(rng.permutation(len(points))[:_MOST_ROWS])
        self.neighbors, self.distances = nearest_rows(points[self.drawn])
        if usual is None:
            usual = float(np.median(self.distances[:, -1])) if self.distances.size else 0.0
        self.usual = usual

    def smoothness(self, labels: np.ndarray) -> float:
        """Return how often neighbours have one label, beyond chance."""
        return smoothness(labels[self.drawn], self.neighbors)

    def spread(self, labels: np.ndarray, strength: float) -> np.ndarray:
        """Return labels of all rows after they have spread among neighbours.

        A row gets those of its neighbours by `strength`, and keeps its own by what is left (Zhou
        et al., Learning with Local and Global Consistency, NIPS 2003, section 2, with neighbours
        that count alike). What has fewer than five neighbours keeps more of its own. Rows of a
        class that would lose more than half of them stay as they are: classes that are rare here
        are outvoted where they meet others.

        Parameters
        ----------
        labels : ndarray of int of shape (n_samples,)
            Class numbers.

        strength : float
            How much neighbours count against a row's own label, from 0 to 1.

        Returns
        -------
        labels : ndarray of int of shape (n_samples,)
            Class numbers. Rows that were not drawn hear of the nearest that were.
        """
        if strength <= 0 or not self.neighbors.size:
            return labels
        strength = min(strength, _MOST_STRENGTH)
        n_classes = labels.max() + 1
        own = np.eye(n_classes)[labels[self.drawn]]
        links, shares = self._links
        kept = 1 - strength * shares
        parts = own
        for _ in range(_N_STEPS):
            parts = strength * (links @ parts) + kept * own
        mended = labels.copy()
        mended[self.drawn] = parts.argmax(axis=1)
        others, near, shares = self._others
        for start in range(0, len(others), _CHUNK):
            chunk = slice(start, start + _CHUNK)
            own = np.eye(n_classes)[labels[others[chunk]]]
            heard = strength * (near[chunk] @ parts) + (1 - strength * shares[chunk]) * own
            mended[others[chunk]] = heard.argmax(axis=1)
        before, after = (np.bincount(codes, minlength=n_classes) for codes in (labels, mended))
        is_rare = after < before / 2
        return np.where(is_rare[labels], labels, mended)

    @cached_property
    def _links(self):
        """What every drawn row hears of each, and how much that is in all, at most 1."""
        n_rows = len(self.drawn)
        links = self._matrix(self.neighbors, self.distances, n_rows)
        return self._as_shares(links.maximum(links.T))

    @cached_property
    def _others(self):
        """Rows that were not drawn, and the same of them."""
        others = np.setdiff1d(np.arange(len(self.points)), self.drawn)
        if not len(others):
            return others, sparse.csr_matrix((0, len(self.drawn))), np.zeros((0, 1))
        nearest = NearestNeighbors(n_neighbors=N_NEIGHBORS).fit(self.points[self.drawn])
        distances, near = nearest.kneighbors(self.points[others])
        return others, *self._as_shares(self._matrix(near, distances, len(self.drawn)))

    def _matrix(self, neighbors, distances, n_columns):
        is_near = distances <= _FURTHEST * self.usual
        rows = np.nonzero(is_near)[0]
        entries = np.ones(len(rows)), (rows, neighbors[is_near])
        return sparse.csr_matrix(entries, shape=(len(neighbors), n_columns))

    @staticmethod
    def _as_shares(links):
        n_links = np.diff(links.indptr)
        shares = np.minimum(n_links / N_NEIGHBORS, 1)[:, None]
        scale = shares[:, 0] / np.maximum(n_links, 1)
        return sparse.diags(scale) @ links, shares
