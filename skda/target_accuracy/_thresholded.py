"""The share of rows whose confidence is beyond what right rows of the source have."""

from typing import Any

import numpy as np
from scipy.special import xlogy

from skda.target_accuracy._inputs import Predictions, check_predictions

SCORES = ("max", "entropy")


def average_thresholded_confidence(
    target_probabilities: Any,
    source_probabilities: Any,
    source_labels: Any,
    *,
    score: str = "max",
    sample_weight: Any = None,
) -> float:
    """Accuracy on the target as the share of rows above a threshold of confidence (ATC).

    The threshold is the one above which there are as many held-out source rows as are predicted
    right.

    **Assumes** that the threshold tells the right share in the target, too: right and wrong rows
    may change in number, but not in how sure they are. **Fails** where a shift makes wrong rows
    sure, as adaptation may, and knows little where the classifier makes no error on the source,
    whose threshold is that of its least sure row.

    Parameters
    ----------
    target_probabilities : array-like of shape (n_target_samples, n_classes)
        Predictions for the target rows.

    source_probabilities : array-like of shape (n_samples, n_classes)
        Predictions for source rows that the classifier has not been trained on.

    source_labels : array-like of shape (n_samples,)
        Their classes, as numbers of columns.

    score : {"max", "entropy"}, default="max"
        The confidence: the largest probability, or the negative entropy of all.

    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the source rows, such as ratios of class shares.

    Returns
    -------
    accuracy : float
        From 0 to 1. Of rows that have exactly the score of the threshold the part counts that
        makes the source's accuracy exact.

    Raises
    ------
    TypeError, ValueError
        If arguments are not as described.

    References
    ----------
    S. Garg, S. Balakrishnan, Z. C. Lipton, B. Neyshabur, H. Sedghi. Leveraging Unlabeled Data to
    Predict Out-of-Distribution Performance. ICLR 2022, section 4.

    Examples
    --------
    Three source rows of four are right, and above the threshold.

    >>> from skda.target_accuracy import average_thresholded_confidence
    >>> source, labels = [[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.6, 0.4]], [0, 1, 0, 1]
    >>> average_thresholded_confidence([[0.95, 0.05], [0.55, 0.45]], source, labels)
    0.5
    """
    if score not in SCORES:
        raise ValueError(f"score must be one of {', '.join(map(repr, SCORES))}, got {score!r}.")
    return share_above_threshold(
        check_predictions(target_probabilities, source_probabilities, source_labels, sample_weight),
        score,
    )


def share_above_threshold(predictions: Predictions, score: str = "max") -> float:
    """Return what :func:`average_thresholded_confidence` does, of checked predictions."""
    source, target = _scores(predictions.source, score), _scores(predictions.target, score)
    n_rows = len(source)
    order = np.argsort(source, kind="stable")
    below = np.cumsum(predictions.weights[order]) / n_rows
    error = 1 - predictions.source_accuracy
    # The first row up to which there are as many rows as wrong ones, but for rounding.
    place = min(np.searchsorted(below, error - 1e-12), n_rows - 1)
    threshold = source[order[place]]
    tied = source == threshold
    n_tied = predictions.weights[tied].sum() / n_rows
    n_below = predictions.weights[source < threshold].sum() / n_rows
    wrong = np.clip((error - n_below) / n_tied, 0, 1) if n_tied > 0 else 0.0
    above = np.mean(target > threshold) + (1 - wrong) * np.mean(target == threshold)
    return float(np.clip(above, 0, 1))


def _scores(probabilities, score):
    if score == "max":
        return probabilities.max(axis=1)
    return xlogy(probabilities, probabilities).sum(axis=1)
