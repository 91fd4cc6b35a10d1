"""What a guard may choose from: named estimators, how they are fitted, and what that showed."""

import time
import warnings
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import Bunch
from sklearn.utils.metadata_routing import get_routing_for_object
from sklearn.utils.validation import has_fit_parameter

from skda._callers import level_of_user
from skda._naming import shortened
from skda._sklearn_compat import clone
from skda.exceptions import DivergenceError, NoTargetWarning
from skda.model_selection._reverse import takes_target

FALLBACK = "fallback"
ADAPTED = "adapted"


def named_candidates(estimator: Any) -> list[tuple[str, Any]]:
    """Return the adaptations that compete, with their names.

    Parameters
    ----------
    estimator : estimator or list of estimators or of (str, estimator)
        One, which is called ``"adapted"``, or several; those without a name are called as their
        class, with a number where there are two of it.

    Returns
    -------
    candidates : list of (str, estimator)
        At least one.

    Raises
    ------
    TypeError, ValueError
        If there is none, or if names are no strings, are taken twice or are ``"fallback"``.
    """
    if not isinstance(estimator, list | tuple):
        check_can_be_fitted(estimator, "estimator")
        return [(ADAPTED, estimator)]
    wanted = "estimator must be an estimator, or a list of estimators or of (name, estimator)"
    if not estimator:
        raise ValueError(f"{wanted}; got an empty list.")
    pairs = _with_names(estimator)
    for pair in pairs:
        is_pair = isinstance(pair, list | tuple) and len(pair) == 2 and isinstance(pair[0], str)
        if not is_pair:
            raise TypeError(f"{wanted}; got {shortened(repr(pair))} in it.")
        check_can_be_fitted(pair[1], f"estimator: {pair[0]!r}")
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names) or FALLBACK in names:
        raise ValueError(
            f"estimator: the names {names} must differ from each other and from {FALLBACK!r}, "
            "which is what the parameter of that name is called in the verdict."
        )
    return [(name, part) for name, part in pairs]


def _with_names(parts):
    """Return parts of which those that are estimators are named, and all else as it is."""
    is_named = [not hasattr(part, "fit") or isinstance(part, type) for part in parts]
    names = [None if named else _name_of(part) for named, part in zip(is_named, parts, strict=True)]
    pairs = []
    for number, (name, part) in enumerate(zip(names, parts, strict=True)):
        if name is not None and names.count(name) > 1:
            name = f"{name} {names[: number + 1].count(name)}"
        pairs.append(part if name is None else (name, part))
    return pairs


def _name_of(estimator):
    """Return what a method is called: the class of what learns in pipelines and searches."""
    return _classes_of(estimator)[-1].removesuffix("Classifier")


def _classes_of(estimator):
    """Return the class of an estimator, and of what it is around, down to what learns."""
    names = [type(estimator).__name__]
    inner = getattr(estimator, "estimator", None)
    if isinstance(estimator, Pipeline):
        inner = estimator.steps[-1][1]
    return names + _classes_of(inner) if hasattr(inner, "fit") else names


def _told_of(estimator, params):
    """Return in words what is fitted, and to what."""
    how = "fitted with the target" if "X_target" in params else "fitted without the target"
    if isinstance(estimator, FrozenEstimator):
        how = "as it was fitted before"
    return f"{' of '.join(_classes_of(estimator))}, {how}"


def check_can_be_fitted(estimator: Any, name: str) -> None:
    """Raise a TypeError unless something is an estimator."""
    if isinstance(estimator, type) or not hasattr(estimator, "fit"):
        raise TypeError(
            f"{name} must be an estimator with a fit, got {shortened(repr(estimator))}."
        )


def fallback_of(fallback: Any, candidates: list[tuple[str, Any]]) -> Any:
    """Return what is kept unless an adaptation is better.

    Parameters
    ----------
    fallback : estimator or None
        What a user has given.

    candidates : list of (str, estimator)
        The adaptations.

    Returns
    -------
    fallback : estimator
        As given, or the first adaptation, to be fitted without a target.

    Raises
    ------
    TypeError, ValueError
        If it is no estimator, or if the first adaptation is the same with a target and without.
    """
    if fallback is not None:
        check_can_be_fitted(fallback, "fallback")
        return fallback
    name, first = candidates[0]
    if not _takes(first, "X_target"):
        raise ValueError(
            f"estimator: {name!r}, {type(first).__name__}, takes no X_target, so that without a "
            "target it is the same; give the classifier that would be used otherwise as fallback."
        )
    return first


