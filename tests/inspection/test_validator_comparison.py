import numpy as np
import pytest
from scipy.stats import kendalltau
from sklearn.linear_model import LogisticRegression

from skda.inspection import ValidatorComparisonDisplay

from .looks import check_look

pytest.importorskip("matplotlib")


SCORES = {"entropy": [-0.9, -0.2, -0.5, -0.1], "density": [4.0, 2.0, 3.0, 1.0]}
ACCURACY = [0.5, 0.7, 0.6, 0.3]


def points(panel):
    """The models of a panel, as pairs of score and accuracy."""
    parts = [part.get_offsets() for part in panel.collections if part.get_label() != "its choice"]
    return sorted(map(tuple, np.concatenate(parts).tolist()))


def test_points_are_scores_against_accuracies_in_percent():
    display = ValidatorComparisonDisplay(scores=SCORES, accuracy=ACCURACY).plot()
    for panel, scores in zip(display.axes_, SCORES.values(), strict=True):
        assert points(panel) == sorted(zip(scores, np.multiply(100, ACCURACY), strict=True))


def test_ring_is_the_best_score_and_tau_in_the_title():
    display = ValidatorComparisonDisplay(scores=SCORES, accuracy=ACCURACY).plot()
    assert display.choice_ == {"entropy": 3, "density": 0}
    for panel, (name, scores) in zip(display.axes_, SCORES.items(), strict=True):
        (ring,) = (part for part in panel.collections if part.get_label() == "its choice")
        best = display.choice_[name]
        assert ring.get_offsets().tolist() == [[scores[best], 100 * ACCURACY[best]]]
        tau = kendalltau(scores, ACCURACY)[0]
        assert display.tau_[name] == tau and panel.get_title() == f"{name}, τ = {tau:.2f}"


def test_groups_are_told_apart_and_all_points_are_there():
    group = ["DAN", "DANN", "DAN", "DANN"]
    display = ValidatorComparisonDisplay(scores=SCORES, accuracy=ACCURACY, group=group).plot()
    texts = [text.get_text() for text in display.axes_[1].get_legend().get_texts()]
    assert texts == ["best", "DAN", "DANN", "its choice"]
    assert len(points(display.axes_[0])) == 4


def test_models_without_a_score_are_never_chosen():
    scores = {"failed": [np.nan, 0.2, 0.1, np.nan], "all failed": [np.nan] * 4}
    display = ValidatorComparisonDisplay(scores=scores, accuracy=ACCURACY).plot()
    assert display.choice_ == {"failed": 1, "all failed": -1}
    assert display.tau_["failed"] == 1 and np.isnan(display.tau_["all failed"])


def test_from_estimators_calls_every_validator(few):
    X, y, X_target, y_target = few.values()
    models = {c: LogisticRegression(C=c, max_iter=500).fit(X, y) for c in (1e-3, 1.0)}

    def certainty(clf, X, y, X_target):
        return clf.predict_proba(X_target).max(axis=1).mean()

    def on_source(clf, X, y, X_target):
        return clf.score(X, y)

    display = ValidatorComparisonDisplay.from_estimators(
        models, {"certainty": certainty, "source": on_source}, X, y, X_target, y_target
    )
    for name, function in (("certainty", certainty), ("source", on_source)):
        wanted = [function(model, X, y, X_target) for model in models.values()]
        assert display.scores[name].tolist() == wanted
    assert display.accuracy.tolist() == [m.score(X_target, y_target) for m in models.values()]


def test_from_cv_results():
    results = {
        "mean_test_entropy": np.array([1.0, 2.0]),
        "mean_test_truth": np.array([0.6, 0.8]),
        "std_test_entropy": np.zeros(2),
    }
    display = ValidatorComparisonDisplay.from_cv_results(results, accuracy="truth")
    assert list(display.scores) == ["entropy"] and display.accuracy.tolist() == [0.6, 0.8]
    with pytest.raises(ValueError, match=r"accuracy='oracle' must be one of several.*'entropy'"):
        ValidatorComparisonDisplay.from_cv_results(results, accuracy="oracle")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"scores": [1, 2]}, "scores must be a dict"),
        ({"scores": {"entropy": [1.0]}}, r"scores\['entropy'\] must have one entry for each"),
        ({"accuracy": []}, "accuracy is empty"),
        ({"group": ["a"]}, "group must have one entry for each of the 4"),
    ],
    ids=str,
)
def test_bad_input(change, message):
    with pytest.raises((ValueError, TypeError), match=message):
        ValidatorComparisonDisplay(**{"scores": SCORES, "accuracy": ACCURACY, **change})


def test_look():
    display = ValidatorComparisonDisplay(
        scores=SCORES, accuracy=ACCURACY, group=["DAN", "DANN", "DAN", "DANN"]
    )
    check_look(display.plot().figure_, "validator_comparison")
