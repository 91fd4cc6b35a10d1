"""The closed form of CORAL."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from skda.subspace import CORAL


def covariance(rows, ridge=0.0):
    return np.cov(rows, rowvar=False) + ridge * np.eye(rows.shape[1])


@pytest.mark.parametrize("regularization", [1e-3, 1.0, 30.0])
@pytest.mark.parametrize("n_rows", [40, 5])
def test_the_map_is_that_of_dense_roots(domains, regularization, n_rows):
    """With fewer rows than columns too, where no matrix of all columns is formed."""
    X, X_target = (rows[:n_rows] for rows in domains)
    whitening = np.linalg.inv(sqrtm(covariance(X, regularization)))
    expected = X @ whitening @ sqrtm(covariance(X_target, regularization))
    coral = CORAL(regularization=regularization)
    np.testing.assert_allclose(coral.fit_transform(X, X_target=X_target), expected, rtol=1e-8)


def test_without_regularization_the_covariance_is_that_of_the_target(domains):
    X, X_target = domains
    X_new = CORAL(regularization=0).fit_transform(X, X_target=X_target)
    np.testing.assert_allclose(covariance(X_new), covariance(X_target), rtol=1e-9)


def test_regularization_keeps_away_from_the_covariance_of_the_target(domains):
    X, X_target = domains
    expected = covariance(X_target)
    distances = [
        np.linalg.norm(covariance(CORAL(regularization=r).fit_transform(X, X_target=X_target)) - e)
        for r, e in ((0, expected), (1, expected), (100, expected))
    ]
    assert distances[0] < 1e-9 < distances[1] < distances[2]


@pytest.mark.parametrize("regularization", [0, 1.0])
def test_equal_covariances_leave_the_source_as_it_is(domains, regularization):
    X, _ = domains
    rng = np.random.RandomState(1)
    X_target = rng.permutation(X) + 5
    X_new = CORAL(regularization=regularization).fit_transform(X, X_target=X_target)
    np.testing.assert_allclose(X_new, X, rtol=1e-9)


def test_by_default_units_do_not_matter(domains):
    X, X_target = domains
    expected = CORAL().fit_transform(X, X_target=X_target)
    for unit in (1 / 255, 1000):
        X_new = CORAL().fit_transform(unit * X, X_target=unit * X_target)
        np.testing.assert_allclose(X_new, unit * expected, rtol=1e-8)


def test_by_default_unit_variances_get_the_value_of_the_paper(domains):
    X, X_target = ((rows - rows.mean(0)) / rows.std(0, ddof=1) for rows in domains)
    coral = CORAL().fit(X, X_target=X_target)
    assert coral.regularization_ == pytest.approx(1)
    expected = CORAL(regularization=1).fit_transform(X, X_target=X_target)
    np.testing.assert_allclose(coral.transform(X, domain="source"), expected)
    assert CORAL(regularization=0.5).fit(X, X_target=X_target).regularization_ == 0.5


def test_constant_tables_stay_as_they_are():
    X = np.full((6, 2), 5.0)
    np.testing.assert_array_equal(CORAL().fit_transform(X, X_target=X + 1), X)


def test_target_rows_stay_as_they_are(domains):
    X, X_target = domains
    before = X_target.copy()
    X_new = CORAL().fit(X, X_target=X_target).transform(X_target)
    np.testing.assert_array_equal(X_new, X_target)
    X_new += 1
    np.testing.assert_array_equal(X_target, before)


def test_the_matrix_is_symmetric_only_if_the_covariances_commute(domains):
    X, X_target = domains

    def asymmetry(target):
        coral = CORAL().fit(X, X_target=target)
        matrix = coral.transform(np.eye(7), domain="source")
        return np.abs(matrix - matrix.T).max()

    assert asymmetry(3 * X) < 1e-12 < 0.01 < asymmetry(X_target)


def test_a_rank_deficient_source_without_regularization_is_finite(domains):
    X, X_target = domains[0][:4], domains[1]
    X_new = CORAL(regularization=0).fit_transform(X, X_target=X_target)
    assert np.isfinite(X_new).all() and np.abs(X_new).max() < 1e3


def test_negative_regularization_is_an_error(domains):
    with pytest.raises(ValueError, match="'regularization' parameter of CORAL"):
        CORAL(regularization=-1).fit(domains[0], X_target=domains[1])


def test_columns_keep_their_names():
    coral = CORAL().fit(np.eye(3), X_target=np.eye(3))
    assert coral.get_feature_names_out(["a", "b", "c"]).tolist() == ["a", "b", "c"]
