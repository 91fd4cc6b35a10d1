"""How well features of one task will serve another, as numbers."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal
from sklearn.covariance import ledoit_wolf
from sklearn.datasets import load_digits

from skda.metrics import (
    h_score,
    leep_score,
    logme_score,
    n_leep_score,
    nce_score,
    transrate_score,
)
from skda.metrics._logme import _maximise_evidence


def n_leep(X, y):
    return n_leep_score(X, y, random_state=0)


def leep_of_features(X, y):
    return leep_score(np.exp(X) / np.exp(X).sum(axis=1, keepdims=True), y)


def nce_of_features(X, y):
    return nce_score(X.argmax(axis=1), y)


OF_FEATURES = [logme_score, h_score, transrate_score, n_leep]
ALL = [*OF_FEATURES, leep_of_features, nce_of_features]


@pytest.fixture(scope="module")
def task():
    """Noisy class indicators among features that say nothing."""
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=150)
    return np.hstack([3 * np.eye(3)[y], np.zeros((150, 4))]) + rng.normal(size=(150, 7)), y


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# -- what all scores have in common -----------------------------------------------------------


@pytest.mark.parametrize("score", ALL)
def test_permuted_labels_score_less(task, score, rng):
    X, y = task
    assert all(score(X, rng.permutation(y)) < score(X, y) for _ in range(5))


@pytest.mark.parametrize("score", [s for s in ALL if s is not n_leep])
def test_order_of_rows_does_not_matter(task, score, rng):
    X, y = task
    order = rng.permutation(len(y))
    assert score(X[order], y[order]) == pytest.approx(score(X, y), rel=1e-9)


@pytest.mark.parametrize("score", ALL)
def test_names_of_classes_do_not_matter(task, score):
    X, y = task
    assert score(X, np.array(["c", "a", "b"])[y]) == pytest.approx(score(X, y), rel=1e-9)


@pytest.mark.parametrize("score", ALL)
def test_scores_are_floats_of_any_input(task, score):
    X, y = np.float32(task[0]), task[1]
    X.flags.writeable = False
    value = score(X, y)
    assert isinstance(value, float)
    assert score(np.float64(X), y.tolist()) == pytest.approx(value, rel=1e-4)


@pytest.mark.parametrize("score", ALL)
def test_one_class_is_an_error(task, score):
    with pytest.raises(ValueError, match="one class"):
        score(task[0], np.zeros(len(task[1])))


@pytest.mark.parametrize("score", OF_FEATURES)
def test_more_features_than_rows(task, score, rng):
    """Columns of zeros and a rotation into more columns leave all inner products as they are."""
    X, y = task
    basis, _ = np.linalg.qr(rng.normal(size=(400, 7)))
    value = score(X @ basis.T, y)
    assert np.isfinite(value)
    if score is not h_score:  # which shrinks to a multiple of the identity
        assert value == pytest.approx(score(X, y), rel=1e-6)


@pytest.mark.filterwarnings("ignore:Number of distinct clusters")
@pytest.mark.parametrize("score", OF_FEATURES)
def test_constant_features_are_the_worst(task, score):
    X, y = task
    assert np.isfinite(score(np.ones_like(X), y))
    assert score(np.zeros_like(X), y) < score(X, y)


# -- NCE and LEEP -----------------------------------------------------------------------------


def test_nce_is_the_conditional_entropy(rng):
    z, y = rng.integers(4, size=200), rng.integers(3, size=200)
    joint = np.array([[np.mean((z == i) & (y == j)) for j in range(3)] for i in range(4)])
    conditional = joint / joint.sum(axis=1, keepdims=True)
    assert nce_score(z, y) == pytest.approx(np.sum(joint * np.log(conditional)), rel=1e-12)


def test_leep_of_one_hot_probabilities_is_nce(rng):
    z, y = rng.integers(4, size=200), rng.integers(3, size=200)
    assert leep_score(np.eye(4)[z], y) == pytest.approx(nce_score(z, y), rel=1e-12)


def test_leep_is_its_definition(rng):
    theta, y = rng.dirichlet(np.ones(4), size=50), rng.integers(3, size=50)
    total = 0
    for i in range(50):
        likelihood = sum(
            theta[i, z] * theta[y == y[i], z].sum() / theta[:, z].sum() for z in range(4)
        )
        total += np.log(likelihood)
    assert leep_score(theta, y) == pytest.approx(total / 50, rel=1e-12)


def test_leep_of_a_deterministic_map_is_zero(rng):
    z = rng.integers(6, size=100)
    assert leep_score(np.eye(6)[z], z // 2) == 0
    assert nce_score(z, z // 2) == 0


def test_leep_of_a_classifier_that_says_nothing_is_the_entropy():
    y = np.repeat([0, 1], [25, 75])
    entropy = -(0.25 * np.log(0.25) + 0.75 * np.log(0.75))
    assert leep_score(np.full((100, 5), 0.2), y) == pytest.approx(-entropy, rel=1e-12)


def test_leep_leaves_out_classes_without_probability(rng):
    theta, y = rng.dirichlet(np.ones(4), size=50), rng.integers(3, size=50)
    padded = np.insert(theta, [1, 4], 0.0, axis=1)
    assert leep_score(padded, y) == pytest.approx(leep_score(theta, y), rel=1e-12)


@pytest.mark.parametrize("theta", [[[2.0, -1.0], [0.5, 0.5]], [[3.0, 1.0], [0.5, 0.5]]])
def test_leep_refuses_logits(theta):
    with pytest.raises(ValueError, match="predict_proba"):
        leep_score(theta, [0, 1])


def test_n_leep_does_not_depend_on_the_unit(task):
    X, y = task
    assert n_leep(1e-3 * X, y) == pytest.approx(n_leep(X, y), rel=1e-6)


# -- H-score ----------------------------------------------------------------------------------


def test_h_score_of_class_indicators_is_the_number_of_classes_less_one(rng):
    y = np.repeat(np.arange(5), [3, 4, 5, 6, 7])
    assert h_score(np.eye(5)[y], y, shrinkage=0) == pytest.approx(4, abs=1e-10)


def test_h_score_without_shrinkage_is_its_definition(task):
    X, y = task
    means = np.stack([X[y == label].mean(axis=0) for label in y])
    expected = np.trace(np.linalg.pinv(np.cov(X.T)) @ np.cov(means.T))
    assert h_score(X, y, shrinkage=0) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("d", [5, 80])
def test_h_score_has_the_shrinkage_of_ledoit_and_wolf(rng, d):
    """More and fewer features than rows."""
    y = np.repeat([0, 1, 2], 20)
    X = rng.normal(size=(60, d)) * np.linspace(1, 3, d) + y[:, None]
    covariance, alpha = ledoit_wolf(X)
    means = np.stack([X[y == label].mean(axis=0) for label in y])
    expected = (1 - alpha) * np.trace(np.linalg.solve(covariance, np.cov(means.T, bias=True)))
    assert 0 < alpha < 1
    assert h_score(X, y) == pytest.approx(expected, rel=1e-8)


def test_no_invertible_map_changes_the_h_score_without_shrinkage(task, rng):
    X, y = task
    mapped = X @ rng.normal(size=(7, 7)) + 5
    assert h_score(mapped, y, shrinkage=0) == pytest.approx(h_score(X, y, shrinkage=0), rel=1e-8)


@pytest.mark.parametrize("shrinkage", [-0.1, 1.1, "ledoit", True])
def test_h_score_refuses_other_shrinkages(task, shrinkage):
    with pytest.raises(ValueError, match="shrinkage must be"):
        h_score(*task, shrinkage=shrinkage)


# -- LogME ------------------------------------------------------------------------------------


def _evidence(F, t, a, b):
    return multivariate_normal(cov=np.eye(len(t)) / b + F @ F.T / a).logpdf(t)


@pytest.mark.parametrize("d", [4, 60])
def test_logme_is_the_largest_marginal_likelihood(rng, d):
    """Of a Gaussian, computed by brute force and maximised without any of LogME's formulas."""
    y = np.repeat([0, 1, 2], [10, 15, 15])
    F = rng.normal(size=(40, d)) + np.eye(3, d)[y]
    largest = []
    for label in range(3):
        t = 1.0 * (y == label)
        starts = ([0, 0], [3, 3], [6, 3])
        optima = [
            minimize(lambda x, t=t: -_evidence(F, t, *np.exp(x)), x0, method="Nelder-Mead")
            for x0 in starts
        ]
        largest.append(-min(optimum.fun for optimum in optima) / 40)
    assert logme_score(F, y) == pytest.approx(np.mean(largest), abs=1e-5)


