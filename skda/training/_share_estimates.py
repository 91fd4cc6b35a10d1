"""Class shares of a target by a network that is being trained, which may be wrong about it."""

from collections.abc import Callable
from typing import Any

import numpy as np

from skda.label_shift import (
    black_box_shares,
    calibrate,
    label_shift_test,
    maximum_likelihood_shares,
    reweight_probabilities,
)

# All by measurement, on shifted digits with other or equal class shares, or with some classes, with
# random states 0, 1 and 10 to 15, after the first tenth of a training.
#
# Two estimates that differ by up to this share of what they differ from the source, together, are
# right: 0.04 to 0.08 where domains differ in their shares alone, 0.15 and more where they do not.
_EXACT = 0.12
# A network that is sure of itself makes both agree, be they right or wrong: then its probabilities
# must also be a mixture of those of held-out rows. P-values are 0.79 and more where domains differ
# in their shares alone, 0.002 and less where they do not.
_LEAST_P_VALUE = 0.1
# Else shares have changed if BBSE says so by more than this times the distance that noise makes of
# equal shares. With equal shares it is up to 1.78 of it, and 2.0 to 4.2 where they are turned
# around; under statistics of the target's own, which hide much of it, up to 1.08, and 0.9 to 2.5.
_BEYOND_NOISE = {"shared": 1.85, "own": 1.15}
# And if EM agrees so far, which noise does with 0.2 to 0.7.
_AGREED = 0.6
# Without evidence shares go half as far as a network says. It makes up a difference as well, of
# 0.05 to 0.1 with equal shares, and the more by which it has learned the more of it: all of what it
# says grew to 0.1 to 0.3, which cost 0 to 5 points; 0.7 of it 1 on average. Where the target has
# other shares the half is most of what is gained.
_TRUST_WITHOUT_EVIDENCE = 0.5


class Comparison:
    """Two estimates of the class shares of a target from the same predictions.

    That of maximum likelihood (EM) needs calibrated predictions and rows of a class that look
    alike in both domains, and is exact then; that by the confusions of held-out rows (BBSE) looks
    at mean predictions alone, and errs less where features differ. What both agree on is more than
    an error of one.

    Parameters
    ----------
    target_probabilities : ndarray of shape (n_target, n_classes)
        Predictions for the target.

    held_probabilities : ndarray of shape (n_held, n_classes)
        Predictions for source rows that the network does not learn from.

    held_labels : ndarray of int64 of shape (n_held,)
        Their classes.
    """

    def __init__(self, target_probabilities, held_probabilities, held_labels):
        n_target, n_classes = target_probabilities.shape
        counts = np.bincount(held_labels, minlength=n_classes)
        self.source = counts / counts.sum()
        calibration = calibrate(held_probabilities, held_labels)
        # Below what noise makes of the mean log likelihood of a row. One row of the source's keeps
        # EM from creeping towards shares of 0.
        tol = n_classes / (8 * n_target)
        self.likely = maximum_likelihood_shares(
            calibration(target_probabilities), self.source, prior_rows=1, tol=tol
        )
        self.confused = black_box_shares(target_probabilities, held_probabilities, held_labels)
        self.shift = distance(self.likely, self.source) + distance(self.confused, self.source)
        self.disagreement = distance(self.likely, self.confused) / max(self.shift, 1e-12)
        variances = self.source * (1 - self.source) * (1 / n_target + 1 / len(held_labels))
        # Mean distance of the shares in two samples of these sizes from the same classes.
        self.noise = np.sqrt(2 / np.pi * variances).sum()

    def is_exact(self) -> bool:
        """Whether both say that the classes have other shares, and as good as the same ones."""
        return self.disagreement < _EXACT and self.shift > 2 * self.noise

    def shows_shift(self, statistics: str) -> bool:
        """Whether both say that the classes have other shares, by more than their noise.

        Parameters
        ----------
        statistics : {"own", "shared"}
            By which predictions for the target are made.
        """
        change = distance(self.confused, self.source)
        is_beyond = change > _BEYOND_NOISE[statistics] * self.noise
        return is_beyond and self.disagreement < _AGREED


