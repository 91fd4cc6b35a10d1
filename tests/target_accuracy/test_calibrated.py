"""Probabilities that are calibrated for a target without labels, and their reliability."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

from skda.adaptation import AdaBNClassifier
from skda.metrics import estimate_target_accuracy, target_reliability
from skda.target_accuracy import TargetCalibratedClassifier

from .conftest import draw

X, Y = load_digits(return_X_y=True)
X = X / 16
HELD_OUT = X[600:1200], Y[600:1200]
NOISY = X[1200:] + np.random.default_rng(0).normal(scale=0.5, size=X[1200:].shape)


@pytest.fixture(scope="module")
def sure():
    return LogisticRegression(C=100, max_iter=500).fit(X[:600], Y[:600])


def test_mean_confidence_on_the_target_is_the_estimated_accuracy(sure):
    clf = TargetCalibratedClassifier(sure, random_state=0).fit(*HELD_OUT, X_target=NOISY)
    estimate = estimate_target_accuracy(sure, *HELD_OUT, NOISY, n_bootstraps=None, random_state=0)
    proba = clf.predict_proba(NOISY)
    assert proba.max(axis=1).mean() == pytest.approx(estimate.accuracy, abs=2e-3)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    np.testing.assert_array_equal(clf.predict(NOISY), sure.predict(NOISY))
    assert clf.score(NOISY, Y[1200:]) == sure.score(NOISY, Y[1200:])


def test_it_is_better_calibrated_than_by_the_source(sure):
    clf = TargetCalibratedClassifier(sure, random_state=0).fit(*HELD_OUT, X_target=NOISY)
    errors = [
        target_reliability(proba, target_labels=Y[1200:]).calibration_error
        for proba in (clf.predict_proba(NOISY), clf.predict_proba(NOISY, domain="source"))
    ]
    assert errors[0] < 0.7 * errors[1]


def test_every_target_has_a_temperature(sure):
    clf = TargetCalibratedClassifier(sure, method="doc")
    clf.fit(*HELD_OUT, X_target=(NOISY, X[1200:]))
    assert clf.temperatures_.shape == clf.target_accuracy_.shape == (2,)
    assert clf.target_accuracy_[0] < clf.target_accuracy_[1]
    for number, rows in enumerate((NOISY, X[1200:])):
        confidence = clf.predict_proba(rows, domain=number).max(axis=1).mean()
        assert confidence == pytest.approx(clf.target_accuracy_[number], abs=2e-3)
    with pytest.raises(ValueError, match="domain must be"):
        clf.predict_proba(NOISY, domain=2)


def test_a_deep_classifier_is_told_the_domain():
    target = 2 * X[1200:] + 3
    model = AdaBNClassifier(max_epochs=5, random_state=0).fit(X[:600], Y[:600], X_target=target)
    clf = TargetCalibratedClassifier(model, method="doc").fit(*HELD_OUT, X_target=target)
    np.testing.assert_array_equal(clf.predict(target), model.predict(target))
    np.testing.assert_array_equal(
        clf.predict(HELD_OUT[0], domain="source"), model.predict(HELD_OUT[0], domain="source")
    )


def test_it_is_cloned_and_pickled(sure):
    clf = TargetCalibratedClassifier(sure, method="doc", random_state=3)
    assert clone(clf).get_params(deep=False).keys() == clf.get_params(deep=False).keys()
    clf.fit(*HELD_OUT, X_target=NOISY)
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(again.predict_proba(NOISY), clf.predict_proba(NOISY))


def test_unfitted_and_wrong_parameters_are_refused(sure):
    with pytest.raises(NotFittedError):
        TargetCalibratedClassifier(sure).predict_proba(NOISY)
    with pytest.raises(ValueError, match="method"):
        TargetCalibratedClassifier(sure, method="gde").fit(*HELD_OUT, X_target=NOISY)
    with pytest.raises(NotFittedError):
        TargetCalibratedClassifier(LogisticRegression()).fit(*HELD_OUT, X_target=NOISY)


def test_no_target_is_an_error(sure):
    with pytest.raises(ValueError, match="X_target is None"):
        TargetCalibratedClassifier(sure).fit(*HELD_OUT, X_target=None)


def test_labels_and_a_right_accuracy_show_the_same(rng):
    """Probabilities whose logarithms are three times what they should be."""
    probabilities, codes = draw(5000, rng, confidence=0.7)
    sharp = probabilities**3 / (probabilities**3).sum(axis=1, keepdims=True)
    accuracy = np.mean(sharp.argmax(axis=1) == codes)
    estimated = target_reliability(sharp, accuracy)
    counted = target_reliability(sharp, target_labels=codes)
    assert estimated.is_estimated and not counted.is_estimated
    np.testing.assert_array_equal(estimated.confidence, counted.confidence)
    np.testing.assert_allclose(estimated.accuracy, counted.accuracy, atol=0.06)
    assert estimated.overconfidence == pytest.approx(counted.overconfidence, abs=0.01)
    assert counted.calibration_error > 0.1


def test_bins_hold_all_rows():
    rows = np.array([[1.0, 0.0], [0.5, 0.5], [0.52, 0.48]])
    result = target_reliability(rows, target_labels=[0, 0, 1], n_bins=10)
    np.testing.assert_allclose(result.share, [2 / 3, 1 / 3])
    np.testing.assert_allclose(result.accuracy, [0.5, 1.0])
    np.testing.assert_allclose(result.confidence, [0.51, 1.0])
    assert result.calibration_error == pytest.approx(0.01 * 2 / 3)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "accuracy and target_labels"),
        ({"accuracy": 0.5, "target_labels": [0]}, "accuracy and target_labels"),
        ({"accuracy": 2.0}, "accuracy must be"),
        ({"accuracy": 0.5, "n_bins": 0}, "n_bins must be"),
        ({"target_labels": [3]}, "target_labels must be"),
    ],
)
def test_errors_name_the_parameter(params, message):
    with pytest.raises(ValueError, match=message):
        target_reliability([[0.5, 0.5]], **params)