def fit_part(
    name: str, estimator: Any, X: Any, y: Any, targets: tuple[Any, ...], sample_weight: Any = None
) -> Bunch:
    """Fit a clone, and return it with what its training said.

    Parameters
    ----------
    name : str
        In the verdict.

    estimator : estimator
        Its `fit` gets `X_target` and `sample_weight` if it takes them.

    X, y : array-likes
        Source rows and labels.

    targets : tuple of array-likes
        Target rows; empty for a fallback.

    sample_weight : array-like or None
        Weights of the source rows.

    Returns
    -------
    part : Bunch
        ``name``, ``model`` (what was fitted, in words), ``estimator`` (fitted), ``error`` (None,
        or the message of a divergence), ``warnings`` (list of str) and ``seconds``.
    """
    params = {}
    if targets and _takes(estimator, "X_target"):
        params["X_target"] = targets
    if sample_weight is not None and _takes(estimator, "sample_weight"):
        params["sample_weight"] = sample_weight
    start, error, fitted = time.perf_counter(), None, clone(estimator)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            fitted.fit(X, y, **params)
        except DivergenceError as divergence:
            error = str(divergence)
    # That a fallback has no target is what it is for.
    told = [w for w in caught if targets or not issubclass(w.category, NoTargetWarning)]
    for warning in told:
        warnings.warn(warning.message, warning.category, stacklevel=level_of_user())
    return Bunch(
        name=name,
        model=_told_of(estimator, params),
        estimator=fitted,
        error=error,
        warnings=list(dict.fromkeys(str(w.message) for w in told)),
        seconds=time.perf_counter() - start,
    )


def check_weights_are_taken(sample_weight: Any, parts: list[tuple[str, Any]]) -> None:
    """Raise if no part takes weights of rows, and warn of those that are fitted without."""
    if sample_weight is None:
        return
    ignorant = [name for name, part in parts if not _takes(part, "sample_weight")]
    if len(ignorant) == len(parts):
        raise ValueError(
            "sample_weight was given, but neither estimator nor fallback takes it; leave it out, "
            "or have the steps of pipelines request it by set_fit_request."
        )
    if ignorant:
        warnings.warn(
            f"sample_weight: {', '.join(map(repr, ignorant))} takes no weights of rows, and is "
            "compared with what learns by them.",
            UserWarning,
            stacklevel=level_of_user(),
        )


def _takes(estimator, name):
    """Whether the fit of an estimator takes rows of the target, or weights."""
    if isinstance(estimator, FrozenEstimator):
        return False
    if name == "X_target":
        return takes_target(estimator)
    if get_config()["enable_metadata_routing"] and not has_fit_parameter(estimator, name):
        return bool(get_routing_for_object(estimator).consumes("fit", [name]))
    return has_fit_parameter(estimator, name)


def hold_out(codes: np.ndarray, fraction: float, rng: np.random.RandomState) -> tuple:
    """Split rows by class, so that every class has rows in both parts.

    Parameters
    ----------
    codes : ndarray of shape (n_samples,)
        Class numbers.

    fraction : float
        Share of the rows of every class that is held out, rounded; at least one, and not all.

    rng : RandomState
        Draws the rows.

    Returns
    -------
    train, test : ndarrays of int
        Row numbers, sorted.

    Raises
    ------
    ValueError
        If a class has a single row.
    """
    test = []
    for number in np.unique(codes):
        members = np.flatnonzero(codes == number)
        if len(members) < 2:
            raise ValueError(
                "y holds a class with one row, of which none can be held out; give held-out rows "
                "of every class as X_val and y_val, or leave that class out."
            )
        n_test = min(max(round(fraction * len(members)), 1), len(members) - 1)
        test.append(rng.permutation(members)[:n_test])
    held_out = np.sort(np.concatenate(test))
    return np.setdiff1d(np.arange(len(codes)), held_out), held_out
