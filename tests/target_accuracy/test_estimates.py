"""The estimates of accuracy from predictions alone."""

import numpy as np
import pytest
from scipy.special import softmax

from skda.target_accuracy import (
    average_confidence,
    average_thresholded_confidence,
    confidence_optimal_transport,
    difference_of_confidences,
    matrix_norm_accuracy,
    model_agreement,
    nuclear_norm_accuracy,
)

from .conftest import draw

ESTIMATES = [
    average_confidence,
    average_thresholded_confidence,
    confidence_optimal_transport,
    difference_of_confidences,
    matrix_norm_accuracy,
    nuclear_norm_accuracy,
]
# Those that ask how the predictions are spread over the classes.
SEE_COLLAPSE = [confidence_optimal_transport, nuclear_norm_accuracy]


def as_name(function):
    return function.__name__


@pytest.mark.parametrize("estimate", ESTIMATES, ids=as_name)
@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_without_shift_it_is_the_accuracy_of_the_source(rng, estimate, n_classes):
    source, codes = draw(2000, rng, confidence=0.8, n_classes=n_classes)
    target, true = draw(2000, rng, confidence=0.8, n_classes=n_classes)
    assert estimate(target, source, codes) == pytest.approx(
        np.mean(target.argmax(axis=1) == true), abs=0.04
    )


@pytest.mark.parametrize("estimate", [average_confidence, difference_of_confidences], ids=as_name)
def test_a_calibrated_classifier_that_is_less_sure_is_less_often_right(rng, estimate):
    source, codes = draw(4000, rng, confidence=0.85)
    target, true = draw(4000, rng, confidence=0.6)
    accuracy = np.mean(target.argmax(axis=1) == true)
    assert estimate(target, source, codes) == pytest.approx(accuracy, abs=0.03)


@pytest.mark.parametrize("estimate", ESTIMATES, ids=as_name)
def test_less_sure_rows_lower_it(rng, estimate):
    source, codes = draw(500, rng, confidence=0.85)
    target, _ = draw(500, rng, confidence=0.5)
    assert estimate(target, source, codes) < np.mean(source.argmax(axis=1) == codes) - 0.1


@pytest.mark.parametrize("estimate", ESTIMATES, ids=as_name)
def test_a_sure_collapse_is_seen_by_those_that_know_of_classes(rng, estimate):
    """Sure of one class in every row; a quarter of the rows is of it, as in the source."""
    source, codes = draw(800, rng, confidence=0.85, n_classes=4)
    target = np.tile([0.97, 0.01, 0.01, 0.01], (500, 1))
    estimated = estimate(target, source, codes)
    assert estimated < 0.6 if estimate in SEE_COLLAPSE else estimated > 0.8


@pytest.mark.parametrize("estimate", ESTIMATES, ids=as_name)
def test_weights_of_rows_are_as_good_as_copies(rng, estimate):
    source, codes = draw(60, rng, confidence=0.7)
    target, _ = draw(80, rng, confidence=0.6)
    # More of the surest rows, so that without weights the threshold and the norms are others.
    weights = np.where(source.max(axis=1) > 0.7, 5, rng.integers(0, 2, 60))
    copies = np.repeat(np.arange(60), weights)
    weighted = estimate(target, source, codes, sample_weight=weights.astype(float))
    # A prior of the temperature counts for less beside more rows.
    assert weighted == pytest.approx(estimate(target, source[copies], codes[copies]), abs=0.01)


@pytest.mark.parametrize("estimate", ESTIMATES, ids=as_name)
def test_predictions_that_are_constant_give_a_number_from_0_to_1(estimate):
    source, target = np.full((30, 3), 1 / 3), np.full((10, 3), 1 / 3)
    assert 0 <= estimate(target, source, np.arange(30) % 3) <= 1


@pytest.mark.parametrize("estimate", ESTIMATES, ids=as_name)
def test_one_hot_predictions_give_a_number_from_0_to_1(estimate):
    assert 0 <= estimate(np.eye(3)[[0, 1]], np.eye(3)[[0, 1, 2]], [0, 1, 2]) <= 1


@pytest.mark.parametrize("estimate", ESTIMATES, ids=as_name)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target_probabilities": [[np.nan, 1]]}, "target_probabilities must be"),
        ({"target_probabilities": [[0.2, 0.3, 0.5]]}, "target_probabilities has 3 columns"),
        ({"target_probabilities": [[2.0, -1.0]]}, "target_probabilities must hold"),
        ({"source_probabilities": [[0.5, 0.6]]}, "source_probabilities must hold"),
        ({"source_labels": [2]}, "source_labels must be"),
        ({"source_labels": [0, 1]}, "source_labels has 2"),
        ({"sample_weight": [-1.0]}, "sample_weight must be"),
        ({"sample_weight": [0.0]}, "sample_weight must be"),
        ({"sample_weight": [1.0, 1.0]}, "sample_weight has 2"),
    ],
)
def test_errors_name_the_parameter(estimate, change, message):
    params = {
        "target_probabilities": [[0.3, 0.7]],
        "source_probabilities": [[0.3, 0.7]],
        "source_labels": [1],
    }
    with pytest.raises(ValueError, match=message):
        estimate(**{**params, **change})


def test_one_column_of_two_classes_is_refused(rng):
    with pytest.raises(ValueError, match="one column"):
        average_confidence([[1.0]], [[1.0]], [0])


@pytest.mark.parametrize("score", ["max", "entropy"])
def test_the_threshold_gives_the_source_its_accuracy_even_with_ties(rng, score):
    """Probabilities of five neighbours have six values, so that most rows are tied."""
    counts = rng.multinomial(5, [0.6, 0.3, 0.1], size=400)
    source, codes = counts / 5, rng.integers(0, 3, 400)
    accuracy = np.mean(source.argmax(axis=1) == codes)
    estimated = average_thresholded_confidence(source, source, codes, score=score)
    assert estimated == pytest.approx(accuracy)


def test_the_two_scores_differ(rng):
    source, target = (softmax(2 * rng.normal(size=(200, 4)), axis=1) for _ in range(2))
    codes = source.argmax(axis=1) ^ (rng.random(200) < 0.3)
    first, second = (
        average_thresholded_confidence(target, source, codes, score=score)
        for score in ("max", "entropy")
    )
    assert first != second


def test_unknown_score_is_refused():
    with pytest.raises(ValueError, match="score must be one of 'max', 'entropy'"):
        average_thresholded_confidence([[0.5, 0.5]], [[0.5, 0.5]], [0], score="margin")


def test_agreement_is_the_mean_over_the_other_models():
    target = np.eye(2)[[0, 0, 1, 1]]
    others = np.eye(2)[[0, 0, 1, 1]], np.eye(2)[[0, 1, 0, 1]]
    assert model_agreement(target, others) == pytest.approx(0.75)


@pytest.mark.parametrize(
    ("others", "message"),
    [((), "is empty"), (np.eye(2), "has the shape"), (np.full((3, 2), np.nan), "must be")],
)
def test_agreement_names_what_is_wrong(others, message):
    with pytest.raises(ValueError, match=f"other_probabilities {message}"):
        model_agreement(np.eye(2)[[0, 0, 1]], others)
