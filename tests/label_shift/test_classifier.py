"""Predictions that follow the shares of the target."""

import warnings

import numpy as np
import pytest
import sklearn
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import parametrize_with_checks

import skda
from skda.adaptation import AdaBNClassifier
from skda.exceptions import LabelShiftWarning, NoTargetWarning
from skda.label_shift import PriorShiftClassifier, is_one_class_alone, reweight_probabilities

from .conftest import draw, posteriors

EQUAL, TARGET = np.full(3, 1 / 3), np.array([0.8, 0.15, 0.05])


@pytest.mark.filterwarnings("ignore::skda.exceptions.NoTargetWarning")
@parametrize_with_checks(
    [PriorShiftClassifier(LogisticRegression()), PriorShiftClassifier(LinearSVC(), method="rlls")]
)
def test_check_estimator(estimator, check):
    check(estimator)


@pytest.fixture
def domains(rng):
    """Source rows and labels, target rows and labels."""
    return *draw(EQUAL, 600, rng, 1.0), *draw(TARGET, 400, rng, 1.0)


def logistic(**params):
    return PriorShiftClassifier(LogisticRegression(), **params)


@pytest.mark.parametrize("method", ["em", "bbse", "rlls"])
def test_predictions_are_almost_as_good_as_those_of_the_true_shares(domains, method):
    X, y, X_target, y_target = domains
    clf = logistic(method=method).fit(X, y, X_target=X_target)
    best = np.mean(posteriors(X_target, TARGET, 1.0).argmax(axis=1) == y_target)
    plain = LogisticRegression().fit(X, y).score(X_target, y_target)
    assert plain < best - 0.08
    assert clf.score(X_target, y_target) > best - 0.03
    assert np.abs(clf.target_shares_ - TARGET).sum() < 0.2
    np.testing.assert_allclose(clf.source_shares_, np.bincount(y) / len(y))
    assert clf.p_value_ > 0.01


@pytest.mark.parametrize("seed", range(3))
def test_accuracy_on_real_rows_of_few_classes(seed):
    """Measured over six random states: from 95.1 to 98.0 %."""
    X, y = load_digits(return_X_y=True)
    order = np.random.RandomState(seed).permutation(len(X))
    X, y = X[order] / 16, y[order]
    target = np.arange(900, len(X))[y[900:] >= 5]
    clf = PriorShiftClassifier(LogisticRegression(max_iter=500), cv=3)
    clf.fit(X[:900], y[:900], X_target=X[target])
    plain = LogisticRegression(max_iter=500).fit(X[:900], y[:900])
    assert clf.score(X[target], y[target]) > plain.score(X[target], y[target]) + 0.01
    assert clf.target_shares_[:5].sum() < 0.03


def test_probabilities_are_the_calibrated_ones_weighted(domains):
    X, y, X_target, _ = domains
    clf = logistic().fit(X, y, X_target=X_target)
    calibrated = clf.calibration_(clf.estimator_.predict_proba(X_target))
    np.testing.assert_allclose(clf.predict_proba(X_target, domain="source"), calibrated)
    weighted = reweight_probabilities(calibrated, clf.source_shares_, clf.target_shares_)
    np.testing.assert_allclose(clf.predict_proba(X_target), weighted)
    assert (clf.predict(X_target) == clf.classes_[weighted.argmax(axis=1)]).all()


def test_without_a_target_it_is_the_classifier(domains):
    X, y, X_target, _ = domains
    with pytest.warns(NoTargetWarning, match="pass unlabeled rows"):
        clf = logistic().fit(X, y)
    plain = LogisticRegression().fit(X, y)
    np.testing.assert_array_equal(clf.predict_proba(X_target), plain.predict_proba(X_target))
    np.testing.assert_array_equal(clf.predict(X_target), plain.predict(X_target))
    np.testing.assert_array_equal(clf.target_shares_, clf.source_shares_)
    with pytest.raises(ValueError, match="pass X_target to fit"):
        clf.adapt(X_target)


def test_held_out_probabilities_are_of_rows_that_were_not_trained_on(rng):
    """One that learns rows by heart is right about them, and wrong about others."""
    from sklearn.tree import DecisionTreeClassifier

    X, y = draw(EQUAL, 300, rng, 0.5)
    clf = PriorShiftClassifier(DecisionTreeClassifier(random_state=0))
    clf.fit(X, y, X_target=draw(TARGET, 300, rng, 0.5)[0])
    found = clf.predict_proba(X, domain="source").max(axis=1)
    # A tree says 1 of all rows; it is right in less than half of those it has not seen.
    assert found.max() < 0.6


