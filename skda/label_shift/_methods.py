"""The estimates by name, each from predictions for target rows and for held-out source rows."""

from collections.abc import Callable
from typing import Any

import numpy as np

from skda._naming import naming, shortened
from skda.label_shift._calibration import calibrate
from skda.label_shift._checks import check_shares
from skda.label_shift._estimates import (
    black_box_shares,
    maximum_likelihood_shares,
    regularized_shares,
)


def calibrated_maximum_likelihood(
    target_probabilities: np.ndarray, source_probabilities: np.ndarray, source_labels: np.ndarray
) -> np.ndarray:
    """Return shares by EM from probabilities that are calibrated on the source rows."""
    calibration = calibrate(source_probabilities, source_labels)
    counts = np.bincount(source_labels, minlength=source_probabilities.shape[1])
    return maximum_likelihood_shares(calibration(target_probabilities), counts / counts.sum())


METHODS: dict[str, Callable] = {
    "em": calibrated_maximum_likelihood,
    "bbse": black_box_shares,
    "rlls": regularized_shares,
}


def estimate_of(method: Any) -> Callable:
    """Return the estimate that a name or a function stands for.

    Parameters
    ----------
    method : {"em", "bbse", "rlls"} or callable
        What a user has given.

    Returns
    -------
    estimate : callable
        From probabilities of target rows, probabilities of source rows and their class numbers to
        shares.

    Raises
    ------
    ValueError
        If it is neither.
    """
    if isinstance(method, str) and method in METHODS:
        return METHODS[method]
    if not callable(method):
        raise ValueError(
            f"method must be {', '.join(map(repr, METHODS))}, or a function of target "
            f"probabilities, source probabilities and source labels, got {shortened(repr(method))}."
        )

    def checked(target_probabilities, source_probabilities, source_labels):
        with naming("method", "a function that returns shares"):
            shares = method(target_probabilities, source_probabilities, source_labels)
            return check_shares(shares, "method", source_probabilities.shape[1])

    return checked
