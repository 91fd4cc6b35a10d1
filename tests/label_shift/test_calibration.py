"""Bias-corrected temperature scaling."""

import numpy as np
import pytest

from skda.label_shift import calibrate

from .conftest import draw, posteriors

OF_SOURCE = np.array([0.2, 0.3, 0.5])


def test_calibration_finds_the_temperature_and_the_posteriors(rng):
    X, y = draw(OF_SOURCE, 5000, rng)
    calibration = calibrate(posteriors(X, OF_SOURCE, sharpness=3), y)
    assert calibration.temperature == pytest.approx(3, rel=0.1)
    found = calibration(posteriors(X, OF_SOURCE, sharpness=3))
    assert np.abs(found - posteriors(X, OF_SOURCE)).max() < 0.05


def test_biases_take_back_other_shares(rng):
    """A classifier that was trained on other shares than those of the held-out rows."""
    X, y = draw(OF_SOURCE, 5000, rng)
    trained = posteriors(X, np.array([0.6, 0.3, 0.1]))
    assert np.abs(calibrate(trained, y)(trained) - posteriors(X, OF_SOURCE)).max() < 0.05


def test_mean_of_probabilities_is_the_share_of_every_class(rng):
    """What the likelihood of shares builds on."""
    X, y = draw(OF_SOURCE, 300, rng)
    rows = posteriors(X, np.array([0.6, 0.3, 0.1]), sharpness=3)
    mean = calibrate(rows, y)(rows).mean(axis=0)
    np.testing.assert_allclose(mean, np.bincount(y) / len(y), atol=5e-3)
    assert np.abs(rows.mean(axis=0) - mean).max() > 0.05


def test_rows_that_are_all_right_or_missing_do_not_make_it_infinite():
    calibration = calibrate(np.eye(3)[[0, 0, 1, 1]], [0, 0, 1, 1])
    assert 0.01 < calibration.temperature < 100
    assert np.isfinite(calibration.biases).all()
    found = calibration(np.eye(3))
    assert np.isfinite(found).all() and found.argmax(axis=1).tolist() == [0, 1, 2]
