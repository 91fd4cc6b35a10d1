"""Shares of target domains, with intervals."""

from functools import partial

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from skda.adaptation import AdaBNClassifier
from skda.label_shift import PriorShiftClassifier, black_box_shares, regularized_shares
from skda.metrics import class_shares
from skda.subspace import CORAL

from .conftest import draw, posteriors

EQUAL, TARGET = np.full(3, 1 / 3), np.array([0.6, 0.3, 0.1])


class Posteriors(ClassifierMixin, BaseEstimator):
    """Knows the distributions of the rows, and is too sure."""

    classes_ = np.array(["a", "b", "c"])

    def __sklearn_is_fitted__(self):
        return True

    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        return posteriors(X, EQUAL, sharpness=2)


@pytest.fixture
def rows(rng):
    """Held-out source rows, their labels, and target rows."""
    (X, y), (X_target, _) = draw(EQUAL, 300, rng), draw(TARGET, 300, rng)
    return X, Posteriors.classes_[y], X_target


def digits(shares_from, seed=0):
    """Return a classifier, held-out rows and target rows of digits from `shares_from` on."""
    X, y = load_digits(return_X_y=True)
    order = np.random.RandomState(seed).permutation(len(X))
    X, y = X[order] / 16, y[order]
    target = np.arange(1200, len(X))[y[1200:] >= shares_from]
    clf = LogisticRegression(max_iter=500).fit(X[:600], y[:600])
    return clf, X[600:1200], y[600:1200], X[target], y[target]


def test_result_has_the_classes_of_the_estimator_and_intervals_about_the_shares(rows):
    result = class_shares(Posteriors(), *rows, random_state=0)
    assert result.classes.tolist() == ["a", "b", "c"]
    assert result.shares.sum() == pytest.approx(1)
    assert (result.lower < result.shares).all() and (result.shares < result.upper).all()
    assert np.abs(result.shares - TARGET).sum() < 0.15
    np.testing.assert_allclose(
        result.source_shares, np.unique(rows[1], return_counts=True)[1] / 300
    )
    assert result.p_value > 0.05


@pytest.mark.slow
@pytest.mark.parametrize("method", ["em", "bbse", "rlls"])
def test_intervals_hold_the_truth_as_often_as_they_say(method):
    """Of 100 repetitions the mean over the classes has a standard error of about 2 %."""
    inside = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        (X, y), (X_target, _) = draw(EQUAL, 300, rng), draw(TARGET, 300, rng)
        result = class_shares(
            Posteriors(),
            X,
            Posteriors.classes_[y],
            X_target,
            method=method,
            level=0.9,
            n_bootstraps=60,
            random_state=seed,
        )
        inside.append((result.lower <= TARGET) & (result.upper >= TARGET))
    assert 0.85 < np.mean(inside) < 0.95


def test_intervals_are_wider_with_fewer_rows_of_either_domain(rows):
    X, y, X_target = rows
    widths = []
    for source, target in ((300, 300), (60, 300), (300, 60)):
        result = class_shares(
            Posteriors(), X[:source], y[:source], X_target[:target], random_state=0
        )
        widths.append((result.upper - result.lower).mean())
    assert widths[1] > 1.2 * widths[0] and widths[2] > 1.2 * widths[0]


def test_same_random_state_same_intervals(rows):
    first, second, third = (
        class_shares(Posteriors(), *rows, n_bootstraps=20, random_state=seed) for seed in (0, 0, 1)
    )
    assert (first.lower == second.lower).all() and (first.lower != third.lower).any()


@pytest.mark.parametrize("seed", range(3))
def test_shares_of_real_rows(seed):
    clf, X, y, X_target, y_target = digits(5, seed)
    truth = np.bincount(y_target, minlength=10) / len(y_target)
    predicted = np.bincount(clf.predict(X_target), minlength=10) / len(y_target)
    errors = {}
    for method in ("em", "bbse", "rlls"):
        result = class_shares(clf, X, y, X_target, method=method, n_bootstraps=None)
        assert result.lower is None and result.upper is None
        errors[method] = np.abs(result.shares - truth).sum()
    # Measured: 0.02 to 0.04, 0.03 to 0.06 and as much; 0.06 to 0.10 by counting.
    assert errors["em"] < 0.05 and max(errors.values()) < 0.08
    assert errors["em"] < 0.7 * np.abs(predicted - truth).sum()


def test_targets_of_a_tuple_have_shares_each(rows):
    X, y, X_target = rows
    result = class_shares(Posteriors(), X, y, (X_target, X[:100]), n_bootstraps=5, random_state=0)
    assert result.shares.shape == result.lower.shape == result.upper.shape == (2, 3)
    assert result.p_value.shape == result.disagreement.shape == (2,)
    alone = class_shares(Posteriors(), X, y, X[:100], n_bootstraps=None)
    np.testing.assert_array_equal(result.shares[1], alone.shares)


def test_a_method_may_be_a_function(rows):
    named = class_shares(Posteriors(), *rows, method="bbse", n_bootstraps=None)
    given = class_shares(Posteriors(), *rows, method=black_box_shares, n_bootstraps=None)
    np.testing.assert_allclose(named.shares, given.shares, rtol=1e-12)
    near = partial(regularized_shares, regularization=100)
    found = class_shares(Posteriors(), *rows, method=near, n_bootstraps=None)
    np.testing.assert_allclose(found.shares, found.source_shares, atol=1e-4)
    with pytest.raises(ValueError, match="method must be"):
        class_shares(Posteriors(), *rows, method=lambda *arguments: [1.0], n_bootstraps=None)


