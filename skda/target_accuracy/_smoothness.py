"""How often rows that are neighbours have one label, which asks nobody how sure it is."""

import numpy as np
from scipy import sparse
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

N_NEIGHBORS = 5
# As many steps as far as labels go; each takes them to the neighbours of neighbours.
_N_STEPS = 20
# Labels of which nothing is left would end as those of their region's majority.
_MOST_STRENGTH = 0.95


def neighbors_of(points: np.ndarray) -> np.ndarray:
    """Return the numbers of the five other rows that are nearest to every row.

    Parameters
    ----------
    points : ndarray of shape (n_samples, n_dimensions)
        Rows.

    Returns
    -------
    neighbors : ndarray of int of shape (n_samples, n_neighbors)
        Of fewer columns where there are fewer rows, and of none of one row.
    """
    n_neighbors = min(N_NEIGHBORS, len(points) - 1)
    if n_neighbors < 1:
        return np.zeros((len(points), 0), dtype=int)
    nearest = NearestNeighbors(n_neighbors=n_neighbors).fit(points)
    # Without rows they are those of fit, none of which is its own neighbour.
    return np.asarray(nearest.kneighbors(return_distance=False))


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


def spread(own: np.ndarray, neighbors: np.ndarray, strength: float) -> np.ndarray:
    """Return how much of every class rows have once their labels have spread among neighbours.

    Parameters
    ----------
    own : ndarray of shape (n_samples, n_classes)
        Of each row a 1 for its own label.

    neighbors : ndarray of shape (n_samples, n_neighbors)
        Of :func:`neighbors_of`.

    strength : float
        How much neighbours count against the row's own label, from 0 to 1.

    Returns
    -------
    parts : ndarray of shape (n_samples, n_classes)
        They sum to 1 in each row (Zhou et al., Learning with Local and Global Consistency, NIPS
        2003, section 2, with neighbours that count alike).
    """
    n_rows, n_neighbors = neighbors.shape
    if not n_neighbors:
        return own
    strength = min(strength, _MOST_STRENGTH)
    first = np.repeat(np.arange(n_rows), n_neighbors)
    entries = np.ones(neighbors.size), (first, neighbors.ravel())
    links = sparse.csr_matrix(entries, shape=(n_rows, n_rows))
    links = normalize(links.maximum(links.T), norm="l1")
    parts = own
    for _ in range(_N_STEPS):
        parts = strength * (links @ parts) + (1 - strength) * own
    return parts
