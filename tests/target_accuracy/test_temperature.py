"""Temperatures: the likeliest one, and one for an accuracy."""

import numpy as np
import pytest
from scipy.special import softmax

from skda.target_accuracy import fit_temperature, match_temperature, scale_probabilities


def test_likeliest_temperature_undoes_a_sharpening(rng):
    logits = 2 * rng.normal(size=(5000, 4))
    true = softmax(logits, axis=1)
    codes = (rng.random((5000, 1)) < true.cumsum(axis=1)).argmax(axis=1)
    sharpened = softmax(3 * logits, axis=1)
    assert fit_temperature(sharpened, codes) == pytest.approx(3, rel=0.1)


def test_rows_that_are_all_right_have_a_temperature_above_0():
    assert 0.001 < fit_temperature(np.array([[0.8, 0.2], [0.3, 0.7]]), [0, 1]) < 1


@pytest.mark.parametrize("accuracy", [0.45, 0.7, 0.95])
def test_mean_confidence_is_the_accuracy(rng, accuracy):
    probabilities = softmax(3 * rng.normal(size=(100, 3)), axis=1)
    temperature = match_temperature(probabilities, accuracy)
    scaled = scale_probabilities(probabilities, temperature)
    assert scaled.max(axis=1).mean() == pytest.approx(accuracy, abs=1e-3)
    np.testing.assert_array_equal(scaled.argmax(axis=1), probabilities.argmax(axis=1))


@pytest.mark.parametrize(("accuracy", "expected"), [(0.1, 1 / 3), (1.0, 1.0)])
def test_an_accuracy_out_of_reach_has_the_nearest_confidence(rng, accuracy, expected):
    probabilities = softmax(rng.normal(size=(50, 3)), axis=1)
    scaled = scale_probabilities(probabilities, match_temperature(probabilities, accuracy))
    assert scaled.max(axis=1).mean() == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("accuracy", [-0.1, 1.5, np.nan])
def test_no_accuracy_is_refused(accuracy):
    with pytest.raises(ValueError, match="accuracy must be"):
        match_temperature([[0.5, 0.5]], accuracy)


@pytest.mark.parametrize("temperature", [0, -1, np.inf, np.nan])
def test_no_temperature_is_refused(temperature):
    with pytest.raises(ValueError, match="temperature must be"):
        scale_probabilities([[0.5, 0.5]], temperature)
