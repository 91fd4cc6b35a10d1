"""How often a classifier is right where it is as sure as it says, on a target without labels."""

from numbers import Integral
from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.utils import Bunch

from skda._naming import shortened
from skda.label_shift import check_codes, check_probabilities
from skda.target_accuracy._result import AccuracyResult
from skda.target_accuracy._temperature import logarithms, match_temperature

_MOST_BINS = 10_000


def target_reliability(
    target_probabilities: Any,
    accuracy: float | None = None,
    *,
    target_labels: Any = None,
    n_bins: int = 10,
) -> Bunch:
    """Reliability of probabilities on a target: by labels where there are, else by an accuracy.

    Rows are put into bins by their confidence, the largest probability. What share of a bin is
    right is counted by labels; without, it is what probabilities say at the temperature at which
    their mean is the estimated accuracy on the target.

    **Assumes**, without labels, a good estimate of the accuracy, and that the order of rows by
    confidence is that of how often they are right, in the way of a temperature. **Fails** where
    wrong rows are the surest: then the mean is right at best.

    Parameters
    ----------
    target_probabilities : array-like of shape (n_samples, n_classes)
        What the classifier predicts.

    accuracy : float, default=None
        Estimated accuracy, such as `accuracy` of :func:`~skda.metrics.estimate_target_accuracy`;
        needed where there are no labels.

    target_labels : array-like of shape (n_samples,), default=None
        Classes of the rows, as numbers of columns.

    n_bins : int, default=10
        How many bins of equal width there are between 0 and 1.

    Returns
    -------
    result : sklearn.utils.Bunch
        With the entries

        confidence, accuracy : ndarrays of shape (n_filled_bins,)
            Means of the rows of every bin that has some: what they say, and how often they are
            right.
        share : ndarray of shape (n_filled_bins,)
            Of the rows that are in the bin.
        calibration_error : float
            Mean of the absolute difference of both, weighted by `share` (ECE).
        overconfidence : float
            Mean confidence less accuracy of all rows.
        is_estimated : bool
            Whether there were no labels.

    Raises
    ------
    TypeError, ValueError
        If arguments are not as described, or both labels and an accuracy are given, or neither.

    References
    ----------
    C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger. On Calibration of Modern Neural Networks.
    ICML 2017, section 2.

    Examples
    --------
    >>> from skda.target_accuracy import target_reliability
    >>> sure = [[0.9, 0.1], [0.1, 0.9], [0.6, 0.4], [0.4, 0.6]]
    >>> result = target_reliability(sure, 0.6)
    >>> round(result.overconfidence, 3)
    0.15
    """
    probabilities = check_probabilities(target_probabilities, "target_probabilities")
    if (accuracy is None) == (target_labels is None):
        raise ValueError(
            "accuracy and target_labels: give one of both, labels where there are, or else an "
            "estimated accuracy, as estimate_target_accuracy(...).accuracy."
        )
    is_count = isinstance(n_bins, Integral) and not isinstance(n_bins, bool)
    if not is_count or not 1 <= n_bins <= _MOST_BINS:
        raise ValueError(
            f"n_bins must be a whole number from 1 to {_MOST_BINS}, got {shortened(repr(n_bins))}."
        )
    if accuracy is not None:
        temperature = match_temperature(probabilities, accuracy)
        right = softmax(logarithms(probabilities) / temperature, axis=1).max(axis=1)
    else:
        codes = check_codes(target_labels, "target_labels", probabilities, "target_probabilities")
        right = (probabilities.argmax(axis=1) == codes).astype(np.float64)
    sure = probabilities.max(axis=1)
    bins = np.minimum((sure * n_bins).astype(int), n_bins - 1)
    counts = np.bincount(bins, minlength=n_bins)
    filled = counts > 0
    means = [
        np.bincount(bins, values, minlength=n_bins)[filled] / counts[filled]
        for values in (sure, right)
    ]
    share = counts[filled] / counts.sum()
    return AccuracyResult(
        confidence=means[0],
        accuracy=means[1],
        share=share,
        calibration_error=float(share @ np.abs(means[0] - means[1])),
        overconfidence=float(sure.mean() - right.mean()),
        is_estimated=accuracy is not None,
    )
