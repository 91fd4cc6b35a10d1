"""BDA between TCA and JDA, its estimate of the balance, and shares of classes."""

import numpy as np
import pytest
from scipy.linalg import eigh
from sklearn.dummy import DummyClassifier
from sklearn.neighbors import NearestCentroid

from skda.metrics import proxy_a_distance
from skda.subspace import BDA, JDA, TCA
from skda.subspace._bda import estimate_balance
from skda.subspace._transfer_components import discrepancy_factor


@pytest.fixture
def blobs():
    """Three classes of unequal shares in two domains; the target's classes move apart."""
    rng = np.random.RandomState(0)
    y = np.repeat([0, 1, 2], [30, 20, 10])
    y_target = np.repeat([0, 1, 2], [10, 15, 20])
    centres, moves = 6 * rng.standard_normal((3, 5)), rng.standard_normal((3, 5))
    X = rng.standard_normal((60, 5)) + centres[y]
    X_target = rng.standard_normal((45, 5)) + (centres + moves)[y_target]
    return X, y, X_target, y_target


def fit(transformer, blobs):
    X, y, X_target, _ = blobs
    return transformer.fit(X, y, X_target=X_target)


def class_means(rows, labels):
    return np.array([rows[labels == c].mean(axis=0) for c in range(3)])


def assert_solves(bda, blobs, differences):
    """Check against the eigenproblem of the given differences of means."""
    rows = np.vstack([blobs[0], blobs[2]])
    centred = rows - rows.mean(axis=0)
    _, W = eigh(centred.T @ centred, differences.T @ differences + np.eye(5))
    W = W[:, ::-1]
    signs = np.sign(np.sum(bda.coef_ * W, axis=0))
    np.testing.assert_allclose(bda.coef_ * signs, W, atol=1e-8 * np.abs(W).max())


@pytest.mark.parametrize("params", [{}, {"kernel": "rbf"}])
def test_a_balance_of_zero_is_tca(blobs, params):
    bda = fit(BDA(balance=0, **params), blobs)
    tca = fit(TCA(**params), blobs)
    np.testing.assert_allclose(bda.coef_, tca.coef_, atol=1e-10 * np.abs(tca.coef_).max())


def test_a_balance_of_one_half_is_in_proportion_to_jda():
    counts = np.array([10, 20]), np.array([7, 5])
    half = discrepancy_factor(*counts, marginal=0.5, conditional=0.5)
    jda = discrepancy_factor(*counts, marginal=1, conditional=1)
    np.testing.assert_allclose(half, np.sqrt(0.5) * jda)


def test_a_balance_of_one_half_is_jda_if_the_mmd_is_normalised(blobs):
    bda = fit(BDA(balance=0.5, normalize_mmd=True), blobs)
    jda = fit(JDA(normalize_mmd=True), blobs)
    np.testing.assert_allclose(bda.coef_, jda.coef_, atol=1e-10 * np.abs(jda.coef_).max())


def test_a_balance_of_one_knows_classes_alone(blobs):
    X, y, X_target, y_target = blobs
    bda = fit(BDA(balance=1), blobs)
    assert_solves(bda, blobs, class_means(X, y) - class_means(X_target, y_target))


def test_the_balance_weighs_squared_distances(blobs):
    X, y, X_target, y_target = blobs
    bda = fit(BDA(balance=0.3), blobs)
    domains = X.mean(axis=0) - X_target.mean(axis=0)
    classes = class_means(X, y) - class_means(X_target, y_target)
    assert_solves(bda, blobs, np.vstack([np.sqrt(0.7) * domains, np.sqrt(0.3) * classes]))


def test_the_first_labels_come_from_tca(blobs):
    bda = fit(BDA(balance=1, n_iter=1), blobs)
    np.testing.assert_allclose(bda.coef_, fit(TCA(), blobs).coef_, atol=1e-12)
    assert not hasattr(bda, "balance_")


def test_weighted_classes_count_with_the_roots_of_their_shares(blobs):
    X, y, X_target, y_target = blobs
    bda = fit(BDA(balance=1, weighted=True), blobs)
    source = np.sqrt([[1 / 2], [1 / 3], [1 / 6]]) * class_means(X, y)
    target = np.sqrt([[2 / 9], [1 / 3], [4 / 9]]) * class_means(X_target, y_target)
    assert_solves(bda, blobs, source - target)


