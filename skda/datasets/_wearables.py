"""Accelerations of two people who wear a sensor in different ways."""

from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation
from sklearn.utils import Bunch, check_random_state

_DESCR = """\
Wearable activity
-----------------
Simulated accelerations, in g, of a sensor with three axes that two people wear, who are the
domains. The classes are 0 resting, 1 walking, 2 climbing stairs, 3 cycling and 4 running, in equal
parts. The second person moves at another tempo and with another vigour, and wears the sensor
turned about the sideways axis.

In the body's axes (up, forward, sideways) a row is gravity and a movement that repeats with the
frequency f of the steps or pedals::

    x(t) = M ([1, 0, 0] + a * sum_k A_k sin(2 pi k f (t + t0) + [0, pi / 2, 0])) + noise(t)

where k is 1/2, 1 and 2, the sideways sway has half the frequency of steps, M turns the body's axes
into the sensor's, and the noise is white. The amplitudes A are a plausible choice, not measured::

                f in Hz   up (k = 1, 2)   forward (k = 1, 2)   sideways (k = 1/2)
    resting       1.0       0     0           0     0               0
    walking       1.8       0.25  0.10        0.15  0.05            0.08
    stairs        1.5       0.20  0.15        0.08  0.10            0.10
    cycling       1.3       0.06  0.04        0.15  0.02            0.04
    running       2.7       0.80  0.20        0.30  0.10            0.15

Each row has an f that is normal about the person's with a deviation of 7 %, a factor a that is
log-normal about the person's vigour with a deviation of 0.25 of the logarithm, a uniform t0, and a
mounting that is turned by a normal angle of 8 degrees about each axis.

Windows of 128 values at 50 Hz are those of D. Anguita et al. A Public Domain Dataset for Human
Activity Recognition Using Smartphones. ESANN 2013.
"""

_HARMONICS = np.array([0.5, 1, 2])
# By class: f in Hz, then amplitudes in g by axis (up, forward, sideways) and harmonic.
_MOVEMENTS = {
    "resting": (1.0, ((0, 0, 0), (0, 0, 0), (0, 0, 0))),
    "walking": (1.8, ((0, 0.25, 0.10), (0, 0.15, 0.05), (0.08, 0, 0))),
    "stairs": (1.5, ((0, 0.20, 0.15), (0, 0.08, 0.10), (0.10, 0, 0))),
    "cycling": (1.3, ((0, 0.06, 0.04), (0, 0.15, 0.02), (0.04, 0, 0))),
    "running": (2.7, ((0, 0.80, 0.20), (0, 0.30, 0.10), (0.15, 0, 0))),
}
_TEMPO_SPREAD = 0.07
_VIGOUR_SPREAD = 0.25
_MOUNTING_SPREAD = 8.0  # degrees


def make_wearable_activity(
    n_samples: int = 400,
    n_target: int = 400,
    *,
    length: int = 128,
    sampling_rate: float = 50.0,
    tempo: float = 1.2,
    vigour: float = 0.7,
    turn: float = 50.0,
    noise: float = 0.05,
    random_state: Any = None,
) -> Bunch:
    """Simulate accelerations of two people, of whom the second wears the sensor turned.

    Series of three channels. The first person is the source, the second the target.

    Parameters
    ----------
    n_samples : int, default=400
        Rows of the source.

    n_target : int, default=400
        Rows of the target.

    length : int, default=128
        Values per row and axis. With the defaults a row lasts 2.56 s.

    sampling_rate : float, default=50
        Values per second, in Hz; more than 13, as running at this tempo has a part of 6.5 Hz.

    tempo : float, default=1.2
        How much faster the second person moves than the first.

    vigour : float, default=0.7
        Amplitude of the second person's movements, as a multiple of the first's.

    turn : float, default=50
        Angle in degrees by which the second person's sensor is turned about the sideways axis.

    noise : float, default=0.05
        Standard deviation of the noise in g.

    random_state : int, RandomState instance or None, default=None
        Seeds everything.

    Returns
    -------
    activity : sklearn.utils.Bunch
        With the entries

        X : ndarray of shape (n_samples, 3, length), dtype=float32
            Source rows in g.
        y : ndarray of shape (n_samples,), dtype=int64
            Source classes: 0 resting, 1 walking, 2 stairs, 3 cycling, 4 running.
        X_target : ndarray of shape (n_target, 3, length), dtype=float32
            Target rows.
        y_target : ndarray of shape (n_target,), dtype=int64
            Target classes, to measure an adaptation with; no method needs them.
        target_names : list of str
            Names of the classes.
        DESCR : str
            The model with its formulas.

    Raises
    ------
    ValueError
        If the sampling rate is too low for the movements.

    Examples
    --------
    >>> from skda.datasets import make_wearable_activity
    >>> activity = make_wearable_activity(20, 15, random_state=0)
    >>> activity.X.shape, activity.X_target.shape
    ((20, 3, 128), (15, 3, 128))
    """
    fastest = _HARMONICS[-1] * max(frequency for frequency, _ in _MOVEMENTS.values())
    if sampling_rate <= 2 * fastest * max(1, tempo):
        raise ValueError(
            f"sampling_rate={sampling_rate!r} must be more than twice the fastest part of a "
            f"movement, {fastest * max(1, tempo):.3g} Hz, or it would show at another frequency."
        )
    random_state = check_random_state(random_state)
    t = np.arange(length) / sampling_rate
    domains = []
    for n_rows, person in ((n_samples, (1.0, 1.0, 0.0)), (n_target, (tempo, vigour, turn))):
        y = random_state.permutation(np.arange(n_rows) % len(_MOVEMENTS))
        names = [list(_MOVEMENTS)[label] for label in y]
        rows = np.empty((n_rows, 3, length), dtype=np.float32)
        for row, name in zip(rows, names, strict=True):
            row[:] = _acceleration(name, t, *person, random_state)
        rows += noise * random_state.standard_normal(rows.shape).astype(np.float32)
        domains.append((rows, y))
    (X, y), (X_target, y_target) = domains
    return Bunch(
        X=X,
        y=y,
        X_target=X_target,
        y_target=y_target,
        target_names=list(_MOVEMENTS),
        DESCR=_DESCR,
    )


def _acceleration(name, t, tempo, vigour, turn, random_state):
    """One row without noise, of shape (3, length)."""
    frequency, amplitudes = _MOVEMENTS[name]
    frequency *= tempo * (1 + _TEMPO_SPREAD * random_state.standard_normal())
    factor = vigour * random_state.lognormal(0, _VIGOUR_SPREAD)
    start = random_state.uniform(0, 2 / frequency)  # a whole turn of the slowest part
    phases = 2 * np.pi * frequency * _HARMONICS[:, None] * (t + start)
    waves = np.sin(phases + np.array([0, np.pi / 2, 0])[:, None, None])  # by axis and harmonic
    body = factor * np.einsum("ak,akt->at", np.array(amplitudes), waves)
    body[0] += 1  # gravity
    angles = _MOUNTING_SPREAD * random_state.standard_normal(3) + np.array([0, 0, turn])
    return Rotation.from_euler("xyz", angles, degrees=True).as_matrix() @ body
