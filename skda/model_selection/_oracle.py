"""What a choice by target labels would give: for benchmarks."""

import warnings
from typing import Any

import numpy as np

from skda._checks import check_column
from skda.exceptions import TargetLabelWarning
from skda.model_selection._base import TargetScorer
from skda.model_selection._inputs import check_known, predict


class TargetAccuracyScorer(TargetScorer):
    """Accuracy on target rows by their labels: the oracle, for benchmarks only.

    Unlike every other scorer of this module it uses target labels, which adaptation does not
    have, and warns so at each call. It says what the best choice would be, to measure other
    scorers by; figures chosen by it overstate what adaptation can do.

    The target arrives as in :class:`TargetEntropyScorer`. The labels are a parameter, and not
    metadata, for in a search those would reach ``fit`` as well.

    Parameters
    ----------
    y_target : array-like or tuple of array-likes
        Labels of the target rows, in the form of ``X_target``.

    Warns
    -----
    skda.exceptions.TargetLabelWarning
        At each call.

    Examples
    --------
    >>> import warnings
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skda.datasets import load_shifted_digits
    >>> from skda.exceptions import TargetLabelWarning
    >>> from skda.model_selection import TargetAccuracyScorer
    >>> digits = load_shifted_digits(random_state=0)
    >>> clf = LogisticRegression().fit(digits.X, digits.y)
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", TargetLabelWarning)
    ...     oracle = TargetAccuracyScorer(digits.y_target)(
    ...         clf, digits.X, X_target=digits.X_target
    ...     )
    >>> oracle == clf.score(digits.X_target, digits.y_target)
    True
    """

    def __init__(self, y_target: Any):
        self.y_target = y_target

    def _score(self, estimator, X, y, targets):
        warnings.warn(
            "TargetAccuracyScorer uses target labels, which domain adaptation does not have: for "
            "benchmarks only.",
            TargetLabelWarning,
            stacklevel=3,  # at the caller of score
        )
        labels = self.y_target if isinstance(self.y_target, tuple) else (self.y_target,)
        labels = [check_column(part, "y_target") for part in labels]
        for part in labels:
            check_known(estimator, part, "y_target")
        predicted = [predict(estimator, rows, "X_target") for rows in targets]
        given, wanted = [np.size(part) for part in labels], [len(part) for part in predicted]
        if given != wanted:
            raise ValueError(
                f"y_target holds {given} labels for domains of {wanted} rows of X_target; give one "
                "label per row, in a tuple of arrays for several domains."
            )
        return np.mean(np.concatenate(predicted) == np.concatenate(labels))