@pytest.mark.parametrize("d", [4, 60])
def test_evidence_is_the_marginal_likelihood_at_the_a_and_b_that_are_found(rng, d):
    F, t = rng.normal(size=(40, d)), rng.normal(size=40)
    t += F[:, 0]
    U, singular, _ = np.linalg.svd(F, full_matrices=False)
    inside = (U.T @ t) ** 2
    evidence, a, b = _maximise_evidence(singular**2, inside, max(t @ t - inside.sum(), 0), 40)
    assert evidence == pytest.approx(_evidence(F, t, a, b), rel=1e-9)


def test_logme_of_features_that_explain_nothing_is_that_of_noise():
    """The best b is then 1 / mean(t^2)."""
    y = np.repeat([0, 1], 20)
    X = np.tile([1.0, -1.0], 20)[:, None]  # at right angles to both indicators
    expected = -0.5 * (np.log(2 * np.pi * 0.5) + 1)
    assert logme_score(X, y) == pytest.approx(expected, abs=1e-9)
    assert logme_score(np.zeros((40, 3)), y) == pytest.approx(expected, abs=1e-9)


def test_logme_of_features_that_explain_all_is_finite():
    y = np.repeat([0, 1, 2], 20)
    assert 5 < logme_score(np.eye(3)[y], y) < 20


def test_logme_does_not_depend_on_the_unit(task):
    X, y = task
    assert logme_score(1e4 * X, y) == pytest.approx(logme_score(X, y), rel=1e-6)


# -- TransRate --------------------------------------------------------------------------------


def test_transrate_is_its_definition(task):
    X, y = task

    def rate(F):
        return np.linalg.slogdet(np.eye(7) + F.T @ F / (len(F) * 0.01))[1] / 2

    F = X - X.mean(axis=0)
    expected = rate(F) - sum(np.mean(y == c) * rate(F[y == c]) for c in range(3))
    assert transrate_score(X, y, distortion=0.01) == pytest.approx(expected, rel=1e-9)


def test_transrate_depends_on_the_unit(task):
    X, y = task
    assert transrate_score(10 * X, y) != pytest.approx(transrate_score(X, y), rel=1e-4)
    assert transrate_score(10 * X, y, distortion=1e-2) == pytest.approx(transrate_score(X, y))


def test_transrate_refuses_no_distortion(task):
    with pytest.raises(ValueError, match="distortion"):
        transrate_score(*task, distortion=0)


# -- real rows --------------------------------------------------------------------------------


@pytest.mark.parametrize("score", OF_FEATURES)
def test_whole_digits_serve_better_than_their_upper_rows(score):
    X, y = load_digits(return_X_y=True)
    assert score(X, y) > score(X[:, :16], y)
