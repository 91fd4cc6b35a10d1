"""Estimates from the confidence alone: its mean, and what it has lost since the source."""

from typing import Any

import numpy as np
from scipy.special import softmax

from skda.target_accuracy._inputs import Predictions, check_predictions
from skda.target_accuracy._temperature import likeliest_temperature, logarithms


def average_confidence(
    target_probabilities: Any,
    source_probabilities: Any,
    source_labels: Any,
    *,
    sample_weight: Any = None,
) -> float:
    """Accuracy on the target as the mean of the largest probabilities, after calibration.

    A classifier that is as often right as it says is right in that share of the rows. The
    temperature is fitted to held-out source rows.

    **Assumes** that what is calibrated on the source is calibrated on the target: p(y|x) is the
    same in both. **Fails** where rows look different, which networks are too sure of (too high an
    estimate), and most of all after an adaptation that has made predictions sure, right or wrong.

    Parameters
    ----------
    target_probabilities : array-like of shape (n_target_samples, n_classes)
        Predictions for the target rows.

    source_probabilities : array-like of shape (n_samples, n_classes)
        Predictions for source rows that the classifier has not been trained on.

    source_labels : array-like of shape (n_samples,)
        Their classes, as numbers of columns.

    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the source rows, such as ratios of class shares.

    Returns
    -------
    accuracy : float
        From 0 to 1.

    Raises
    ------
    TypeError, ValueError
        If arguments are not as described.

    References
    ----------
    D. Hendrycks, K. Gimpel. A Baseline for Detecting Misclassified and Out-of-Distribution
    Examples in Neural Networks. ICLR 2017; with the temperature of C. Guo et al., ICML 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from skda.target_accuracy import average_confidence
    >>> sure = np.where(np.eye(2, dtype=bool), 0.99, 0.01)  # right in four of five rows
    >>> source, labels = sure[np.repeat([0, 1], 500)], np.repeat([0, 1, 1, 0], [400, 100, 400, 100])
    >>> round(average_confidence([[0.99, 0.01], [0.5, 0.5]], source, labels), 2)
    0.65
    """
    return mean_confidence(
        check_predictions(target_probabilities, source_probabilities, source_labels, sample_weight)
    )


def mean_confidence(predictions: Predictions) -> float:
    """Return what :func:`average_confidence` does, of predictions that are checked."""
    return float(calibrated_target(predictions).max(axis=1).mean())


def calibrated_target(predictions: Predictions) -> np.ndarray:
    """Return target probabilities of the temperature that suits the source."""
    temperature = likeliest_temperature(predictions.source, predictions.codes, predictions.weights)
    return softmax(logarithms(predictions.target) / temperature, axis=1)


def difference_of_confidences(
    target_probabilities: Any,
    source_probabilities: Any,
    source_labels: Any,
    *,
    sample_weight: Any = None,
) -> float:
    """Accuracy on the target as that on the source, less what the mean confidence has lost (DoC).

    No calibration is needed: what a classifier is too sure by cancels.

    **Assumes** that it is too sure by as much on the target as on the source. **Fails** as
    :func:`average_confidence` does, where a shift makes it wrong without making it unsure; and
    where the confidence of nearly all rows is 1 in both domains.

    Parameters
    ----------
    target_probabilities : array-like of shape (n_target_samples, n_classes)
        Predictions for the target rows.

    source_probabilities : array-like of shape (n_samples, n_classes)
        Predictions for source rows that the classifier has not been trained on.

    source_labels : array-like of shape (n_samples,)
        Their classes, as numbers of columns.

    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the source rows, such as ratios of class shares.

    Returns
    -------
    accuracy : float
        From 0 to 1.

    Raises
    ------
    TypeError, ValueError
        If arguments are not as described.

    References
    ----------
    D. Guillory, V. Shankar, S. Ebrahimi, T. Darrell, L. Schmidt. Predicting with Confidence on
    Unseen Distributions. ICCV 2021, section 3: the difference itself, without the regression.

    Examples
    --------
    Three rows of four are right, and the confidence falls from 0.9 to 0.7.

    >>> from skda.target_accuracy import difference_of_confidences
    >>> source, labels = [[0.9, 0.1]] * 4, [0, 0, 0, 1]
    >>> round(difference_of_confidences([[0.3, 0.7]] * 5, source, labels), 2)
    0.55
    """
    return confidence_difference(
        check_predictions(target_probabilities, source_probabilities, source_labels, sample_weight)
    )


def confidence_difference(predictions: Predictions) -> float:
    """Return what :func:`difference_of_confidences` does, of predictions that are checked."""
    of_source = np.mean(predictions.weights * predictions.source.max(axis=1))
    lost = of_source - predictions.target.max(axis=1).mean()
    return float(np.clip(predictions.source_accuracy - lost, 0, 1))
