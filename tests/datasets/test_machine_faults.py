"""The simulated vibrations."""

import numpy as np
import pytest
from scipy.signal import hilbert

from skda.datasets import make_machine_faults

# Turns per second, exactly: rows differ by 3 %.
SPEED = 30.0
ORDERS = {1: 3.585, 2: 5.415, 3: 4.713}


def long_rows(**params):
    """Rows of a second without noise and hum."""
    params = {"noises": (0, 0), "hums": (0, 0), "random_state": 0, **params}
    return make_machine_faults(20, 20, length=8000, speeds=(SPEED, 40.0), **params)


def spectrum_peak(X, low, high):
    """Frequency in Hz of the largest part of each row between two frequencies."""
    spectra = np.abs(np.fft.rfft(X, axis=-1))
    spectra[..., :low] = 0
    return spectra[..., :high].argmax(axis=-1)  # a row lasts a second


def envelope(X):
    return np.abs(hilbert(X.astype(np.float64), axis=-1))


def test_shapes_types_and_equal_classes():
    faults = make_machine_faults(22, 9, length=64, random_state=0)
    assert faults.X.shape == (22, 1, 64) and faults.X_target.shape == (9, 1, 64)
    assert faults.X.dtype == faults.X_target.dtype == np.float32
    assert faults.y.dtype == faults.y_target.dtype == np.int64
    assert np.bincount(faults.y).tolist() == [6, 6, 5, 5]
    assert np.bincount(faults.y_target).tolist() == [3, 2, 2, 2]
    assert len(faults.target_names) == 4 and all(name in faults.DESCR for name in ("inner race",))


def test_random_state_decides():
    first, same, other = (
        make_machine_faults(8, 8, length=64, random_state=seed).X_target for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("label", ORDERS)
def test_impulses_come_at_the_characteristic_frequency(label):
    faults = long_rows()
    for X, y, speed in ((faults.X, faults.y, SPEED), (faults.X_target, faults.y_target, 40.0)):
        found = spectrum_peak(envelope(X[y == label, 0]), int(1.5 * speed), int(6.5 * speed))
        np.testing.assert_allclose(found, ORDERS[label] * speed, rtol=0.06)


@pytest.mark.parametrize("label, order", [(2, 1.0), (3, 0.398)])
def test_moving_faults_turn_through_the_load(label, order):
    faults = long_rows()
    found = spectrum_peak(envelope(faults.X[faults.y == label, 0]), 5, int(1.5 * SPEED))
    np.testing.assert_allclose(found, order * SPEED, rtol=0.1)


def test_the_outer_race_stays_in_the_load():
    faults = long_rows()
    spectra = np.abs(np.fft.rfft(envelope(faults.X[faults.y == 1, 0]), axis=-1))
    slow, impulses = spectra[:, 5:45].max(axis=1), spectra[:, 90:120].max(axis=1)
    assert (impulses > 4 * slow).all()


def test_machines_ring_at_their_resonance():
    faults = long_rows(resonances=(2000, 1200))
    for X, y, resonance in ((faults.X, faults.y, 2000), (faults.X_target, faults.y_target, 1200)):
        peaks = spectrum_peak(X[y > 0, 0], 500, 4000)
        np.testing.assert_allclose(np.median(peaks), resonance, rtol=0.05)


def test_severity_is_the_amplitude_of_the_ringing():
    faults = make_machine_faults(
        400,
        400,
        length=400,
        resonances=(1500, 1500),
        noises=(0, 0),
        hums=(0, 0),
        severities=(1, 3),
        random_state=0,
    )
    source, target = (
        np.median(np.abs(X[y == 1]).max(axis=(1, 2)))
        for X, y in ((faults.X, faults.y), (faults.X_target, faults.y_target))
    )
    assert 0.7 < source < 1.2  # some ringing is left of the impulses before
    assert target / source == pytest.approx(3, rel=0.15)


def test_healthy_rows_have_hum_and_noise_alone():
    silent = long_rows()
    assert not silent.X[silent.y == 0].any() and not silent.X_target[silent.y_target == 0].any()
    noisy = long_rows(noises=(0.5, 0.1))
    for X, y, noise in ((noisy.X, noisy.y, 0.5), (noisy.X_target, noisy.y_target, 0.1)):
        assert X[y == 0].std() == pytest.approx(noise, rel=0.05)
    humming = long_rows(hums=(0.5, 0))
    assert np.isin(spectrum_peak(humming.X[humming.y == 0, 0], 1, 200), range(29, 32)).all()


def test_ringing_does_not_wait_for_the_start_of_a_row():
    faults = make_machine_faults(
        800, 4, length=100, noises=(0, 0), hums=(0, 0), severities=(1, 1), random_state=0
    )
    X = faults.X[faults.y == 1, 0].astype(np.float64)
    start, end = ((X[:, part] ** 2).mean() for part in (slice(20), slice(80, 100)))
    assert start == pytest.approx(end, rel=0.3)


@pytest.mark.parametrize("name", ["speeds", "resonances", "severities", "noises", "hums"])
@pytest.mark.parametrize("pair", [(1.0,), (1.0, -1.0)])
def test_refuses_what_is_no_pair(name, pair):
    with pytest.raises(ValueError, match=f"{name}=.*must be two positive numbers"):
        make_machine_faults(4, 4, length=16, **{name: pair})


def test_refuses_resonances_that_sampling_would_fold():
    with pytest.raises(ValueError, match="sampling_rate=3000 must be more than twice"):
        make_machine_faults(4, 4, sampling_rate=3000)
