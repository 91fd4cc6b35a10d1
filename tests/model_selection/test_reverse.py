from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from skda import make_pipeline
from skda.adaptation import DeepCORALClassifier
from skda.base import DeepAdaptationClassifier, estimator
from skda.model_selection import ReverseValidationScorer

SCORER = ReverseValidationScorer()


@estimator
class Witness(DeepAdaptationClassifier):
    """Keeps what reached its last fit."""

    calls: ClassVar[list] = []

    def fit(self, X, y, *, X_target=None, y_target=None, sample_domain=None):
        self.calls.append((X, y, X_target))
        return super().fit(X, y, X_target=X_target, y_target=y_target, sample_domain=sample_domain)


@pytest.fixture
def blobs():
    X, y = make_blobs(120, centers=3, random_state=0, cluster_std=0.3)
    return X[:60], y[:60], X[60:] + 0.1


def test_there_and_back_without_a_loss(blobs):
    X, y, X_target = blobs
    clf = KNeighborsClassifier(1).fit(X[:30], y[:30])
    assert SCORER(clf, X[30:], y[30:], X_target=X_target) == 1


def test_plain_classifier_learns_from_predicted_labels(few):
    X, y = few["X"][100:], few["y"][100:]
    svc = LinearSVC(random_state=0).fit(few["X"][:100], few["y"][:100])
    predicted = svc.predict(few["X_target"])
    expected = clone(svc).fit(few["X_target"], predicted).score(X, y)
    assert SCORER(svc, X, y, X_target=few["X_target"]) == expected < 1


def test_consistent_confusion_goes_unseen(blobs):
    """The blind spot that the docstring names."""
    X, y, X_target = blobs
    clf = KNeighborsClassifier(1).fit(X, y)
    clf.predict = lambda rows: (KNeighborsClassifier.predict(clf, rows) + 1) % 3
    there = KNeighborsClassifier(1).fit(X_target, clf.predict(X_target))
    assert SCORER(clf, X, y, X_target=X_target) == there.score(X, y) == 0
    assert SCORER(clf, X, clf.predict(X), X_target=X_target) == 1


@pytest.mark.parametrize("piped", [False, True])
def test_deep_estimator_is_fitted_the_other_way_round(few, routing, piped):
    X, y, X_target = few["X"][100:], few["y"][100:], few["X_target"]
    clf = Witness(max_epochs=1, random_state=0)
    clf = make_pipeline(StandardScaler(), clf) if piped else clf
    clf.fit(few["X"][:100], few["y"][:100], X_target=(X_target,))
    Witness.calls.clear()
    score = SCORER(clf, X, y, X_target=X_target)
    ((rows, labels, (seen,)),) = Witness.calls
    np.testing.assert_array_equal(labels, clf.predict(X_target))
    scaler = StandardScaler().fit(X_target) if piped else None
    for found, expected in ((rows, X_target), (seen, X)):
        expected = scaler.transform(expected) if piped else expected
        np.testing.assert_array_equal(found, expected)
    reverse = clone(clf).fit(X_target, labels, X_target=(X,))
    assert score == reverse.score(X, y)


def test_fitted_estimator_stays_as_it_is(few):
    clf = DeepCORALClassifier(max_epochs=1, random_state=0)
    clf.fit(few["X"], few["y"], X_target=few["X_target"])
    before = clf.predict_proba(few["X_target"])
    SCORER(clf, few["X"], few["y"], X_target=few["X_target"])
    np.testing.assert_array_equal(clf.predict_proba(few["X_target"]), before)


@pytest.mark.parametrize("form", [np.asarray, pd.DataFrame])
def test_several_targets_are_stacked(few, form):
    X, X_target = pd.DataFrame(few["X"]), pd.DataFrame(few["X_target"])
    clf = LogisticRegression().fit(form(X[:100]), few["y"][:100])
    whole = SCORER(clf, form(X[100:]), few["y"][100:], X_target=form(X_target))
    parts = (form(X_target[:50]), form(X_target[50:]))
    assert SCORER(clf, form(X[100:]), few["y"][100:], X_target=parts) == whole


def test_order_of_target_rows_does_not_matter(few):
    clf = KNeighborsClassifier(3).fit(few["X"][:100], few["y"][:100])
    scores = [
        SCORER(clf, few["X"][100:], few["y"][100:], X_target=few["X_target"][::step])
        for step in (1, -1)
    ]
    assert scores[0] == scores[1]


def test_one_predicted_class_gets_its_share_of_the_source(given):
    clf, rows = given(np.tile([0.0, 1.0, 0.0], (8, 1)))
    assert SCORER(clf, rows, [0, 1, 1, 2, 2, 1, 0, 0], X_target=rows) == 3 / 8


def test_pipeline_needs_routing(few):
    with sklearn.config_context(enable_metadata_routing=True):
        pipe = make_pipeline(StandardScaler(), DeepCORALClassifier(max_epochs=1, random_state=0))
        pipe.fit(few["X"], few["y"], X_target=(few["X_target"],))
    with pytest.raises(ValueError, match=r"'deepcoralclassifier' takes X_target.*routing"):
        SCORER(pipe, few["X"], few["y"], X_target=few["X_target"])


def test_labels_are_needed(few):
    with pytest.raises(ValueError, match="needs X and y"):
        SCORER(None, few["X"], X_target=few["X_target"])
