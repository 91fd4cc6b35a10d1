"""Held-out predictions as every estimate takes them."""

from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Any

import numpy as np

from skda._checks import as_array, check_lengths
from skda._naming import naming, shortened
from skda.label_shift import check_codes, check_probabilities

_WEIGHTS = "numbers of 0 or more, one per source row, of which one is more than 0"


@dataclass(frozen=True)
class Predictions:
    """What a classifier predicts for target rows and for held-out source rows.

    Parameters
    ----------
    target : ndarray of shape (n_target_samples, n_classes)
        Probabilities.

    source : ndarray of shape (n_samples, n_classes)
        Probabilities.

    codes : ndarray of shape (n_samples,)
        Class numbers of the source rows.

    weights : ndarray of shape (n_samples,)
        Of the source rows, with a mean of 1.

    others : tuple of ndarrays of shape (n_target_samples,)
        Class numbers that other models of the same kind predict for the target rows.

    references : tuple of ndarrays of shape (n_target_samples,)
        Class numbers that simple classifiers of the held-out source rows predict.

    reference_accuracy : float
        Of these, cross-validated on the source.

    judge_weights : ndarray of shape (n_references + n_others,)
        How much each of the references, and then of the others, counts.

    trust : float
        From 0 to 1: how well the best of them fits the target.
    """

    target: np.ndarray
    source: np.ndarray
    codes: np.ndarray
    weights: np.ndarray
    others: tuple[np.ndarray, ...] = ()
    references: tuple[np.ndarray, ...] = ()
    reference_accuracy: float = 0.0
    judge_weights: np.ndarray = field(default_factory=lambda: np.ones(0))
    trust: float = 1.0

    def drawn(self, rows: np.ndarray, target_rows: np.ndarray) -> "Predictions":
        """Return the predictions of some rows of the source and of the target."""
        return replace(
            self,
            target=self.target[target_rows],
            source=self.source[rows],
            codes=self.codes[rows],
            weights=self.weights[rows] / self.weights[rows].mean(),
            others=tuple(other[target_rows] for other in self.others),
            references=tuple(reference[target_rows] for reference in self.references),
        )

    @property
    def is_right(self) -> np.ndarray:
        """Which source rows are predicted right."""
        return self.source.argmax(axis=1) == self.codes

    @property
    def source_accuracy(self) -> float:
        """Weighted share of the source rows that are predicted right."""
        return float(np.mean(self.weights * self.is_right))

    @property
    def chance(self) -> float:
        """Accuracy of guesses that know nothing: all classes are as likely."""
        return 1.0 / self.source.shape[1]


def check_predictions(
    target_probabilities: Any,
    source_probabilities: Any,
    source_labels: Any,
    sample_weight: Any = None,
) -> Predictions:
    """Return predictions of both domains, if they are such.

    Parameters
    ----------
    target_probabilities, source_probabilities : array-likes of shape (n_samples, n_classes)
        What ``predict_proba`` gives.

    source_labels : array-like of shape (n_samples,)
        Numbers of columns.

    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the source rows.

    Returns
    -------
    predictions : Predictions
        The arrays.

    Raises
    ------
    TypeError, ValueError
        If they are something else.
    """
    target = check_probabilities(target_probabilities, "target_probabilities")
    source = check_probabilities(source_probabilities, "source_probabilities")
    if target.shape[1] != source.shape[1]:
        raise ValueError(
            f"target_probabilities has {target.shape[1]} columns and source_probabilities "
            f"{source.shape[1]}; give one per class, in one order."
        )
    if source.shape[1] < 2:
        raise ValueError(
            "source_probabilities has one column; give one per class, of which there are two or "
            "more: of two classes, numpy.column_stack([1 - p, p])."
        )
    codes = check_codes(source_labels, "source_labels", source, "source_probabilities")
    return Predictions(target, source, codes, check_weights(sample_weight, source))


def check_weights(sample_weight: Any, source: np.ndarray) -> np.ndarray:
    """Return weights of source rows with a mean of 1, which are equal if they are None."""
    if sample_weight is None:
        return np.ones(len(source))
    with naming("sample_weight", _WEIGHTS):
        weights = np.asarray(as_array(sample_weight, "sample_weight"), dtype=np.float64)
        if weights.ndim != 1 or not np.isfinite(weights).all() or weights.min() < 0:
            raise ValueError("some are negative or not finite, or it is no column.")
        if weights.sum() <= 0:
            raise ValueError("all are 0.")
    check_lengths("source_probabilities", source, "sample_weight", weights)
    return weights / weights.mean()


def check_fraction(number: Any, name: str, *, inner: bool = True) -> None:
    """Raise unless a number is from 0 to 1, without these two if it must be `inner`."""
    is_number = isinstance(number, Real) and not isinstance(number, bool)
    value: Any = number
    if not is_number or not (0 < value < 1 if inner else 0 <= value <= 1):
        words = "between 0 and 1" if inner else "from 0 to 1"
        raise ValueError(f"{name} must be a number {words}, got {shortened(repr(number))}.")
