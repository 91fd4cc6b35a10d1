"""Choice of a backbone by the transferability of its features."""

import copy
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted

from skda._checks import as_array
from skda._naming import naming, shortened
from skda.metrics._checks import check_draws, check_labels
from skda.metrics._h_score import h_score
from skda.metrics._leep import leep_score, n_leep_score, nce_score
from skda.metrics._logme import logme_score
from skda.metrics._transrate import transrate_score

# What a candidate gives, and what scores it.
SCORES = {
    "logme": ("transform", logme_score),
    "h_score": ("transform", h_score),
    "transrate": ("transform", transrate_score),
    "n_leep": ("transform", n_leep_score),
    "leep": ("predict_proba", leep_score),
    "nce": ("predict", nce_score),
}


def select_backbone(
    candidates: Mapping[str, Any] | Sequence[Any],
    X: Any,
    y: Any,
    *,
    scoring: Any = "logme",
    random_state: Any = None,
) -> Bunch:
    """Rank networks, or the layers of one, by how well their features will serve a task.

    Every candidate sees the rows once, and nothing is trained on the labels.

    Parameters
    ----------
    candidates : dict of str to estimator, or list of estimators
        Transformers such as :class:`skda.feature_extraction.DeepFeatureExtractor`, one per network
        or layer, pipelines of them, or fitted deep estimators of this package. Transformers that
        are not fitted are copied and fitted to `X` without labels; classifiers must be fitted. In
        a list they are called ``"0"``, ``"1"``, ...

    X : array-like of shape (n_samples, n_features), or images
        Rows of the task, as the candidates take them.

    y : array-like of shape (n_samples,)
        Labels of the task.

    scoring : str, callable or list of them, default="logme"
        ``"logme"``, ``"h_score"``, ``"transrate"`` or ``"n_leep"``, which score what ``transform``
        gives; ``"leep"`` or ``"nce"``, which score what ``predict_proba`` or ``predict`` of a
        fitted classifier give; or a function from features and labels to a number, greater being
        better. With several the first one ranks.

    random_state : int, RandomState instance or None, default=None
        Of ``"n_leep"``; the other scores draw nothing.

    Returns
    -------
    result : sklearn.utils.Bunch
        With the entries

        ranking : list of str
            Names of the candidates, best first.
        scores : dict of str to ndarray of shape (n_candidates,)
            By name of the score, in the order of the ranking:
            ``pandas.DataFrame(result.scores, index=result.ranking)`` is a table.
        best : estimator
            The first of them, fitted.

    Raises
    ------
    ValueError
        If there is no candidate, or if a score does not exist.

    TypeError
        If a candidate cannot give what a score needs.

    sklearn.exceptions.NotFittedError
        If a classifier is not fitted.

    See Also
    --------
    skda.fine_tuning.transferability_curve : Trains networks that are cut at every layer.

    Examples
    --------
    Two descriptions of digits, the pixels and eight components of them:

    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skda.metrics import select_backbone
    >>> X, y = load_digits(return_X_y=True)
    >>> candidates = {"components": PCA(8), "pixels": StandardScaler()}
    >>> result = select_backbone(candidates, X, y, scoring=["logme", "h_score"])
    >>> result.ranking
    ['pixels', 'components']
    >>> {name: scores.round(2).tolist() for name, scores in result.scores.items()}
    {'logme': [0.12, -0.01], 'h_score': [5.62, 3.99]}
    """
    candidates = _check_candidates(candidates)
    if not candidates:
        raise ValueError("candidates is empty; pass at least one estimator.")
    scoring = scoring if isinstance(scoring, list | tuple) else [scoring]
    if not scoring:
        raise ValueError("scoring is empty; name at least one score.")
    check_draws(random_state)
    check_labels(y)
    X = as_array(X, "X")
    scoring = [_check_scoring(score, random_state) for score in scoring]
    names = [name for name, _, _ in scoring]
    if len(set(names)) < len(names):
        raise ValueError(f"scoring must hold scores of different names, got {names}.")
    fitted = {name: _fit(name, candidate, X) for name, candidate in candidates.items()}
    rows = [_score(name, candidate, X, y, scoring) for name, candidate in fitted.items()]
    order = sorted(range(len(rows)), key=lambda number: -rows[number][0])  # ties as given
    ranking = [list(fitted)[number] for number in order]
    columns = np.array(rows)[order].T
    return Bunch(
        ranking=ranking, scores=dict(zip(names, columns, strict=True)), best=fitted[ranking[0]]
    )


def _check_candidates(candidates):
    """Return the candidates by name."""
    if not isinstance(candidates, Mapping):
        if isinstance(candidates, str | bytes | set) or not isinstance(candidates, Iterable):
            raise TypeError(
                "candidates must be a list or a dict of estimators, got "
                f"{type(candidates).__name__}."
            )
        with naming("candidates", "a list or a dict of estimators"):
            candidates = {str(number): candidate for number, candidate in enumerate(candidates)}
    for name, candidate in candidates.items():
        if isinstance(candidate, type) or not hasattr(candidate, "fit"):
            raise TypeError(
                f"candidates: {name!r} is no estimator, got {shortened(repr(candidate))}."
            )
    return candidates


def _check_scoring(scoring, random_state):
    """Return the name of a score, the method that it needs, and the function."""
    if callable(scoring):
        return getattr(scoring, "__name__", repr(scoring)), "transform", scoring
    if not isinstance(scoring, str) or scoring not in SCORES:
        raise ValueError(
            f"scoring must be a function or one of {', '.join(map(repr, SCORES))}, got "
            f"{shortened(repr(scoring))}."
        )
    method, function = SCORES[scoring]
    if function is n_leep_score:
        function = partial(function, random_state=random_state)
    return scoring, method, function


def _fit(name, candidate, X):
    try:
        check_is_fitted(candidate)
    except NotFittedError:
        if is_classifier(candidate):
            raise NotFittedError(
                f"candidates: {name!r} is a {type(candidate).__name__} that is not fitted; fit it "
                "on its own task first, or pass a transformer."
            ) from None
        # Not a clone: a backbone that is a fitted estimator must stay fitted.
        with naming("X", f"rows that candidate {name!r} can be fitted to"):
            return copy.deepcopy(candidate).fit(X)
    return candidate


def _score(name, candidate, X, y, scoring):
    outputs = {}
    for score, method, _ in scoring:
        if not hasattr(candidate, method):
            raise TypeError(
                f"candidates: {name!r} is a {type(candidate).__name__} without the method "
                f"{method}, which scoring={score!r} needs."
            )
        if method not in outputs:
            with naming("X", f"rows that candidate {name!r} takes"):
                outputs[method] = getattr(candidate, method)(X)
    scores = []
    for score, method, function in scoring:
        if score in SCORES:  # these name X and y themselves
            scores.append(function(outputs[method], y))
            continue
        with naming(
            "scoring", f"functions from features and labels to a number, which {score} is not"
        ):
            scores.append(float(function(outputs[method], y)))
    return scores