def test_other_rows_have_other_shares_without_another_fit(domains, rng):
    X, y, X_target, _ = domains
    clf = logistic().fit(X, y, X_target=X_target)
    network = clf.estimator_
    tomorrow, _ = draw(TARGET[::-1], 400, rng, 1.0)
    assert clf.adapt(tomorrow) is clf
    assert clf.estimator_ is network
    np.testing.assert_allclose(
        clf.target_shares_, logistic().fit(X, y, X_target=tomorrow).target_shares_
    )
    assert np.abs(clf.target_shares_ - TARGET[::-1]).sum() < 0.3


def test_several_targets_have_shares_each_and_a_mixture(domains, rng):
    X, y, X_target, _ = domains
    other, _ = draw(TARGET[::-1], 100, rng, 1.0)
    clf = logistic().fit(X, y, X_target=(X_target, other))
    assert clf.target_shares_.shape == (2, 3) and clf.p_value_.shape == (2,)
    calibrated = clf.predict_proba(other, domain="source")
    for domain, shares in (
        (0, clf.target_shares_[0]),
        (1, clf.target_shares_[1]),
        ("target", 0.8 * clf.target_shares_[0] + 0.2 * clf.target_shares_[1]),
    ):
        np.testing.assert_allclose(
            clf.predict_proba(other, domain=domain),
            reweight_probabilities(calibrated, clf.source_shares_, shares),
        )
    with pytest.raises(ValueError, match='domain must be "source" or "target"'):
        clf.predict(other, domain=2)


def test_rows_of_another_look_keep_the_shares_of_the_source_with_a_warning(domains):
    X, y, X_target, _ = domains
    X_target = 3 * X_target + 2
    with pytest.warns(LabelShiftWarning, match="The shares of the source are kept"):
        clf = logistic().fit(X, y, X_target=X_target)
    np.testing.assert_array_equal(clf.target_shares_, clf.source_shares_)
    assert clf.p_value_ < 0.01
    np.testing.assert_allclose(
        clf.predict_proba(X_target), clf.predict_proba(X_target, domain="source")
    )
    with pytest.warns(LabelShiftWarning, match="used all the same"):
        clf = logistic(fallback=False).fit(X, y, X_target=X_target)
    assert np.abs(clf.target_shares_ - clf.source_shares_).sum() > 0.1


@pytest.mark.parametrize("offset", [1.0, 1.3, 1.6])
@pytest.mark.parametrize("seed", [0, 1])
def test_shares_are_not_driven_into_a_corner_by_another_look(offset, seed):
    rng, y = np.random.default_rng(seed), np.arange(300) % 2
    X, target = (rng.normal(size=(300, 3)) + np.outer(y, [1.2, 0.6, 0]) for _ in range(2))
    with pytest.warns(LabelShiftWarning, match="the greatest share is"):
        clf = PriorShiftClassifier(LogisticRegression()).fit(X, y, X_target=target + offset)
    assert np.array_equal(clf.target_shares_, clf.source_shares_)


