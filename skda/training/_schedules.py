"""How the trade-off and the learning rate change while training progresses from 0 to 1."""

import math


def progressive(progress, gamma=10.0):
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


def annealing(progress, alpha=10.0, beta=0.75):
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


def constant(progress):
    """No change at all: 1 at every `progress`."""
    return 1.0


SCHEDULES = {"progressive": progressive, "annealing": annealing, "constant": constant}
