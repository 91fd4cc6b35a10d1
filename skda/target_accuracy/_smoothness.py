"""How often rows that are neighbours have one label, which asks nobody how sure it is."""

import numpy as np
from sklearn.neighbors import NearestNeighbors

N_NEIGHBORS = 5


def nearest_rows(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the five other rows that are nearest to every row, and how far they are away.

    Parameters
    ----------
    points : ndarray of shape (n_samples, n_dimensions)
        Rows.

    Returns
    -------
    neighbors : ndarray of int of shape (n_samples, n_neighbors)
        Numbers of rows, of fewer columns where there are fewer rows, and of none of one row.

    distances : ndarray of shape (n_samples, n_neighbors)
        Euclidean, the nearest first.
    """
    n_neighbors = min(N_NEIGHBORS, len(points) - 1)
    if n_neighbors < 1:
        return np.zeros((len(points), 0), dtype=int), np.zeros((len(points), 0))
    # Without rows they are those of fit, none of which is its own neighbour.
    distances, neighbors = NearestNeighbors(n_neighbors=n_neighbors).fit(points).kneighbors()
    return np.asarray(neighbors), np.asarray(distances)


def neighbors_of(points: np.ndarray) -> np.ndarray:
    """Return the numbers of the five other rows that are nearest to every row.

    Parameters
    ----------
    points : ndarray of shape (n_samples, n_dimensions)
        Rows.

    Returns
    -------
    neighbors : ndarray of int of shape (n_samples, n_neighbors)
        Those of :func:`nearest_rows`.
    """
    return nearest_rows(points)[0]


def neighbor_agreements(labels: np.ndarray, neighbors: np.ndarray) -> np.ndarray:
    """Return of every row the share of its neighbours that have its label.

    Parameters
    ----------
    labels : ndarray of shape (n_samples,)
        Class numbers.

    neighbors : ndarray of shape (n_samples, n_neighbors)
        Of :func:`neighbors_of`.

    Returns
    -------
    agreements : ndarray of shape (n_samples,)
        From 0 to 1; 0 without neighbours.
    """
    if not neighbors.shape[1]:
        return np.zeros(len(labels))
    return np.mean(labels[neighbors] == labels[:, None], axis=1)


def beyond_chance(agreements: np.ndarray, labels: np.ndarray) -> float:
    """Return the mean agreement of neighbours beyond that of labels in any order.

    Parameters
    ----------
    agreements : ndarray of shape (n_samples,)
        Of :func:`neighbor_agreements`.

    labels : ndarray of shape (n_samples,)
        Class numbers.

    Returns
    -------
    smoothness : float
        At most 1, and 0 for labels that know nothing of the rows (as in Cohen's kappa), or of
        which all are the same.
    """
    shares = np.bincount(labels) / len(labels)
    chance = np.sum(shares**2)
    return float((agreements.mean() - chance) / (1 - chance)) if chance < 1 else 0.0


def smoothness(labels: np.ndarray, neighbors: np.ndarray) -> float:
    """Return how often neighbours have one label, beyond chance.

    Parameters
    ----------
    labels : ndarray of shape (n_samples,)
        Class numbers.

    neighbors : ndarray of shape (n_samples, n_neighbors)
        Of :func:`neighbors_of`.

    Returns
    -------
    smoothness : float
        At most 1.
    """
    return beyond_chance(neighbor_agreements(labels, neighbors), labels)