def distance(first: np.ndarray, second: np.ndarray) -> float:
    """Return the sum of the differences between shares, from 0 to 2."""
    return float(np.abs(first - second).sum())


def early_estimate(
    predict: Callable[[Any], np.ndarray],
    held: tuple[np.ndarray, np.ndarray],
    shares: np.ndarray,
    evidence: str,
    *,
    source_shares: np.ndarray,
    learned: np.ndarray,
    domains: tuple[Any, ...],
) -> tuple[np.ndarray, str]:
    """Return the class shares of a target by a network that has learned little, and how sure.

    Under the statistics of the source predictions for the target are as good as those for held-out
    rows if the domains differ in nothing but the shares of classes. Where two estimates from them
    agree, and the predictions are a mixture of those of classes, that is so, and they are right at
    once.

    Where features differ too, statistics of the target's own must make up for it, and are wrong in
    turn as long as the shares are: no estimate from them is right, and both are noisy. They only
    say whether there is a shift; shares take steps, see :func:`next_step`, and the network learns
    in between.

    Parameters
    ----------
    predict : callable
        From a domain, whose statistics it uses, to probabilities of the target's rows.

    held : (ndarray of shape (n_held, n_classes), ndarray of int64 of shape (n_held,))
        Probabilities and labels of held-out rows of the source.

    shares : ndarray of shape (n_classes,)
        Those that the target was taken to have.

    evidence : {"exact", "shift", "none"}
        How sure the estimate before was: of the shares, of a shift of them, or of neither.

    source_shares : ndarray of shape (n_classes,)
        Those of the source.

    learned : ndarray of shape (n_classes,)
        Those that the network has learned by, the mean over all targets.

    domains : tuple
        The source, and the target where it has statistics of its own.

    Returns
    -------
    shares : ndarray of shape (n_classes,)
        With a sum of 1.

    evidence : {"exact", "shift", "none"}
        How sure it is.
    """
    source, *own = domains
    probabilities = predict(source)
    comparison = Comparison(probabilities, *held)
    if comparison.is_exact() and label_shift_test(probabilities, *held).p_value > _LEAST_P_VALUE:
        return comparison.likely, "exact"
    if own:
        probabilities = predict(own[0])
        comparison = Comparison(probabilities, *held)
    if evidence != "none" or comparison.shows_shift("own" if own else "shared"):
        evidence = "shift"
    step = next_step(
        probabilities,
        shares,
        evidence,
        source_shares=source_shares,
        learned=learned,
    )
    return step, evidence


def next_step(
    probabilities: np.ndarray,
    shares: np.ndarray,
    evidence: str,
    *,
    source_shares: np.ndarray,
    learned: np.ndarray,
) -> np.ndarray:
    """Return shares after a step of EM: to the mean of the probabilities, or some of the way.

    Parameters
    ----------
    probabilities : ndarray of shape (n_target, n_classes)
        Predictions for the target.

    shares : ndarray of shape (n_classes,)
        Those that the target was taken to have.

    evidence : {"exact", "shift", "none"}
        Exact shares stay as they are. Without evidence the step is half as long.

    source_shares : ndarray of shape (n_classes,)
        Those of the source.

    learned : ndarray of shape (n_classes,)
        Those that the network has learned by, the mean over all targets.

    Returns
    -------
    shares : ndarray of shape (n_classes,)
        With a sum of 1.

    References
    ----------
    M. Saerens, P. Latinne, C. Decaestecker. Adjusting the Outputs of a Classifier to New a Priori
    Probabilities: A Simple Procedure. Neural Computation 2002, equation 2.9.
    """
    if evidence == "exact":
        return shares
    expected = reweight_probabilities(probabilities, learned, shares).mean(axis=0)
    trust = 1.0 if evidence == "shift" else _TRUST_WITHOUT_EVIDENCE
    return trust * expected + (1 - trust) * source_shares
