"""Other metrics than accuracy, from an estimated table of predicted and true classes."""

from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from skda._naming import shortened
from skda.target_accuracy._temperature import logarithms, match_temperature

_SCORES = {
    "accuracy": accuracy_score,
    "balanced_accuracy": balanced_accuracy_score,
    "f1_macro": lambda true, predicted: f1_score(true, predicted, average="macro"),
}


def check_metric(metric: Any) -> None:
    """Raise unless a metric is one that can be estimated."""
    if not isinstance(metric, str) or metric not in _SCORES:
        raise ValueError(
            f"metric must be one of {', '.join(map(repr, _SCORES))}, which a table of predicted "
            f"and true classes tells, got {shortened(repr(metric))}."
        )


def score_of_source(metric: str, source: np.ndarray, codes: np.ndarray) -> float:
    """Return the metric on rows with labels."""
    return float(_SCORES[metric](codes, source.argmax(axis=1)))


def joint_shares(probabilities: np.ndarray, accuracy: float) -> np.ndarray:
    """Return the estimated shares of rows by predicted and true class.

    Probabilities are brought to the temperature at which their mean confidence is the estimated
    accuracy. What they then say of the true class is averaged over the rows of every predicted
    class.

    Parameters
    ----------
    probabilities : ndarray of shape (n_samples, n_classes)
        Predictions for the target.

    accuracy : float
        Estimated accuracy on the target.

    Returns
    -------
    shares : ndarray of shape (n_classes, n_classes)
        A row for every predicted class, a column for every true one, with a sum of 1.
    """
    temperature = match_temperature(probabilities, accuracy)
    scaled = softmax(logarithms(probabilities) / temperature, axis=1)
    predicted = np.eye(probabilities.shape[1])[probabilities.argmax(axis=1)]
    return predicted.T @ scaled / len(scaled)


def score_of_estimate(metric: str, accuracy: float, target: np.ndarray) -> float:
    """Return the metric on the target that goes with an estimated accuracy."""
    if metric == "accuracy":
        return accuracy
    shares = joint_shares(target, accuracy)
    right, true, predicted = np.diag(shares), shares.sum(axis=0), shares.sum(axis=1)
    # The metrics leave out classes without a row: those of which half a row is expected at most.
    present = true * len(target) > 0.5
    if metric == "balanced_accuracy":
        return float(np.mean(right[present] / true[present]))
    return float(np.mean((2 * right / (true + predicted))[present]))
