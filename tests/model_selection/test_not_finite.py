"""Estimators that give NaN or infinity have no score, and never an ordinary one."""

import warnings

import numpy as np
import pytest
import sklearn
from sklearn.exceptions import FitFailedWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skda.model_selection
from skda.adaptation import DeepCORALClassifier
from skda.exceptions import DivergenceError
from skda.model_selection import MixValScorer, TargetAccuracyScorer, TargetEntropyScorer

SCORERS = [name for name in skda.model_selection.__all__ if name.endswith("Scorer")]
# The rank of features needs no prediction.
OF_PREDICTIONS = [name for name in SCORERS if name != "RankMeScorer"]
OF_CLASSES = [
    "ImportanceWeightedScorer",
    "DeepEmbeddedValidationScorer",
    "MixValScorer",
    "ReverseValidationScorer",
    "TargetAccuracyScorer",
]


def scorer(name, few):
    """Return a scorer with what it must have."""
    cls = getattr(skda.model_selection, name)
    return cls(few["y_target"]) if cls is TargetAccuracyScorer else cls()


class NaNProbabilities(LogisticRegression):
    """Whose probabilities are NaN for one row; ``predict`` knows nothing of it."""

    def predict_proba(self, X):
        probabilities = super().predict_proba(X)
        probabilities[0, 0] = np.nan
        return probabilities


class NaNDecisions(LogisticRegression):
    """Whose decisions are NaN for one row, which becomes a class."""

    predict_proba = property()

    def decision_function(self, X):
        decisions = super().decision_function(X)
        decisions[0] = np.nan
        return decisions

    def predict(self, X):
        return self.classes_[self.decision_function(X).argmax(axis=1)]


@pytest.fixture(scope="module")
def ignorant(few):
    """A network of NaN."""
    clf = DeepCORALClassifier(lr=1e30, max_epochs=1, random_state=0, on_divergence="ignore")
    return clf.fit(few["X"], few["y"], X_target=few["X_target"])


@pytest.mark.filterwarnings("ignore::skda.exceptions.TargetLabelWarning")
@pytest.mark.parametrize("name", SCORERS)
def test_network_that_is_not_finite(name, ignorant, few):
    with pytest.raises(DivergenceError, match="parameters or statistics"):
        scorer(name, few)(ignorant, few["X"], few["y"], X_target=few["X_target"])


@pytest.mark.filterwarnings("ignore::skda.exceptions.TargetLabelWarning")
@pytest.mark.parametrize("in_pipeline", [False, True])
@pytest.mark.parametrize("name", OF_PREDICTIONS)
def test_probabilities_of_any_classifier(name, in_pipeline, few):
    clf = NaNProbabilities(max_iter=50)
    if in_pipeline:
        clf = make_pipeline(StandardScaler(), clf)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clf.fit(few["X"], few["y"])
    with pytest.raises(ValueError, match=r"predict_proba of \w+ gives NaN or infinity"):
        scorer(name, few)(clf, few["X"], few["y"], X_target=few["X_target"])


@pytest.mark.filterwarnings("ignore::skda.exceptions.TargetLabelWarning")
@pytest.mark.parametrize("name", OF_CLASSES)
def test_decisions_of_any_classifier(name, few):
    clf = NaNDecisions(max_iter=500).fit(few["X"], few["y"])
    with pytest.raises(ValueError, match="decision_function of NaNDecisions gives NaN"):
        scorer(name, few)(clf, few["X"], few["y"], X_target=few["X_target"])


def search(few, clf, grid, scoring):
    with sklearn.config_context(enable_metadata_routing=True):
        return GridSearchCV(clf, grid, scoring=scoring, cv=2, refit=False).fit(
            few["X"], few["y"], X_target=(few["X_target"],)
        )


def test_candidate_of_a_search_gets_its_error_score(few):
    clf = DeepCORALClassifier(max_epochs=1, random_state=0, on_divergence="ignore")
    with pytest.warns(UserWarning, match="Scoring failed"):
        result = search(few, clf, {"lr": [1e30, 0.01]}, MixValScorer())
    scores = result.cv_results_["mean_test_score"]
    assert np.isnan(scores[0]) and np.isfinite(scores[1])


def test_fold_whose_fit_raised_has_no_score(few):
    clf = DeepCORALClassifier(max_epochs=1, random_state=0)
    with pytest.warns(FitFailedWarning, match="DivergenceError"):
        result = search(few, clf, {"lr": [1e30, 0.01]}, TargetEntropyScorer())
    scores = result.cv_results_["mean_test_score"]
    assert np.isnan(scores[0]) and np.isfinite(scores[1])


def test_classifier_of_any_kind_in_a_cross_validation(few):
    def score(clf, X, y):
        return MixValScorer()(clf, X, X_target=few["X_target"])

    with pytest.warns(UserWarning, match="predict_proba of NaNProbabilities gives NaN"):
        result = cross_validate(
            NaNProbabilities(max_iter=500), few["X"], few["y"], scoring=score, cv=2
        )
    assert np.isnan(result["test_score"]).all()
