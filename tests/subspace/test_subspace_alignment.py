"""The closed form of subspace alignment."""

import numpy as np
import pytest
from scipy.linalg import qr, svd
from sklearn.decomposition import PCA

from skda.subspace import SubspaceAlignment


def basis(rows, n_components):
    return svd(rows - rows.mean(axis=0))[2][:n_components].T


def gram(rows):
    """What a rotation or a sign of the coordinates does not change."""
    return rows @ rows.T


def test_the_maps_are_those_of_the_paper(domains):
    X, X_target = domains
    start, end = basis(X, 3), basis(X_target, 3)
    alignment = SubspaceAlignment(n_components=3)
    X_new = alignment.fit_transform(X, X_target=X_target)
    expected = (X - X.mean(axis=0)) @ start @ (start.T @ end)
    np.testing.assert_allclose(gram(X_new), gram(expected), atol=1e-8)
    target_new = alignment.transform(X_target)
    mixed = expected @ ((X_target - X_target.mean(axis=0)) @ end).T
    np.testing.assert_allclose(X_new @ target_new.T, mixed, atol=1e-8)


def test_the_map_is_the_closest(domains):
    """No other linear map of the source axes is nearer to the target axes."""
    X, X_target = domains
    start, end = basis(X, 3), basis(X_target, 3)
    alignment = SubspaceAlignment(n_components=3).fit(X, X_target=X_target)
    best = np.linalg.lstsq(start, alignment.target_components_.T, rcond=None)[0]
    np.testing.assert_allclose(alignment.source_components_.T, start @ best, atol=1e-10)
    np.testing.assert_allclose(np.abs(alignment.target_components_ @ end), np.eye(3), atol=1e-10)


def test_equal_subspaces_give_a_principal_component_analysis(domains):
    X, _ = domains
    alignment = SubspaceAlignment(n_components=3)
    X_new = alignment.fit_transform(X, X_target=2 * X + 5)
    expected = PCA(3).fit_transform(X)
    np.testing.assert_allclose(np.abs(X_new), np.abs(expected), atol=1e-9)


def test_a_rotation_within_the_subspace_makes_the_map_orthogonal():
    rng = np.random.RandomState(0)
    rotation, _ = qr(rng.standard_normal((3, 3)))
    source = rng.standard_normal((50, 3)) * [3, 2, 1]
    X, X_target = (np.hstack([rows, np.zeros((50, 4))]) for rows in (source, source @ rotation))
    alignment = SubspaceAlignment(n_components=3).fit(X, X_target=X_target)
    matrix = basis(X, 3).T @ alignment.source_components_.T
    np.testing.assert_allclose(matrix.T @ matrix, np.eye(3), atol=1e-10)


def test_too_many_components_are_an_error(domains):
    with pytest.raises(ValueError, match="n_components=8 is too large"):
        SubspaceAlignment(n_components=8).fit(domains[0], X_target=domains[1])
