"""The bound by disagreement."""

import numpy as np
import pytest
from scipy.optimize import check_grad
from scipy.special import expit
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from skda.metrics import disagreement_bound
from skda.target_accuracy import disagreement_discrepancy
from skda.target_accuracy._critic import critic_loss, fit_critic


def blobs(n_rows, rng, shift=0.0):
    """Return rows of two classes, which a shift moves along the line between them."""
    codes = rng.integers(0, 2, n_rows)
    return rng.normal(size=(n_rows, 3)) + (3 * codes - 1.5 + shift)[:, None] * [1, 1, 0], codes


@pytest.fixture
def clf(rng):
    return LogisticRegression().fit(*blobs(500, rng))


def test_without_shift_the_bound_is_near_the_accuracy(clf, rng):
    (X, y), (X_target, y_target) = blobs(2000, rng), blobs(2000, rng)
    result = disagreement_bound(clf, X, y, X_target, random_state=0)
    truth = clf.score(X_target, y_target)
    assert result.source_score == clf.score(X, y)
    assert truth - 0.1 < result.without_noise <= truth + 0.02
    assert result.lower_bound == pytest.approx(
        clf.score(X, y) - (result.disagreement - result.source_disagreement) - result.noise,
        abs=0.02,
    )


def test_noise_is_that_of_the_theorem(clf, rng):
    (X, y), (X_target, _) = blobs(200, rng), blobs(800, rng)
    result = disagreement_bound(clf, X, y, X_target, level=0.9, random_state=0)
    expected = np.sqrt((100 + 4 * 400) * np.log(10) / (2 * 100 * 400))
    assert result.noise == pytest.approx(expected)


@pytest.mark.parametrize("shift", [0.5, 1.0, 2.0])
def test_the_bound_holds_under_a_shift_of_the_rows(clf, rng, shift):
    (X, y), (X_target, y_target) = blobs(1000, rng), blobs(1000, rng, shift)
    result = disagreement_bound(clf, X, y, X_target, random_state=0)
    assert result.lower_bound <= result.without_noise <= clf.score(X_target, y_target) + 0.02


def test_a_larger_shift_has_a_lower_bound(clf, rng):
    X, y = blobs(1000, rng)
    bounds = [
        disagreement_bound(clf, X, y, blobs(1000, rng, shift)[0], random_state=0).without_noise
        for shift in (0.0, 1.0, 3.0)
    ]
    assert bounds[0] > bounds[1] > bounds[2]


def test_critic_agrees_where_it_is_asked_to_and_disagrees_elsewhere(rng):
    source, target = rng.normal(size=(200, 2)), rng.normal(size=(200, 2)) + [8, 0]
    codes = (source[:, 1] > 0).astype(int), (target[:, 1] > 0).astype(int)
    predict = fit_critic(source, codes[0], target, codes[1], 3)
    assert np.mean(predict(source) == codes[0]) > 0.95
    assert np.mean(predict(target) != codes[1]) > 0.95


def test_the_gradient_of_the_critic_is_that_of_its_loss(rng):
    source, target = rng.normal(size=(30, 4)), rng.normal(size=(20, 4))
    agreed, opposed = np.eye(3)[rng.integers(3, size=30)], np.eye(3)[rng.integers(3, size=20)]
    args = source, agreed, target, opposed - (1 - opposed) / 2
    for _ in range(3):
        flat = rng.normal(size=12)
        error = check_grad(
            lambda x: critic_loss(x, *args)[0], lambda x: critic_loss(x, *args)[1], flat
        )
        assert error < 1e-5


class Aligned(ClassifierMixin, BaseEstimator):
    """Takes the offset of the target away, if it is told the domain."""

    classes_ = np.arange(2)

    def __sklearn_is_fitted__(self):
        return True

    def fit(self, X, y):
        return self

    def transform(self, X, domain="target"):
        return X - (20 if domain == "target" else 0)

    def predict_proba(self, X, domain="target"):
        proba = expit(2 * self.transform(X, domain)[:, :2].sum(axis=1))
        return np.column_stack([1 - proba, proba])


def test_features_are_those_of_transform_under_the_domain(rng):
    """In rows alone the domains are far apart, and a third column would be all that counts."""
    (X, y), (X_target, _) = blobs(400, rng), blobs(400, rng)
    model = Aligned()
    seen = []
    model.transform = lambda rows, domain="target": (
        seen.append((rows is X, domain)) or Aligned.transform(model, rows, domain)
    )
    result = disagreement_bound(model, X, y, X_target + 20, random_state=0)
    assert set(seen) == {(True, "source"), (False, "target")}
    assert result.without_noise > 0.8


def test_several_targets_have_a_bound_each(clf, rng):
    X, y = blobs(300, rng)
    targets = blobs(300, rng)[0], blobs(300, rng, 3.0)[0]
    result = disagreement_bound(clf, X, y, targets, random_state=0)
    assert result.lower_bound.shape == result.disagreement.shape == (2,)
    assert result.without_noise[0] > result.without_noise[1]


@pytest.mark.parametrize(
    "model",
    [make_pipeline(StandardScaler(), LogisticRegression()), DecisionTreeClassifier()],
    ids=["pipeline", "tree"],
)
def test_rows_are_the_features_of_others(model):
    X, y = load_digits(n_class=3, return_X_y=True)
    model.fit(X[:200], y[:200])
    result = disagreement_bound(model, X[200:400], y[200:400], X[400:], random_state=0)
    assert 0 <= result.lower_bound <= result.without_noise <= 1


def test_a_collapsed_classifier_is_bounded_by_its_accuracy_on_the_source(rng):
    features, y = rng.normal(size=(200, 2)), np.arange(200) % 2
    proba = np.tile([1.0, 0.0], (200, 1))
    result = disagreement_discrepancy(
        proba, proba, y, target_features=features, source_features=features, random_state=0
    )
    assert result.without_noise < 0.65


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"level": 0}, "level must be"),
        ({"target_features": np.ones((3, 2))}, "target_features has 3"),
        ({"target_features": np.ones((8, 3))}, "target_features has 3 columns"),
        ({"source_features": np.full((8, 2), np.nan)}, "source_features must be"),
        ({"random_state": "a"}, "random_state must be"),
    ],
)
def test_errors_name_the_parameter(change, message):
    proba = np.eye(2)[np.arange(8) % 2]
    params = {"target_features": np.ones((8, 2)), "source_features": np.ones((8, 2)), **change}
    with pytest.raises(ValueError, match=message):
        disagreement_discrepancy(proba, proba, np.arange(8) % 2, **params)


def test_too_few_rows_are_refused(clf, rng):
    X, y = blobs(50, rng)
    with pytest.raises(ValueError, match=r"X_target .* has 3 rows"):
        disagreement_bound(clf, X, y, X[:3])
