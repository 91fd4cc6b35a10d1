"""Rows of both domains in one X: what marks target rows is nobody's class."""

import numpy as np
import pytest
import sklearn
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    TunedThresholdClassifierCV,
    cross_val_predict,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.semi_supervised import SelfTrainingClassifier

from skda import make_domain_pipeline, stack_domains
from skda.adaptation import DNFC, DANNClassifier
from skda.exceptions import StackedLabelWarning
from skda.model_selection import SourceSplit
from skda.subspace import CORAL

DANN = DANNClassifier(max_epochs=1, random_state=0)
META = {
    "voting": VotingClassifier([("a", DANN)], voting="soft"),
    "bagging": BaggingClassifier(DANN, n_estimators=2, random_state=0),
    "calibration": CalibratedClassifierCV(DANN, cv=2),
    "calibration without an ensemble": CalibratedClassifierCV(DANN, cv=2, ensemble=False),
    "one against the rest": OneVsRestClassifier(DANN),
    "one against one": OneVsOneClassifier(DANN),
    "output codes": OutputCodeClassifier(DANN, random_state=0),
    "self-training": SelfTrainingClassifier(DANN),
    "stacking": StackingClassifier([("a", DANN)], final_estimator=LogisticRegression(), cv=2),
    "search with folds of all rows": GridSearchCV(DANN, {}, cv=2),
    "threshold": FixedThresholdClassifier(DANN),
    "tuned threshold": TunedThresholdClassifierCV(DANN, cv=2),
    "classifier behind a subspace": make_domain_pipeline(CORAL(), LogisticRegression()),
    "classifier behind a network": make_domain_pipeline(DANN, LogisticRegression()),
    "voting of pipelines": VotingClassifier(
        [("a", make_domain_pipeline(CORAL(), LogisticRegression()))]
    ),
}
# What encodes y, or hands the marks to more than one step: known from within.
ENCODING = [
    "voting",
    "bagging",
    "calibration without an ensemble",
    "one against the rest",
    "one against one",
    "stacking",
]


@pytest.fixture(autouse=True)
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.fixture
def stacked(few):
    return stack_domains(few["X"], few["y"], few["X_target"])


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
@pytest.mark.parametrize("of_text", [False, True])
@pytest.mark.parametrize("name", META)
def test_no_meta_estimator_takes_stacked_target_rows_for_a_class(name, of_text, few):
    y = np.array([f"digit {label}" for label in few["y"]]) if of_text else few["y"]
    X, y, sample_domain = stack_domains(few["X"], y, few["X_target"])
    try:
        fitted = META[name].fit(X, y, sample_domain=sample_domain)
    except (ValueError, TypeError):
        return
    # Self-training hands on None among words as it is.
    assert name == "self-training" and len(fitted.classes_) == 10


@pytest.mark.filterwarnings("ignore::skda.exceptions.StackedLabelWarning")
@pytest.mark.parametrize("name", ENCODING)
def test_a_mark_that_a_meta_estimator_has_encoded_is_refused(name, stacked):
    X, y, sample_domain = stacked
    by_hand = np.where(sample_domain < 0, -1, y).astype(int)
    with pytest.raises(ValueError, match=r"in every target row and in no source row.*X_target="):
        META[name].fit(X, by_hand, sample_domain=sample_domain)


@pytest.mark.parametrize("step", [DANN, CORAL(), DNFC()])
def test_marks_that_look_like_a_class_are_warned_of(step, stacked):
    X, y, sample_domain = stacked
    by_hand = np.where(sample_domain < 0, -1, y).astype(int)
    with pytest.warns(StackedLabelWarning, match="skda.stack_domains"):
        step.fit(X, by_hand, sample_domain=sample_domain)


def test_a_table_of_labels_says_nothing_to_a_transformer(stacked):
    X, _, sample_domain = stacked
    labels = np.column_stack([sample_domain, sample_domain])
    CORAL().fit(X, labels, sample_domain=sample_domain)


def test_true_labels_of_target_rows_are_ignored(few, stacked):
    X, y, sample_domain = stacked
    known = y.copy()
    known[sample_domain < 0] = few["y_target"]
    fits = [DANN.fit(X, part, sample_domain=sample_domain).predict_proba(X) for part in (y, known)]
    np.testing.assert_array_equal(*fits)


def test_classes_are_whole_numbers_as_before(few, stacked):
    X, y, sample_domain = stacked
    clf = DANN.fit(X, y, sample_domain=sample_domain)
    assert clf.classes_.dtype.kind == "i" and clf.predict(few["X"]).dtype.kind == "i"


def test_folds_of_source_rows_are_scored_with_stacked_rows(stacked):
    X, y, sample_domain = stacked
    search = GridSearchCV(DANN, {"lr": [1e-2]}, cv=SourceSplit(2), error_score="raise")
    search.fit(X, y, sample_domain=sample_domain)
    assert search.classes_.tolist() == list(range(10))


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
@pytest.mark.parametrize("method", ["predict", "predict_proba"])
def test_predictions_of_folds_refuse_stacked_rows(method, stacked):
    X, y, sample_domain = stacked
    with pytest.raises(ValueError, match="NaN"):
        cross_val_predict(DANN, X, y, cv=2, method=method, params={"sample_domain": sample_domain})
