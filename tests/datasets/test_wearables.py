"""The simulated accelerations."""

import numpy as np
import pytest

from skda.datasets import make_wearable_activity

STEPS = {1: 1.8, 2: 1.5, 3: 1.3, 4: 2.7}


def movement(X):
    return X - X.mean(axis=2, keepdims=True)


def test_shapes_types_and_equal_classes():
    activity = make_wearable_activity(12, 9, length=64, random_state=0)
    assert activity.X.shape == (12, 3, 64) and activity.X_target.shape == (9, 3, 64)
    assert activity.X.dtype == activity.X_target.dtype == np.float32
    assert np.bincount(activity.y).tolist() == [3, 3, 2, 2, 2]
    assert np.bincount(activity.y_target).tolist() == [2, 2, 2, 2, 1]
    assert activity.target_names[4] == "running"


def test_random_state_decides():
    first, same, other = (
        make_wearable_activity(5, 5, random_state=seed).X_target for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("label", STEPS)
def test_movements_have_their_tempo(label):
    activity = make_wearable_activity(
        200, 200, length=3000, tempo=1.5, turn=0, noise=0, random_state=0
    )
    # The forward axis: up has much of the double frequency for stairs.
    axis = 0 if label == 2 else 1
    for X, y, tempo in ((activity.X, activity.y, 1), (activity.X_target, activity.y_target, 1.5)):
        spectra = np.abs(np.fft.rfft(movement(X[y == label])[:, axis], axis=1))
        median = np.median(spectra.argmax(axis=1) / 60)  # a row lasts 60 s
        assert median == pytest.approx(tempo * STEPS[label], rel=0.06)


def test_gravity_shows_how_the_sensor_is_worn():
    activity = make_wearable_activity(200, 200, turn=60, random_state=0)
    np.testing.assert_allclose(activity.X.mean(axis=(0, 2)), [0.98, 0, 0], atol=0.04)
    np.testing.assert_allclose(activity.X_target.mean(axis=(0, 2)), [0.49, 0.85, 0], atol=0.04)


def test_vigour_is_the_amplitude_of_movement():
    activity = make_wearable_activity(300, 300, vigour=0.5, noise=0, random_state=0)
    ratio = movement(activity.X_target).std() / movement(activity.X).std()
    assert ratio == pytest.approx(0.5, rel=0.1)


def test_resting_rows_have_noise_alone():
    activity = make_wearable_activity(50, 50, noise=0.2, random_state=0)
    assert movement(activity.X[activity.y == 0]).std() == pytest.approx(0.2, rel=0.05)


def test_refuses_a_rate_that_would_fold_movements():
    with pytest.raises(ValueError, match=r"sampling_rate=20 must .*, 10.8 Hz"):
        make_wearable_activity(4, 4, sampling_rate=20, tempo=2)