@pytest.mark.parametrize(
    "estimator",
    [
        LinearSVC(),
        SVC(kernel="linear"),
        make_pipeline(StandardScaler(), LinearSVC()),
        GridSearchCV(LogisticRegression(), {"C": [1, 10]}, cv=2),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_classifiers_of_any_kind(estimator, rng):
    """Those with a decision function alone, of two classes and of three, pipelines, searches."""
    for n_classes in (2, 3):
        of_target = np.array([0.7, 0.2, 0.1])[:n_classes]
        of_target = of_target / of_target.sum()
        (X, y), (X_target, _) = (
            draw(shares, 600, rng) for shares in (np.full(n_classes, 1 / n_classes), of_target)
        )
        clf = estimator.fit(X[:300], y[:300])
        found = class_shares(clf, X[300:], y[300:], X_target, n_bootstraps=None)
        assert np.abs(found.shares - of_target).sum() < 0.2


@pytest.fixture(scope="module")
def shifted_network():
    """A network whose batch norms have other statistics in the target, 3 units away."""
    rng = np.random.default_rng(0)
    (X, y), (X_target, _) = draw(EQUAL, 600, rng), draw(TARGET, 300, rng)
    clf = AdaBNClassifier(max_epochs=10, random_state=0)
    return clf.fit(X[:300], y[:300], X_target=X_target + 3), X, y, X_target + 3


def test_source_rows_are_predicted_under_the_statistics_of_the_source(shifted_network):
    clf, X, y, X_target = shifted_network
    seen = {}

    def spy(target, source, codes):
        seen.update(target=target, source=source)
        return black_box_shares(target, source, codes)

    class_shares(clf, X[300:], y[300:], X_target, method=spy, n_bootstraps=None)
    for name, rows, domain in (("source", X[300:], "source"), ("target", X_target, "target")):
        np.testing.assert_allclose(seen[name], clf.predict_proba(rows, domain=domain), atol=1e-6)
    assert np.abs(seen["source"] - clf.predict_proba(X[300:])).max() > 0.1


@pytest.mark.filterwarnings("ignore::skda.exceptions.DomainScaleWarning")
def test_several_targets_of_a_network_have_their_own_statistics(rng):
    (X, y), (X_target, _) = draw(EQUAL, 300, rng), draw(TARGET, 200, rng)
    targets = X_target[:100] + 3, X_target[100:] - 3
    clf = AdaBNClassifier(max_epochs=5, random_state=0).fit(X, y, X_target=targets)
    seen = []

    def spy(target, source, codes):
        seen.append(target)
        return black_box_shares(target, source, codes)

    class_shares(clf, X, y, targets, method=spy, n_bootstraps=None)
    for number, rows in enumerate(targets):
        np.testing.assert_allclose(seen[number], clf.predict_proba(rows, domain=number), atol=1e-6)
    # Others than those of the fit, and another number of them, are rows of the target.
    seen.clear()
    class_shares(clf, X, y, (*targets, X_target), method=spy, n_bootstraps=None)
    np.testing.assert_allclose(seen[1], clf.predict_proba(targets[1]), atol=1e-6)


@pytest.mark.filterwarnings("ignore::skda.exceptions.DomainScaleWarning")
def test_steps_before_the_classifier_are_told_the_domain_too(rng):
    (X, y), (X_target, _) = draw(EQUAL, 300, rng), draw(TARGET, 200, rng)
    X_target = 5 * X_target
    coral = CORAL().fit(X, X_target=X_target)
    inner = LogisticRegression().fit(coral.transform(X, domain="source"), y)
    pipe = make_pipeline(coral, inner)
    seen = {}

    def spy(target, source, codes):
        seen.update(target=target, source=source)
        return black_box_shares(target, source, codes)

    class_shares(pipe, X, y, X_target, method=spy, n_bootstraps=None)
    mapped = coral.transform(X, domain="source")
    np.testing.assert_allclose(seen["source"], inner.predict_proba(mapped))
    np.testing.assert_allclose(seen["target"], inner.predict_proba(coral.transform(X_target)))


def test_errors_name_what_is_wrong(rows):
    X, y, X_target = rows
    with pytest.raises(NotFittedError):
        class_shares(LogisticRegression(), X, y, X_target)
    with pytest.raises(TypeError, match="estimator must be a fitted classifier"):
        class_shares(StandardScaler().fit(X), X, y, X_target)
    with pytest.raises(ValueError, match="X_target is None"):
        class_shares(Posteriors(), X, y, None)
    with pytest.raises(ValueError, match=r"y holds no row of class 'c'"):
        class_shares(Posteriors(), X[y != "c"], y[y != "c"], X_target)
    with pytest.raises(ValueError, match=r"y holds \['d'\], which are no classes"):
        class_shares(Posteriors(), X, np.where(y == "c", "d", y), X_target)
    with pytest.raises(ValueError, match="level must be a number between 0 and 1, got 95"):
        class_shares(Posteriors(), X, y, X_target, level=95)
    with pytest.raises(ValueError, match="level must be a number between 0 and 1, got 1000"):
        class_shares(Posteriors(), X, y, X_target, level=10**400)
    ovo = SVC(decision_function_shape="ovo").fit(
        *draw(np.full(4, 0.25), 80, np.random.default_rng(0))
    )
    with pytest.raises(ValueError, match=r"\(300, 6\), but there are 4 classes"):
        class_shares(ovo, np.c_[X, X[:, :1]], np.arange(300) % 4, np.c_[X, X[:, :1]])


def test_an_estimator_that_follows_target_shares_already_is_refused(rows):
    X, y, X_target = rows
    clf = PriorShiftClassifier(LogisticRegression()).fit(X, y, X_target=X_target)
    with pytest.raises(TypeError, match="look at its target_shares_"):
        class_shares(clf, X, y, X_target)
