"""What a fitted classifier predicts for rows of a domain that is named."""

from inspect import signature
from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skda._checks import LABELS, check_column, check_lengths
from skda._naming import naming, shortened
from skda.label_shift._checks import check_probabilities

_ROWS = "rows as the estimator takes them"


def check_is_classifier(estimator: Any) -> None:
    """Raise unless something is a fitted classifier with scores of its classes.

    Parameters
    ----------
    estimator : object
        What a user has given.

    Raises
    ------
    TypeError
        If it has neither ``predict_proba`` nor ``decision_function``, or no ``classes_``.

    sklearn.exceptions.NotFittedError
        If it is an estimator that has not been fitted.
    """
    is_type = isinstance(estimator, type)
    if not is_type and isinstance(estimator, BaseEstimator):
        check_is_fitted(estimator)
    has_scores = any(hasattr(estimator, name) for name in ("predict_proba", "decision_function"))
    if is_type or not has_scores or not hasattr(estimator, "classes_"):
        raise TypeError(
            "estimator must be a fitted classifier with predict_proba or decision_function, got "
            f"{'the class ' + estimator.__name__ if is_type else type(estimator).__name__}."
        )


def predict_domain(
    estimator: Any, rows: Any, name: str, domain: Any, n_targets: int = 1
) -> np.ndarray:
    """Return the class probabilities of rows of a domain.

    Every step that tells domains apart, which is one whose method has a parameter ``domain``, is
    told which one they are of: a network with batch norms per domain must see source rows under
    the statistics of the source.

    Parameters
    ----------
    estimator : object
        A fitted classifier, a pipeline that ends in one, or a search over such.

    rows : array-like
        Rows.

    name : str
        Of the parameter that holds them.

    domain : "source", "target" or int
        Whose rows they are. A number is for those that were fitted with as many targets, and the
        target for all others.

    n_targets : int, default=1
        How many target domains there are.

    Returns
    -------
    probabilities : ndarray of shape (n_samples, n_classes), dtype=float64
        In the order of ``classes_``: of ``predict_proba``, or the softmax of
        ``decision_function``.

    Raises
    ------
    TypeError, ValueError
        If the estimator cannot predict them, or gives what are no probabilities of its classes.
    """
    estimator, rows = _at_last_step(estimator, rows, name, domain, n_targets)
    check_is_classifier(estimator)
    n_classes = len(estimator.classes_)
    method = "predict_proba" if hasattr(estimator, "predict_proba") else "decision_function"
    with naming(name, _ROWS):
        outputs = np.asarray(
            call_in_domain(estimator, method, rows, domain, n_targets), dtype=np.float64
        )
    if outputs.ndim == 1 and n_classes == 2:
        outputs = np.column_stack([np.zeros(len(outputs)), outputs])
    if outputs.ndim != 2 or outputs.shape[1] != n_classes:
        raise ValueError(
            f"estimator: {method} of {type(estimator).__name__} has the shape {outputs.shape}, "
            f"but there are {n_classes} classes, of which each needs a column."
        )
    if method == "decision_function":
        outputs = softmax(outputs, axis=1)
    return check_probabilities(outputs, f"{method} of {name}")


def class_numbers(
    y: Any, classes: np.ndarray, rows: Any, names: tuple[str, str] = ("X", "y")
) -> np.ndarray:
    """Return the class numbers of the labels of held-out rows, of which every class has some.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels.

    classes : ndarray of shape (n_classes,)
        Those of the estimator.

    rows : ndarray
        What they label.

    names : (str, str), default=("X", "y")
        What rows and labels are called in errors.

    Returns
    -------
    codes : ndarray of shape (n_samples,)
        From 0 to n_classes - 1.

    Raises
    ------
    TypeError, ValueError
        If a label is no class, or a class has no row.
    """
    name = names[1]
    y = check_column(y, name)
    check_lengths(names[0], rows, name, y)
    with naming(name, LABELS):
        numbers = {label: number for number, label in enumerate(np.asarray(classes).tolist())}
        strangers = [label for label in dict.fromkeys(y.tolist()) if label not in numbers]
    if strangers:
        raise ValueError(
            f"{name} holds {shortened(strangers[:5])}, which are no classes of the estimator "
            f"({shortened(list(numbers)[:5])}, ...); give labels that it was fitted with."
        )
    codes = np.array([numbers[label] for label in y.tolist()])
    missing = np.setdiff1d(np.arange(len(numbers)), codes)
    if len(missing):
        raise ValueError(
            f"{name} holds no row of class {list(numbers)[missing[0]]!r}, so that nothing says "
            "what is predicted for its rows; hold out rows of every class, as a stratified split "
            "does."
        )
    return codes


def call_in_domain(step: Any, method: str, rows: Any, domain: Any, n_targets: int) -> Any:
    """Return what a method of an estimator gives for rows, told their domain if it asks for it.

    Parameters
    ----------
    step : object
        A fitted estimator.

    method : str
        Name of its method.

    rows : array-like
        Rows.

    domain : "source", "target" or int
        Whose rows they are, as for :func:`predict_domain`.

    n_targets : int
        How many target domains there are.

    Returns
    -------
    outputs : object
        What the method returns.
    """
    function = getattr(step, method)
    if "domain" not in signature(function).parameters:
        return function(rows)
    if domain not in ("source", "target"):
        is_its_own = _targets_of(step) == n_targets > 1
        domain = domain if is_its_own else "target"
    return function(rows, domain=domain)


def count_targets(estimator: Any) -> int:
    """Return the number of target domains that an estimator tells apart, 1 if it tells none.

    Parameters
    ----------
    estimator : object
        A fitted estimator, a pipeline of such, or a search over such.

    Returns
    -------
    n_targets : int
        The most of any step.
    """
    estimator = getattr(estimator, "best_estimator_", estimator)  # of a search
    if isinstance(estimator, Pipeline):
        return max(count_targets(step) for _, step in estimator.steps)
    return max(1, _targets_of(estimator))


def _targets_of(step):
    module = getattr(getattr(step, "net_", None), "module_", None)
    return getattr(module, "n_targets", 1)


def call_last_step(
    estimator: Any, method: str, rows: Any, name: str, domain: Any, n_targets: int = 1
) -> Any:
    """Return what a method of the last step of a fitted estimator gives for rows of a domain.

    Parameters
    ----------
    estimator : object
        A fitted estimator, a pipeline that ends in one, or a search over such.

    method : str
        Of the last step, such as ``"transform"``.

    rows : array-like
        Rows, as they are before the steps of a pipeline.

    name : str
        Of the parameter that holds them.

    domain : "source", "target" or int
        Whose rows they are, as for :func:`predict_domain`.

    n_targets : int, default=1
        How many target domains there are.

    Returns
    -------
    outputs : object
        What the method returns.
    """
    estimator, rows = _at_last_step(estimator, rows, name, domain, n_targets)
    with naming(name, _ROWS):
        return call_in_domain(estimator, method, rows, domain, n_targets)


def _at_last_step(estimator, rows, name, domain, n_targets):
    """Return the last step of a pipeline, and rows as the steps before it hand them on."""
    estimator = getattr(estimator, "best_estimator_", estimator)  # of a search
    if not isinstance(estimator, Pipeline):
        return estimator, rows
    for _, step in estimator.steps[:-1]:
        if step is not None and not isinstance(step, str):
            with naming(name, _ROWS):
                rows = call_in_domain(step, "transform", rows, domain, n_targets)
    return _at_last_step(estimator.steps[-1][1], rows, name, domain, n_targets)
