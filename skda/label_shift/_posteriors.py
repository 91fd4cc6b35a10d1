"""Posteriors under other shares of the classes, and how much of a change is noise."""

from typing import Any

import numpy as np

from skda.label_shift._checks import check_probabilities, check_shares
from skda.label_shift._estimates import likelihoods_of_classes


def reweight_probabilities(
    probabilities: Any, source_shares: Any, target_shares: Any
) -> np.ndarray:
    """Return probabilities of the classes where these have other shares.

    Every probability is multiplied by the ratio of the shares of its class, and every row is
    brought back to a sum of 1.

    Parameters
    ----------
    probabilities : array-like of shape (n_samples, n_classes)
        Posteriors under `source_shares`.

    source_shares, target_shares : array-likes of shape (n_classes,)
        Shares of the classes, each with a sum of 1.

    Returns
    -------
    probabilities : ndarray of shape (n_samples, n_classes), dtype=float64
        Posteriors under `target_shares`; 0 for a class that the target lacks. A row that can be
        of no class with a share has the shares themselves.

    Raises
    ------
    ValueError
        If arguments are not as described, or if a class has a share in the target and none in
        the source: nothing is known of its rows.

    References
    ----------
    M. Saerens, P. Latinne, C. Decaestecker. Adjusting the Outputs of a Classifier to New a Priori
    Probabilities: A Simple Procedure. Neural Computation 2002, equation 2.4.

    Examples
    --------
    >>> from skda.label_shift import reweight_probabilities
    >>> reweight_probabilities([[0.6, 0.4]], [0.5, 0.5], [0.2, 0.8]).round(3)
    array([[0.273, 0.727]])
    """
    posteriors = check_probabilities(probabilities, "probabilities")
    source = check_shares(source_shares, "source_shares", posteriors.shape[1])
    target = check_shares(target_shares, "target_shares", posteriors.shape[1])
    unknown = np.flatnonzero((source == 0) & (target > 0))
    if len(unknown):
        raise ValueError(
            f"target_shares has a share for class number {unknown[0]}, which has none in "
            "source_shares; leave it out, or train with rows of it."
        )
    weighted = likelihoods_of_classes(posteriors, source) * target
    return weighted / weighted.sum(axis=1, keepdims=True)
