"""What a fitted classifier shows on held-out source rows and on target rows."""

from typing import Any

import numpy as np
from scipy.special import entr
from sklearn.pipeline import Pipeline
from sklearn.utils import Bunch

from skda._checks import count_rows
from skda.domains import name_of
from skda.exceptions import DivergenceError
from skda.label_shift import predict_domain
from skda.metrics import domain_report

# Distances are figures to look at: more rows than these would only cost time.
_MAX_ROWS = 300
# What of a training tells whether its adversary was alive.
_HEALTH = ("domain_accuracy", "adversary_gradient_norm", "target_classes", "train_loss")
# Of the classes beyond the first that predictions must keep, as training itself warns.
_COLLAPSED = 0.4


def gather(part: Bunch, X: Any, codes: np.ndarray, targets: tuple[Any, ...]) -> Bunch:
    """Return what a fitted part predicts, and what is seen in that.

    Parameters
    ----------
    part : Bunch
        Of :func:`fit_part`; one that is found to give what is not finite gets an ``error``.

    X, codes : array-like, ndarray of int
        Held-out source rows and their class numbers.

    targets : tuple of array-likes
        Rows of the target domains.

    Returns
    -------
    part : Bunch
        The same, with ``source`` and ``target``, the class probabilities of held-out and of
        target rows (a list), and the figures ``source_score``, ``shares`` and ``n_classes``.
    """
    if part.error is not None:
        return part
    n_targets = len(targets)
    try:
        part.source = predict_domain(part.estimator, X, "X", "source")
        part.target = [
            predict_domain(
                part.estimator,
                rows,
                name_of("X_target", i, targets),
                _domain(i, targets),
                n_targets,
            )
            for i, rows in enumerate(targets)
        ]
    except DivergenceError as divergence:
        part.error = str(divergence)
        return part
    counts = [np.bincount(p.argmax(axis=1), minlength=p.shape[1]) / len(p) for p in part.target]
    part.source_score = float(np.mean(part.source.argmax(axis=1) == codes))
    part.shares = np.mean(counts, axis=0)
    part.n_classes = effective_number(part.shares)
    part.health = _health(part.estimator)
    return part


def effective_number(shares: np.ndarray) -> float:
    """Return the exponential of the entropy of shares: how many classes there are."""
    return float(np.exp(entr(shares).sum()))


def mark_collapse(part: Bunch, fallback: Bunch, source_shares: np.ndarray) -> None:
    """Tell by ``collapsed`` whether a part spreads the target over too few classes.

    Too few are fewer than 0.4 of those that the source and the fallback have, beyond the first: a
    target that really holds few classes shows few of them to the fallback too.

    Parameters
    ----------
    part, fallback : Bunch
        Of :func:`gather`.

    source_shares : ndarray of shape (n_classes,)
        Among the held-out rows.
    """
    most = min(effective_number(source_shares), fallback.n_classes)
    part.collapsed = bool(part.n_classes - 1 < _COLLAPSED * (most - 1))


def distances(part: Bunch, X: Any, targets: tuple[Any, ...], choose: Any, seed: int) -> Any:
    """Return the distances between the domains at the last layers of a network.

    Parameters
    ----------
    part : Bunch
        With a fitted ``estimator``.

    X : array-like
        Held-out source rows.

    targets : tuple of array-likes
        Rows of the target domains.

    choose : callable
        From rows and a number to as many of them.

    seed : int
        Draws folds.

    Returns
    -------
    report : DomainReport or None
        None for what is no network, and for a domain of one row.
    """
    if not hasattr(last_step(part.estimator), "net_"):
        return None
    if min(count_rows(rows, "X_target") for rows in (X, *targets)) < 2:
        return None
    rows = tuple(choose(target, _MAX_ROWS) for target in targets)
    layers = ["features", "logits"]
    return domain_report(
        part.estimator, choose(X, _MAX_ROWS), rows, layers=layers, random_state=seed
    )


def last_step(estimator: Any) -> Any:
    """Return what predicts at the end of searches and pipelines."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    return last_step(estimator.steps[-1][1]) if isinstance(estimator, Pipeline) else estimator


def _health(estimator):
    """Return the figures of the last epoch that tell of the adversary."""
    history = getattr(last_step(estimator), "history_", None)
    if not history:
        return {}
    return {name: float(history[-1][name]) for name in _HEALTH if name in history[-1]}


def _domain(number, targets):
    return "target" if len(targets) == 1 else number
