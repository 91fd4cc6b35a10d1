"""Who is near to whom among target rows: by it the labels of judges are weighed and mended."""

import numpy as np
from sklearn.neighbors import NearestNeighbors

from skda.target_accuracy._smoothness import N_NEIGHBORS, neighbors_of, smoothness, spread

# Neighbours are looked for among that many rows of a domain; more would cost time.
_MOST_ROWS = 2000


class Neighborhood:
    """Rows of one domain as points.

    Parameters
    ----------
    points : ndarray of shape (n_samples, n_dimensions)
        The rows.

    rng : RandomState
        Draws those among which neighbours are looked for, where there are more than 2000.
    """

    def __init__(self, points: np.ndarray, rng: np.random.RandomState):
        self.points = points
        self.drawn = np.sort(rng.permutation(len(points))[:_MOST_ROWS])
        self.neighbors = neighbors_of(points[self.drawn])

    def smoothness(self, labels: np.ndarray) -> float:
        """Return how often neighbours have one label, beyond chance."""
        return smoothness(labels[self.drawn], self.neighbors)

    def spread(self, labels: np.ndarray, strength: float) -> np.ndarray:
        """Return labels of all rows after they have spread among neighbours.

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
        if strength <= 0:
            return labels
        own = np.eye(labels.max() + 1)[labels]
        parts = spread(own[self.drawn], self.neighbors, strength)
        mended = own.copy()
        mended[self.drawn] = parts
        others = np.setdiff1d(np.arange(len(labels)), self.drawn)
        if len(others):
            nearest = NearestNeighbors(n_neighbors=N_NEIGHBORS).fit(self.points[self.drawn])
            near = nearest.kneighbors(self.points[others], return_distance=False)
            mended[others] = strength * parts[near].mean(axis=1) + (1 - strength) * own[others]
        return mended.argmax(axis=1)