def test_equal_shares_weigh_all_classes_alike():
    counts = np.array([10, 10]), np.array([7, 7])
    plain = discrepancy_factor(*counts, marginal=0, conditional=1)
    weighted = discrepancy_factor(*counts, marginal=0, conditional=1, weighted=True)
    np.testing.assert_allclose(weighted, plain * np.sqrt(1 / 2))


# -- the estimate of the balance ----------------------------------------------------------------


def test_the_estimate_is_the_share_of_the_classes_a_distances(blobs):
    X, y, X_target, y_target = blobs
    rng = np.random.RandomState(0)
    of_classes = [
        proxy_a_distance(X[y == c], X_target[y_target == c], random_state=rng) for c in range(3)
    ]
    of_domains = proxy_a_distance(X, X_target, random_state=rng)
    expected = np.mean(of_classes) / (np.mean(of_classes) + of_domains)
    rng = np.random.RandomState(0)
    assert estimate_balance(X, y, X_target, y_target, rng) == pytest.approx(expected)


def test_classes_that_move_against_each_other_raise_the_balance():
    rng = np.random.RandomState(0)
    y = np.arange(400) % 2
    X, X_target = rng.standard_normal((2, 400, 3))
    moved_together = X_target + 4
    # The domains overlap as a whole: class 0 goes where class 1 was.
    X[:, 0] += np.where(y == 0, 4, -4)
    apart = X_target.copy()
    apart[:, 0] += np.where(y == 0, -4, 4)
    assert estimate_balance(X, y, apart, y, 0) > 0.85
    same = X + rng.standard_normal(X.shape) * 1e-3
    assert estimate_balance(X, y, same + 9, y, 0) == pytest.approx(0.5, abs=0.02)
    assert estimate_balance(X, y, moved_together, y, 0) < 0.6


def test_the_estimate_does_without_classes_of_one_row(blobs):
    X, y, X_target, y_target = blobs
    assert estimate_balance(X, y, X_target[:1], y_target[:1], 0) == 0
    rare = np.where(np.arange(60) == 0, 3, y)
    rare_target = np.where(np.arange(45) == 0, 3, y_target)
    assert 0 < estimate_balance(X, rare, X_target, rare_target, 0) < 1


def test_auto_uses_its_estimate(blobs):
    auto = fit(BDA(random_state=0, n_iter=2), blobs)
    assert 0.3 < auto.balance_ < 0.7
    fixed = fit(BDA(balance=auto.balance_, n_iter=2), blobs)
    np.testing.assert_array_equal(fixed.coef_, auto.coef_)


def test_the_estimate_is_that_of_the_random_state(blobs):
    X, y, X_target, _ = blobs
    X_target = X_target - X_target.mean(axis=0) + X.mean(axis=0)
    balances = [
        BDA(random_state=seed, n_iter=2).fit(X, y, X_target=X_target).balance_ for seed in (0, 0, 1)
    ]
    assert balances[0] == balances[1] != balances[2]


# -- labels -------------------------------------------------------------------------------------


def test_a_target_of_one_class_is_no_problem(blobs):
    bda = fit(BDA(classifier=DummyClassifier(strategy="constant", constant=2)), blobs)
    X, y, X_target, _ = blobs
    domains = X.mean(axis=0) - X_target.mean(axis=0)
    class_2 = X[y == 2].mean(axis=0) - X_target.mean(axis=0)
    b = bda.balance_
    assert_solves(bda, blobs, np.vstack([np.sqrt(1 - b) * domains, np.sqrt(b) * class_2]))


@pytest.mark.parametrize("weighted", [False, True])
def test_labels_may_be_strings(blobs, weighted):
    X, y, X_target, _ = blobs
    params = {"classifier": NearestCentroid(), "weighted": weighted, "balance": 0.4}
    names = np.array(["b", "c", "a"])[y]
    by_name = BDA(**params).fit(X, names, X_target=X_target)
    by_number = BDA(**params).fit(X, y, X_target=X_target)
    np.testing.assert_allclose(by_name.coef_, by_number.coef_, atol=1e-12)


@pytest.mark.parametrize("params", [{"balance": 1.1}, {"balance": "mean"}, {"weighted": "yes"}])
def test_a_bad_parameter_is_named(blobs, params):
    with pytest.raises(ValueError, match=f"'{next(iter(params))}' parameter of BDA"):
        fit(BDA(**params), blobs)
