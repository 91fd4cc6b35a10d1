"""Rows and features of a fitted classifier, in the form that critics and references take."""

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.pipeline import Pipeline

from skda._naming import naming
from skda.label_shift import call_in_domain
from skda.target_accuracy._references import as_rows

_MOST_NUMBERS = 1 << 24


def classifier_input(
    estimator: Any, rows: Any, name: str, domain: Any, n_targets: int
) -> tuple[Any, Any]:
    """Return the last step of a pipeline or search, and the rows as they reach it."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    if not isinstance(estimator, Pipeline):
        return estimator, rows
    for _, step in estimator.steps[:-1]:
        if step is not None and not isinstance(step, str):
            with naming(name, "rows as the estimator takes them"):
                rows = call_in_domain(step, "transform", rows, domain, n_targets)
    return classifier_input(estimator.steps[-1][1], rows, name, domain, n_targets)


def reference_rows(estimator: Any, rows: Any, name: str, domain: Any, n_targets: int) -> Any:
    """Return rows as a table of numbers, or None if they and what reaches the classifier are none.

    The rows themselves come first: what a pipeline has learned may be what has gone astray.
    """
    table = as_rows(rows)
    if table is not None:
        return table
    return as_rows(classifier_input(estimator, rows, name, domain, n_targets)[1])


def features_of(
    estimator: Any, rows: Any, name: str, domain: Any, n_targets: int
) -> np.ndarray | None:
    """Return the features that a classifier decides by, or None if it shows none.

    Those of ``transform`` of the last step, which deep estimators have, or the rows that reach it.
    Sparse ones of more than 16 million numbers would not fit a critic.
    """
    last, rows = classifier_input(estimator, rows, name, domain, n_targets)
    if hasattr(last, "transform"):
        with naming(name, "rows as the estimator takes them"):
            rows = call_in_domain(last, "transform", rows, domain, n_targets)
    table = as_rows(rows)
    if sparse.issparse(table) and np.prod(table.shape) <= _MOST_NUMBERS:
        return table.toarray()
    return table if isinstance(table, np.ndarray) and not np.isnan(table).any() else None
