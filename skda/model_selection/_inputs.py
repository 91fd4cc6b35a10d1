"""Arguments of scorers and splitters, and what an estimator makes of rows."""

from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline

from skda._checks import as_array, count_rows
from skda._naming import naming
from skda.domains import as_target_tuple, split_domains

_ROWS = "rows as the estimator takes them"


def check_estimator(estimator: Any) -> None:
    """Raise a TypeError if something cannot be a fitted estimator."""
    methods = ("fit", "predict", "predict_proba", "transform")
    if isinstance(estimator, type) or not any(hasattr(estimator, name) for name in methods):
        raise TypeError(f"estimator must be a fitted estimator, got {type(estimator).__name__}.")


def separate(X: Any, y: Any, X_target: Any, sample_domain: Any) -> tuple[Any, Any, tuple[Any, ...]]:
    """Return source rows, labels and target domains, as `skda.domains.split_domains` does."""
    X = as_array(X, "X")
    if sample_domain is not None:
        return split_domains(X, y, X_target, sample_domain)
    with naming("X_target", f"{_ROWS}, or a tuple of such"):
        targets = as_target_tuple(as_array(X_target, "X_target"))
    targets = tuple(as_array(rows, "X_target") for rows in targets)
    for rows in targets:
        count_rows(rows, "X_target")
    return X, y, targets


def check_known(estimator: Any, labels: np.ndarray, name: str) -> None:
    """Raise if no label is a class that the estimator knows, as where types differ."""
    classes = np.asarray(getattr(estimator, "classes_", labels))
    if not set(labels.tolist()) & set(classes.tolist()):
        raise ValueError(
            f"{name} holds {labels[:3].tolist()}, and no class of the estimator, "
            f"{classes[:3].tolist()}; give labels of the type that it was fitted with."
        )


def predict(estimator: Any, rows: Any, name: str) -> np.ndarray:
    """Return the predicted classes of rows.

    Parameters
    ----------
    estimator : object
        A fitted classifier.

    rows : array-like
        Rows.

    name : str
        Of the parameter that holds them.

    Returns
    -------
    labels : ndarray of shape (n_samples,)
        The classes.

    Raises
    ------
    TypeError
        If the estimator has no ``predict``.

    ValueError
        If it cannot take the rows, or if what it decides by is not finite: ``argmax`` of NaN is a
        class like any other.
    """
    if not hasattr(estimator, "predict"):
        raise TypeError(f"estimator: {type(estimator).__name__} has no predict.")
    with naming(name, _ROWS):
        labels = np.asarray(estimator.predict(rows))
    last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    methods = () if hasattr(last, "net_") else ("predict_proba", "decision_function")
    for method in methods:  # a deep estimator looks for itself
        if hasattr(estimator, method):
            with naming(name, _ROWS):
                outputs = getattr(estimator, method)(rows)
            _check_outputs(outputs, estimator, method, name)
            break
    return labels


def _check_outputs(outputs, estimator, method, name):
    if not np.isfinite(outputs).all():
        raise ValueError(
            f"estimator: {method} of {type(estimator).__name__} gives NaN or infinity for rows of "
            f"{name}; its training diverged, or these rows are too large."
        )


def predict_probabilities(estimator: Any, rows: Any, name: str) -> np.ndarray:
    """Return the class probabilities of rows.

    Parameters
    ----------
    estimator : object
        A fitted classifier.

    rows : array-like
        Rows.

    name : str
        Of the parameter that holds them.

    Returns
    -------
    probabilities : ndarray of shape (n_samples, n_classes), dtype=float64
        In the order of ``classes_``.

    Raises
    ------
    TypeError
        If the estimator has no ``predict_proba``.

    ValueError
        If it cannot take the rows, or gives what is not finite.
    """
    if not hasattr(estimator, "predict_proba"):
        raise TypeError(
            f"estimator: {type(estimator).__name__} has no predict_proba, from which the score is "
            "computed; wrap the classifier in sklearn.calibration.CalibratedClassifierCV."
        )
    with naming(name, _ROWS):
        probabilities = np.asarray(estimator.predict_proba(rows), dtype=np.float64)
    _check_outputs(probabilities, estimator, "predict_proba", name)
    return probabilities
