"""The estimates by name, each from predictions for both domains."""

from collections.abc import Callable
from typing import Any

import numpy as np

from skda._naming import shortened
from skda.target_accuracy._confidence import confidence_difference, mean_confidence
from skda.target_accuracy._dispersion import matrix_norm_line, nuclear_norm_line
from skda.target_accuracy._inputs import Predictions
from skda.target_accuracy._references import agreed_or_transported
from skda.target_accuracy._thresholded import share_above_threshold
from skda.target_accuracy._transport import transported_confidence


def atc_entropy(predictions: Predictions) -> float:
    """Return the share of target rows whose negative entropy is above the threshold."""
    return share_above_threshold(predictions, "entropy")


def agreement(predictions: Predictions) -> float:
    """Return the mean share of target rows on which other models agree."""
    predicted = predictions.target.argmax(axis=1)
    return float(np.mean([np.mean(other == predicted) for other in predictions.others]))


# What needs predictions of simple classifiers of the rows, and of other models.
REFERENCES, AGREEMENT = "combined", "gde"
METHODS: dict[str, Callable[[Predictions], float]] = {
    REFERENCES: agreed_or_transported,
    "confidence": mean_confidence,
    "doc": confidence_difference,
    "atc": share_above_threshold,
    "atc_entropy": atc_entropy,
    "cot": transported_confidence,
    "nuclear_norm": nuclear_norm_line,
    "matrix_norm": matrix_norm_line,
    AGREEMENT: agreement,
}


def check_method(method: Any, others: Any) -> None:
    """Raise unless a method is known and has what it needs."""
    if not isinstance(method, str) or method not in METHODS:
        raise ValueError(
            f"method must be one of {', '.join(map(repr, METHODS))}, got {shortened(repr(method))}."
        )
    if method == AGREEMENT and not others:
        raise ValueError(
            "method='gde' compares with models that have been trained in the same way from other "
            "random states; pass them fitted, as others=[...]."
        )
