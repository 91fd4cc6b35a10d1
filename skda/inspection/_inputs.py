"""What displays are made from: arrays of one length, fitted estimators and their features."""

from inspect import signature
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from skda._checks import as_array
from skda._naming import naming, shortened


def as_numbers(values: Any, name: str, shape: tuple[int | None, ...] = (None,)) -> np.ndarray:
    """Return finite numbers as an array of a shape, of which None is any length."""
    wanted = {1: "a list of numbers", 2: "a table of numbers"}[len(shape)]
    with naming(name, wanted):
        numbers = np.asarray(as_array(values, name), dtype=np.float64)
    fits = numbers.ndim == len(shape) and all(
        length in (None, given) for length, given in zip(shape, numbers.shape, strict=True)
    )
    if not fits:
        lengths = ", ".join("any" if length is None else str(length) for length in shape)
        raise ValueError(
            f"{name} must be {wanted} of the shape ({lengths}), got the shape {numbers.shape}."
        )
    if not np.isfinite(numbers).all():
        raise ValueError(f"{name} has numbers that are not finite; leave them out.")
    return numbers


def as_labels(values: Any, name: str, n_rows: int, rows: str) -> np.ndarray:
    """Return labels, as many as there are rows."""
    labels = np.asarray(as_array(values, name))
    if labels.shape != (n_rows,):
        raise ValueError(
            f"{name} must have one entry for each of the {n_rows} rows of {rows}, got the shape "
            f"{labels.shape}."
        )
    return labels


def deep_step(estimator: Any, name: str) -> tuple[Any, Any]:
    """Return the steps before the last one of a fitted pipeline or search, and the last one.

    Parameters
    ----------
    estimator : estimator, Pipeline or search
        Fitted.

    name : str
        Of the parameter, for messages.

    Returns
    -------
    earlier : Pipeline or None
        None if there are no steps before.

    last : estimator
        The one that learned last.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If it is not fitted.
    """
    estimator = getattr(estimator, "best_estimator_", estimator)  # of a search
    if isinstance(estimator, type):
        raise TypeError(f"{name} must be a fitted estimator, got the class {estimator.__name__}.")
    check_is_fitted(estimator)
    if not isinstance(estimator, Pipeline):
        return None, estimator
    return (estimator[:-1] if len(estimator) > 1 else None), estimator[-1]


def history_of(estimator: Any, name: str = "estimator") -> Any:
    """Return the history of a fitted deep estimator, and the estimator."""
    _, last = deep_step(estimator, name)
    history = getattr(last, "history_", None)
    if not history:
        raise ValueError(
            f"{name}: {type(last).__name__} has no history of epochs; give a fitted deep estimator "
            "of this package, or a pipeline or search that ends in one."
        )
    return history, last


def choose_rows(n_rows: int, n_chosen: int | None, rng: Any) -> np.ndarray:
    """Return the numbers of some rows, drawn without replacement."""
    if n_chosen is None or n_rows <= n_chosen:
        return np.arange(n_rows)
    return np.sort(check_random_state(rng).choice(n_rows, n_chosen, replace=False))


def domain_features(estimator: Any, X: Any, domain: str, name: str) -> np.ndarray:
    """Return what a fitted estimator makes of the rows of a domain.

    Parameters
    ----------
    estimator : estimator, Pipeline or search
        Of which the last step has ``transform``.

    X : array-like
        Rows.

    domain : {"source", "target"}
        Whose rows they are; for estimators whose ``transform`` asks for it.

    name : str
        Of the parameter that holds the rows, for messages.

    Returns
    -------
    features : ndarray of shape (n_samples, n_features)
        Of the last step.
    """
    earlier, last = deep_step(estimator, "estimator")
    if not hasattr(last, "transform"):
        raise TypeError(
            f"estimator: {type(last).__name__} has no transform, which gives the features; give a "
            "fitted estimator of this package, or a transformer."
        )
    with naming(name, "rows as the estimator takes them"):
        rows = X if earlier is None else earlier.transform(X)
        asks = "domain" in signature(last.transform).parameters
        features = last.transform(rows, domain=domain) if asks else last.transform(rows)
    return np.asarray(features).reshape(len(features), -1)


def plain_features(X: Any, name: str, estimator: Any) -> np.ndarray:
    """Return the numbers that the last step of an estimator gets of rows."""
    earlier, _ = deep_step(estimator, "estimator")
    with naming(name, "rows as the estimator takes them"):
        rows = X if earlier is None else earlier.transform(X)
    values = np.asarray(as_array(rows, name))
    if values.dtype.kind not in "buif" or values.ndim < 2:
        raise ValueError(
            f"{name} holds no table or pictures of numbers ({shortened(repr(rows), 60)}), which "
            "the picture before adaptation could show; give a fitted `reference`, such as "
            "clone(estimator).set_params(trade_off=0)."
        )
    return values.reshape(len(values), -1)
