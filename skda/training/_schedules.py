"""How the trade-off and the learning rate change while training progresses from 0 to 1."""

import math
from collections.abc import Callable
from typing import Any


def progressive(progress: float, gamma: float = 10.0) -> float:
    r"""Growth of the trade-off from 0 to 1: :math:`2 / (1 + e^{-\gamma p}) - 1`.

    Parameters
    ----------
    progress : float
        Training progress in [0, 1].

    gamma : float, default=10.0
        Steepness.

    Returns
    -------
    factor : float
        The factor of the trade-off.

    References
    ----------
    Y. Ganin et al. Domain-Adversarial Training of Neural Networks. JMLR 17(59), 2016,
    section 5.2.2.

    Examples
    --------
    >>> from skda.training import progressive
    >>> [round(progressive(p), 4) for p in (0, 0.1, 1)]
    [0.0, 0.4621, 0.9999]
    """
    return 2 / (1 + math.exp(-gamma * progress)) - 1


def annealing(progress: float, alpha: float = 10.0, beta: float = 0.75) -> float:
    r"""Decay of the learning rate: :math:`(1 + \alpha p)^{-\beta}`.

    Parameters
    ----------
    progress : float
        Training progress in [0, 1].

    alpha, beta : float, default=10.0 and 0.75
        Speed and exponent of the decay.

    Returns
    -------
    factor : float
        The factor of the learning rate.

    References
    ----------
    Y. Ganin et al. Domain-Adversarial Training of Neural Networks. JMLR 17(59), 2016,
    section 5.2.2.

    Examples
    --------
    >>> from skda.training import annealing
    >>> annealing(0), round(annealing(1), 4)
    (1.0, 0.1656)
    """
    return (1 + alpha * progress) ** -beta


def cosine(progress: float, warmup: float = 0.05) -> float:
    r"""Linear growth to 1 over a share of training, then half a cosine down to 0.

    .. math:: \min(p / w, 1) \text{ until } w, \text{ then }
              \tfrac12 \bigl(1 + \cos(\pi (p - w) / (1 - w))\bigr)

    Parameters
    ----------
    progress : float
        Training progress in [0, 1].

    warmup : float, default=0.05
        Share of training, in [0, 1), during which the factor grows; ``functools.partial(cosine,
        warmup=0)`` starts at 1.

    Returns
    -------
    factor : float
        The factor of the learning rate.

    References
    ----------
    I. Loshchilov, F. Hutter. SGDR: Stochastic Gradient Descent with Warm Restarts. ICLR 2017,
    section 3 (without restarts).

    Examples
    --------
    >>> from skda.training import cosine
    >>> [round(cosine(p), 3) for p in (0, 0.025, 0.05, 0.525, 1)]
    [0.0, 0.5, 1.0, 0.5, 0.0]
    """
    if progress < warmup:
        return progress / warmup
    return (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup))) / 2


def constant(progress: float) -> float:
    """No change at all: 1 at every `progress`."""
    return 1.0


# By name; what is no name is a schedule itself.
SCHEDULES: dict[Any, Callable[[float], float]] = {
    "progressive": progressive,
    "annealing": annealing,
    "cosine": cosine,
    "constant": constant,
}
