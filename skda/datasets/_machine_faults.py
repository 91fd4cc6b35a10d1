"""Vibrations of bearings with and without a fault, on two machines."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.signal import fftconvolve
from sklearn.utils import Bunch, check_random_state

_DESCR = """\
Machine faults
--------------
Simulated vibrations, in g, of a rolling element bearing on two machines, which are the domains.
The classes are

0. healthy,
1. a fault of the outer race,
2. a fault of the inner race,
3. a fault of a ball,

in equal parts. Both machines have the same bearing, of n = 9 balls whose diameter is r = 0.2034
times that of their pitch circle. Shaft speed, resonance of the housing, severity of the faults and
noise differ.

A fault gives an impulse each time that it is rolled over, and each impulse makes the housing ring
(McFadden and Smith 1984; Randall and Antoni 2011)::

    x(t) = a * sum_i m(t_i) s(t - t_i) + hum(t) + noise(t)
    s(t) = exp(-2 pi 0.05 R t) sin(2 pi R t)    for t > 0

with t in s and the resonance R in Hz. The impulses' frequency q follows from the shaft's speed f,
their weight m from how the fault turns through the load::

    outer race   q = n / 2 (1 - r) f = 3.585 f    m(t) = 1
    inner race   q = n / 2 (1 + r) f = 5.415 f    m(t) = (1 + cos(2 pi f t + p)) / 2
    ball         q = (1 - r^2) / r f = 4.713 f    m(t) = (1 + cos(2 pi c t + p)) / 2

The outer race stands still, the inner race turns with the shaft, a ball with the cage at
c = (1 - r) / 2 f, and hits a race twice in a turn of its own. Each interval slips: it is normal
with a standard deviation of 2 %. The hum is the shaft's, ``sin(2 pi k f t + p_k) / k`` summed over
k = 1, 2, 3. Of the variance of the noise one half is white, the sensor's, and the other is
friction, white noise that makes the housing ring.

A row's speed f is uniform within 3 % of the machine's, its severity a is log-normal about the
machine's with a deviation of 0.3 of the logarithm, all phases p are uniform, and rows are
independent of each other.

References
----------
P. D. McFadden, J. D. Smith. Model for the vibration produced by a single point defect in a rolling
element bearing. Journal of Sound and Vibration 96(1), 1984.

