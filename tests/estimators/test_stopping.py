"""Early stopping by a score of the target that needs no label."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from skorch.callbacks import Callback

from skda.adaptation import ADDAClassifier, DeepCORALClassifier
from skda.fine_tuning import FineTuneClassifier
from skda.model_selection import (
    ImportanceWeightedScorer,
    InformationMaximizationScorer,
    SoftNeighborhoodDensityScorer,
    TargetEntropyScorer,
)

IMAGES = (-1, 1, 8, 8)


class Fixed:
    """A scorer that gives a list of scores, one an epoch, and notes the networks."""

    def __init__(self, scores):
        self.scores, self.states = list(scores), []

    def __deepcopy__(self, memo):
        return self

    def __call__(self, estimator, X, y=None, X_target=None):
        self.states.append(estimator.predict_proba(X_target[0]))
        return self.scores[len(self.states) - 1]


def fit(few, scorer, cls=DeepCORALClassifier, **params):
    params = {"max_epochs": 8, "n_iter_no_change": 2, "random_state": 0, **params}
    clf = cls(early_stopping=scorer, **params)
    return clf.fit(few["X"], few["y"], X_target=few["X_target"])


def test_training_ends_when_the_score_no_longer_rises(few):
    scorer = Fixed([-3.0, -1.0, -2.0, -1.0, -0.5])
    clf = fit(few, scorer)
    assert clf.history_[:, "target_score"] == [-3.0, -1.0, -2.0, -1.0]
    assert clf.history_[:, "target_score_best"] == [True, True, False, False]


def test_best_epoch_is_kept(few):
    scorer = Fixed([-3.0, -1.0, -2.0, -2.0])
    clf = fit(few, scorer)
    assert np.allclose(clf.predict_proba(few["X_target"]), scorer.states[1], atol=1e-6)
    assert not np.allclose(scorer.states[1], scorer.states[2], atol=1e-3)


def test_no_row_is_held_out(few):
    clf = fit(few, TargetEntropyScorer())
    assert "valid_loss" not in clf.history_[-1]
    assert clf.net_.train_split is None


@pytest.mark.parametrize(
    "scorer",
    [TargetEntropyScorer(), InformationMaximizationScorer(), SoftNeighborhoodDensityScorer()],
)
def test_best_score_is_that_of_the_fitted_estimator(scorer, few):
    clf = fit(few, scorer)
    score = scorer(clf, few["X"], X_target=few["X_target"])
    assert score == pytest.approx(max(clf.history_[:, "target_score"]), rel=1e-5)


def test_scoring_changes_no_step(few):
    scored = fit(few, Fixed(range(8)))
    plain = fit(few, False)
    assert scored.history_[:, "train_loss"] == plain.history_[:, "train_loss"]
    assert np.array_equal(scored.predict_proba(few["X"]), plain.predict_proba(few["X"]))


def test_rows_held_out_reach_the_scorer_with_their_labels(few):
    words = np.array(list("abcdefghij"))
    few = {**few, "y": words[few["y"]]}
    seen = []

    def scorer(estimator, X, y, X_target):
        seen.append((len(X), y))
        return estimator.score(X, y)

    # With shared statistics a held-out row is predicted as a row of the target is.
    clf = fit(few, scorer, validation_fraction=0.3, batch_norm="shared", n_iter_no_change=8)
    assert {n for n, _ in seen} == {60} and set(seen[0][1]) <= set(words)
    assert clf.history_[:, "target_score"] == pytest.approx(clf.history_[:, "valid_accuracy"])
    fit(few, ImportanceWeightedScorer(), validation_fraction=0.3)


def test_second_stage_of_two_is_the_one_that_is_scored(few):
    scorer = Fixed([1.0, 0.0, 0.0])
    clf = fit(few, scorer, ADDAClassifier, max_epochs=4)
    assert len(clf.source_history_) == 4
    assert clf.history_[:, "target_score"] == [1.0, 0.0, 0.0]


def test_images_are_scored_as_the_network_takes_them(few):
    X = (255 * few["X"].reshape(-1, 8, 8, 1)).astype(np.uint8)
    X_target = (255 * few["X_target"].reshape(-1, 8, 8, 1)).astype(np.uint8)
    clf = DeepCORALClassifier(
        max_epochs=2, random_state=0, early_stopping=TargetEntropyScorer(), batch_size=100
    ).fit(X, few["y"], X_target=X_target)
    score = TargetEntropyScorer()(clf, X, X_target=X_target)
    assert score == pytest.approx(max(clf.history_[:, "target_score"]), rel=1e-4)


def test_estimator_can_be_cloned_and_pickled(few):
    clf = fit(few, TargetEntropyScorer(), max_epochs=2)
    again = pickle.loads(pickle.dumps(clf))
    assert np.array_equal(again.predict(few["X"]), clf.predict(few["X"]))
    assert isinstance(clone(clf).early_stopping, TargetEntropyScorer)
    assert dict(clf.net_.callbacks_)["target_score"].estimator is None


@pytest.mark.filterwarnings("ignore::skda.exceptions.NoTargetWarning")
@pytest.mark.parametrize("cls", [DeepCORALClassifier, FineTuneClassifier])
def test_without_target_rows_there_is_an_error(cls, few):
    with pytest.raises(ValueError, match=f"early_stopping.* but {cls.__name__} trains without"):
        cls(early_stopping=TargetEntropyScorer()).fit(few["X"], few["y"])


def test_class_is_no_scorer(few):
    with pytest.raises(TypeError, match="early_stopping is the class TargetEntropyScorer"):
        fit(few, TargetEntropyScorer)


def test_interrupted_training_keeps_its_whole_epochs(few):
    class Cut(Callback):
        def on_batch_end(self, net, training=False, **kwargs):
            if len(net.history) == 3:
                raise KeyboardInterrupt

    clf = DeepCORALClassifier(
        early_stopping=TargetEntropyScorer(), callbacks=[Cut()], random_state=0, max_epochs=5
    )
    with pytest.raises(KeyboardInterrupt):
        clf.fit(few["X"], few["y"], X_target=few["X_target"])
    assert len(clf.history_[:, "target_score"]) == 2