def test_a_target_of_one_class_is_no_corner():
    rng, y = np.random.default_rng(0), np.arange(300) % 2
    X = rng.normal(size=(300, 3)) + np.outer(y, [4.0, 2.0, 0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clf = PriorShiftClassifier(LogisticRegression()).fit(X, y, X_target=X[y == 1])
    assert clf.target_shares_[1] > 0.99


def test_a_corner_against_the_predictions_is_one_class_alone():
    probabilities = np.array([[0.8, 0.2], [0.2, 0.8], [0.3, 0.7]])
    assert is_one_class_alone(np.array([0.0, 1.0]), probabilities)
    assert not is_one_class_alone(np.array([0.1, 0.9]), probabilities)
    assert not is_one_class_alone(np.array([0.0, 1.0]), probabilities[1:])


def test_labels_of_text_and_classes_of_one_row(domains):
    """A fold without a class gives it no probability there."""
    X, y, X_target, _ = domains
    labels = np.array(["a", "b", "c"])[y]
    kept = np.r_[np.flatnonzero(y < 2), np.flatnonzero(y == 2)[:1]]
    with pytest.warns(UserWarning, match="least populated class"):
        clf = logistic().fit(X[kept], labels[kept], X_target=X_target)
    assert np.isfinite(clf.predict_proba(X_target)).all()
    assert set(clf.predict(X_target)) <= set("abc")


def test_a_frozen_classifier_is_not_fitted(domains):
    X, y, X_target, _ = domains
    plain = LogisticRegression().fit(X[:300], y[:300])
    clf = PriorShiftClassifier(FrozenEstimator(plain)).fit(X[300:], y[300:], X_target=X_target)
    np.testing.assert_array_equal(
        clf.estimator_.predict_proba(X_target), plain.predict_proba(X_target)
    )
    assert np.abs(clf.target_shares_ - TARGET).sum() < 0.25


def test_pipelines_hand_it_transformed_targets(domains):
    X, y, X_target, _ = domains
    X, X_target = 100 * X + 1000, 100 * X_target + 1000
    pipe = skda.make_pipeline(StandardScaler(), logistic())
    with sklearn.config_context(enable_metadata_routing=True):
        pipe.fit(X, y, X_target=(X_target,))
    assert np.abs(pipe[-1].target_shares_ - TARGET).sum() < 0.2


@pytest.mark.skipif(
    tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 8),
    reason="scikit-learn 1.7 hands no metadata to the score of a pipeline in a search",
)
def test_searches_score_source_rows(domains):
    X, y, X_target, y_target = domains
    X, X_target = 100 * X + 1000, 100 * X_target + 1000
    pipe = skda.make_pipeline(StandardScaler(), logistic())
    with sklearn.config_context(enable_metadata_routing=True):
        grid = {"priorshiftclassifier__method": ["em", "bbse"]}
        search = GridSearchCV(pipe, grid, cv=3)
        search.fit(X, y, X_target=(X_target,), domain="source")
        of_target = GridSearchCV(pipe, grid, cv=3).fit(X, y, X_target=(X_target,))
    # With the shares of the target, source rows are predicted worse.
    assert search.best_score_ > of_target.best_score_ + 0.1
    assert search.score(X_target, y_target) > 0.8


def test_a_network_sees_source_rows_as_such_and_gets_the_target(rng):
    (X, y), (X_target, _) = draw(EQUAL, 300, rng, 3), draw(TARGET, 200, rng, 3)
    clf = PriorShiftClassifier(AdaBNClassifier(max_epochs=5, random_state=0), cv=2)
    clf.fit(X, y, X_target=X_target + 3)
    raw = clf.estimator_.predict_proba(X, domain="source")
    np.testing.assert_allclose(clf.predict_proba(X, domain="source"), clf.calibration_(raw))
    # Had it not got the target, both domains would have the same statistics.
    assert np.abs(raw - clf.estimator_.predict_proba(X)).max() > 0.1


def test_saved_and_loaded_it_predicts_and_adapts_alike(domains, tmp_path):
    X, y, X_target, _ = domains
    clf = logistic().fit(X, y, X_target=X_target)
    skda.save(clf, tmp_path / "clf.skda")
    loaded = skda.load(tmp_path / "clf.skda")
    np.testing.assert_array_equal(loaded.predict_proba(X_target), clf.predict_proba(X_target))
    loaded.adapt(X_target[:50])
    np.testing.assert_array_equal(loaded.target_shares_, clf.adapt(X_target[:50]).target_shares_)


def test_labels_of_held_out_rows_are_those_of_a_fitted_classifier(domains):
    X, y, X_target, _ = domains
    fitted = LogisticRegression().fit(X, y)
    clf = PriorShiftClassifier(FrozenEstimator(fitted), cv=2)
    with pytest.raises(ValueError, match="y"):
        clf.fit(X, np.where(y == 1, 7, y), X_target=X_target)
    few = y != y.max()
    with pytest.raises(ValueError, match="y"):
        clf.fit(X[few], y[few], X_target=X_target)


def test_parts_that_have_not_seen_a_class_are_refused(domains):
    X, y, X_target, _ = domains
    order = np.argsort(y)
    clf = PriorShiftClassifier(LogisticRegression(), cv=KFold(3))
    with pytest.raises(ValueError, match=r"cv=KFold.* leaves no row of class"):
        clf.fit(X[order], y[order], X_target=X_target)