R. B. Randall, J. Antoni. Rolling element bearing diagnostics - a tutorial. Mechanical Systems and
Signal Processing 25(2), 2011.
"""

_CLASSES = ("healthy", "outer race", "inner race", "ball")
_N_BALLS, _DIAMETER_RATIO = 9, 0.2034  # of the bearing 6205
_DAMPING = 0.05
_SLIP = 0.02
_SPEED_SPREAD = 0.03
_SEVERITY_SPREAD = 0.3


def make_machine_faults(
    n_samples: int = 400,
    n_target: int = 400,
    *,
    length: int = 1024,
    sampling_rate: float = 8000.0,
    speeds: Sequence[float] = (29.0, 33.0),
    resonances: Sequence[float] = (2000.0, 1500.0),
    severities: Sequence[float] = (1.0, 0.8),
    noises: Sequence[float] = (0.1, 0.15),
    hums: Sequence[float] = (0.1, 0.15),
    random_state: Any = None,
) -> Bunch:
    """Simulate vibrations of healthy and faulty bearings on two machines.

    Series of one channel: an accelerometer on the housing of a bearing. Impulses of a fault ring
    at the machine's resonance, and their rhythm, by which faults differ, goes with its speed. Each
    of the pairs holds a figure of the source machine and one of the target machine.

    Parameters
    ----------
    n_samples : int, default=400
        Rows of the source machine.

    n_target : int, default=400
        Rows of the target machine.

    length : int, default=1024
        Values per row. With the defaults a row lasts 0.128 s, about four turns of the shaft.

    sampling_rate : float, default=8000
        Values per second, in Hz; more than twice the larger resonance.

    speeds : (float, float), default=(29, 33)
        Turns of the shafts per second, in Hz.

    resonances : (float, float), default=(2000, 1500)
        Resonances of the housings in Hz.

    severities : (float, float), default=(1, 0.8)
        Median amplitudes of the ringing in g, the load's share.

    noises : (float, float), default=(0.1, 0.15)
        Standard deviations of the noise in g.

    hums : (float, float), default=(0.1, 0.15)
        Amplitudes of the hum of the shafts in g.

    random_state : int, RandomState instance or None, default=None
        Seeds everything.

    Returns
    -------
    faults : sklearn.utils.Bunch
        With the entries

        X : ndarray of shape (n_samples, 1, length), dtype=float32
            Source rows in g.
        y : ndarray of shape (n_samples,), dtype=int64
            Source classes: 0 healthy, 1 outer race, 2 inner race, 3 ball.
        X_target : ndarray of shape (n_target, 1, length), dtype=float32
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
        If a parameter is no pair of positive numbers, or the sampling rate is too low.

    References
    ----------
    .. [1] P. D. McFadden, J. D. Smith. Model for the vibration produced by a single point defect
       in a rolling element bearing. Journal of Sound and Vibration 96(1), 1984.

    .. [2] R. B. Randall, J. Antoni. Rolling element bearing diagnostics - a tutorial. Mechanical
       Systems and Signal Processing 25(2), 2011.

    Examples
    --------
    >>> from skda.datasets import make_machine_faults
    >>> faults = make_machine_faults(20, 12, random_state=0)
    >>> faults.X.shape, faults.X_target.shape
    ((20, 1, 1024), (12, 1, 1024))
    """
    pairs = {
        "speeds": speeds,
        "resonances": resonances,
        "severities": severities,
        "noises": noises,
        "hums": hums,
    }
    for name, pair in pairs.items():
        if len(pair) != 2 or min(pair) < 0 or (name in ("speeds", "resonances") and min(pair) == 0):
            raise ValueError(
                f"{name}={pair!r} must be two positive numbers, of the source and of the target."
            )
    if sampling_rate <= 2 * max(resonances):
        raise ValueError(
            f"sampling_rate={sampling_rate!r} must be more than twice the larger of resonances="
            f"{resonances!r}, or they would show at another frequency."
        )
    random_state = check_random_state(random_state)
    t = np.arange(length) / sampling_rate
    domains = []
    for number, n_rows in enumerate((n_samples, n_target)):
        machine = {name: pair[number] for name, pair in pairs.items()}
        y = random_state.permutation(np.arange(n_rows) % len(_CLASSES))
        rows = [_vibration(_CLASSES[label], t, **machine, random_state=random_state) for label in y]
        domains.append((np.array(rows, dtype=np.float32).reshape(n_rows, 1, length), y))
    (X, y), (X_target, y_target) = domains
    return Bunch(
        X=X,
        y=y,
        X_target=X_target,
        y_target=y_target,
        target_names=list(_CLASSES),
        DESCR=_DESCR,
    )


def _vibration(fault, t, *, speeds, resonances, severities, noises, hums, random_state):
    """One row; the parameters are those of one machine."""
    speed = speeds * (1 + _SPEED_SPREAD * random_state.uniform(-1, 1))
    row = hums * _hum(speed, t, random_state) + noises * _noise(resonances, t, random_state)
    if fault == "healthy":
        return row
    severity = severities * random_state.lognormal(0, _SEVERITY_SPREAD)
    return row + severity * _fault_signal(fault, speed, resonances, t, random_state)


def _fault_orders(fault):
    """Return impulses, and turns of the fault through the load, per turn of the shaft."""
    n, r = _N_BALLS, _DIAMETER_RATIO
    return {
        "outer race": (n / 2 * (1 - r), 0.0),
        "inner race": (n / 2 * (1 + r), 1.0),
        "ball": ((1 - r**2) / r, (1 - r) / 2),
    }[fault]


def _ring_time(resonance):
    """Time in s after which 0.1 % is left of the ringing."""
    return np.log(1000) / (2 * np.pi * _DAMPING * resonance)


def _ringing(t, resonance):
    """The housing's answer at times since an impulse."""
    return np.exp(-2 * np.pi * _DAMPING * resonance * t) * np.sin(2 * np.pi * resonance * t)


def _fault_signal(fault, speed, resonance, t, random_state):
    order, load_order = _fault_orders(fault)
    period = 1 / (order * speed)
    # What still rings when the row begins was hit before; a sum of slips needs some to spare.
    before = _ring_time(resonance)
    n_impulses = int(1.2 * (t[-1] + before) / period) + 5
    slips = 1 + _SLIP * random_state.standard_normal(n_impulses)
    times = np.cumsum(period * slips) - period * (1 + random_state.uniform()) - before
    turned = 2 * np.pi * load_order * speed * times + random_state.uniform(0, 2 * np.pi)
    load = (1 + np.cos(turned)) / 2 if load_order else np.ones(n_impulses)
    return _ring(times, load, t, resonance)


def _ring(times, weights, t, resonance):
    """The sum of the answers to impulses, each followed while it can be heard."""
    step = t[1] - t[0]
    first = np.ceil(times / step).astype(int)
    positions = first[:, None] + np.arange(int(_ring_time(resonance) / step) + 1)
    answers = weights[:, None] * _ringing(positions * step - times[:, None], resonance)
    inside = (positions >= 0) & (positions < len(t))
    return np.bincount(positions[inside], weights=answers[inside], minlength=len(t))


def _hum(speed, t, random_state):
    harmonics = np.arange(1, 4)
    phases = random_state.uniform(0, 2 * np.pi, 3)
    return (np.sin(2 * np.pi * harmonics * speed * t[:, None] + phases) / harmonics).sum(axis=1)


def _noise(resonance, t, random_state):
    """White noise, and noise that makes the housing ring, of 1/2 of the variance each."""
    step = t[1] - t[0]
    answer = _ringing(np.arange(0, _ring_time(resonance), step), resonance)
    white = random_state.standard_normal(len(t))
    knocks = random_state.standard_normal(len(t) + len(answer) - 1)
    friction = fftconvolve(knocks, answer / np.linalg.norm(answer), mode="valid")
    return (white + friction) / np.sqrt(2)
