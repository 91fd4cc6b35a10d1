"""Which of two classifiers is better on a target without labels, and by how much."""

from typing import Any, NamedTuple

import numpy as np
from sklearn.utils import Bunch

from skda._checks import count_rows
from skda._sklearn_compat import safe_indexing
from skda.exceptions import DivergenceError
from skda.model_selection._common_rows import common_rows
from skda.model_selection._evidence import distances, gather, mark_collapse
from skda.target_accuracy import (
    Judged,
    beyond_chance,
    disagreement_bound,
    estimate_target_accuracy,
)

# Estimates of one model alone; that of other models' agreement is not for a guard.
METHODS = (
    "combined",
    "confidence",
    "doc",
    "atc",
    "atc_entropy",
    "cot",
    "nuclear_norm",
    "matrix_norm",
)
# How much each counts. Of 150 settings of the weights and of what judges may object to, those with
# more for smoothness than for the others had the least regret on the tuning half of bench_guard.py.
VIEWS = {"smoothness": 0.5, "way back": 0.25, "judges": 0.25}
# Sizes of error that an advantage has not exceeded in such shares of the pairs there, with 12 tasks
# that count the same. On the half that is reported intervals of 90 % held 99 % of the gains.
_LEVELS = (0.0, 0.5, 0.8, 0.9, 0.95, 1.0)
_OWN_ERRORS = (0.0, 0.041, 0.140, 0.214, 0.264, 1.0)
_N_BOOTSTRAPS = 200
# The bound parts rows in halves.
_FEWEST_ROWS = 4


def judge(
    fits: list[Bunch],
    X: Any,
    codes: np.ndarray,
    targets: tuple[Any, ...],
    *,
    method: str,
    level: float,
    rng: np.random.RandomState,
) -> None:
    """Add to fitted parts how good they seem on the target, alone and against the first.

    Parameters
    ----------
    fits : list of Bunch
        Of :func:`fit_part`, the fallback first. Those with an ``error`` are left as they are.

    X, codes : array-like, ndarray of int
        Held-out source rows and their class numbers.

    targets : tuple of array-likes
        Rows of the target domains, over which all figures are means.

    method, level : str, float
        Of the estimated accuracies.

    rng : RandomState
        Draws rows.
    """
    seed = int(rng.randint(2**31))
    for part in fits:
        gather(part, X, codes, targets)
    fallback = fits[0]
    if fallback.error is not None:
        raise DivergenceError(f"The fallback gives what is not finite: {fallback.error}")
    y = np.asarray(fallback.estimator.classes_)[codes]
    source_shares = np.bincount(codes, minlength=fallback.source.shape[1]) / len(codes)
    spaces = [common_rows(X, codes, rows, fallback.estimator, rng) for rows in targets]
    judges = [
        space.judges(fallback.target[number], fallback.source, seed)
        for number, space in enumerate(spaces)
    ]
    for part in fits:
        if part.error is not None:
            continue
        part.update(_accuracy(part.estimator, X, y, targets, method, level, seed))
        part.agreement = _agreement(part, fallback)
        part.seen = [
            _seen(space, judges[number], part, number) for number, space in enumerate(spaces)
        ]
        mark_collapse(part, fallback, source_shares)
        part.distances = distances(part, X, targets, _some, seed)
        if part is not fallback:
            smooth = [space.source_smoothness for space in spaces]
            draws = np.random.RandomState(seed)
            part.update(_compared(part, fallback, smooth, level, draws))


def _accuracy(estimator, X, y, targets, method, level, seed):
    """Return the estimated accuracy on the target, its interval, and its lower bound."""
    found = estimate_target_accuracy(
        estimator, X, y, targets, method=method, level=level, random_state=seed
    )
    figures = {name: float(np.mean(found[name])) for name in ("estimate", "lower", "upper")}
    n_least = min(len(y), *(count_rows(rows, "X_target") for rows in targets))
    if n_least < _FEWEST_ROWS:
        return figures
    bound = disagreement_bound(estimator, X, y, targets, level=level, random_state=seed)
    return {**figures, "bound": float(np.mean(bound.lower_bound))}


class Seen(NamedTuple):
    """What is seen of a model on one target.

    Parameters
    ----------
    agreements : ndarray of shape (n_target_samples,)
        Of the labels of neighbours with that of every row.

    labels : ndarray of shape (n_target_samples,)
        Class numbers that it gives.

    is_found_back : ndarray of bool of shape (n_samples,)
        Which source rows come back.

    judged : Judged or None
        By simple classifiers of the source rows.
    """

    agreements: np.ndarray
    labels: np.ndarray
    is_found_back: np.ndarray
    judged: Judged | None

    def views(self, target: np.ndarray, source: np.ndarray, source_smoothness: float) -> np.ndarray:
        """Return the three figures, of some rows of both domains."""
        smooth = beyond_chance(self.agreements[target], self.labels[target])
        accuracy = 0.0 if self.judged is None else self.judged.accuracy(target)
        back = self.is_found_back[source].mean()
        return np.array([source_smoothness * smooth, back, accuracy])


def advantage(
    part: Seen,
    fallback: Seen,
    source_smoothness: float,
    level: float,
    rng: np.random.RandomState,
) -> Bunch:
    """Estimate by how much a model is better on a target than another.

    A model's confidence is no judge: an adaptation is sure on the target because its loss asks for
    that. Three views are joined, the first of which counts half and the others a quarter:

    - smoothness: how often neighbours among the target rows have one label, beyond what labels
      of the same shares would have by chance (as in Cohen's kappa); it counts as much as the
      true labels of the source are smooth;
    - the way back: how often a forest that learns the target rows with these labels gives a
      held-out source row its true label (reverse validation);
    - the judges: the accuracy by agreement with simple classifiers of the source rows.

    Parameters
    ----------
    part, fallback : Seen
        What is seen of the two models in the same rows.

    source_smoothness : float
        Of the true labels of the source.

    level : float
        Of the interval: of rows of both domains drawn with replacement, the same for both models,
        and of how far advantages have been off in the study.

    rng : RandomState
        Draws them.

    Returns
    -------
    result : Bunch
        ``advantage``, ``lower``, ``upper``, ``noise``, the part of the drawn rows in half the
        width, and ``views``, a dict of the differences.
    """

    def differences(target, source):
        own, other = (model.views(target, source, source_smoothness) for model in (part, fallback))
        return own - other

    n_target, n_source = len(fallback.labels), len(fallback.is_found_back)
    found = differences(np.arange(n_target), np.arange(n_source))
    draws = [
        differences(rng.randint(n_target, size=n_target), rng.randint(n_source, size=n_source))
        for _ in range(_N_BOOTSTRAPS)
    ]
    weights = np.array(list(VIEWS.values()))
    lower, upper = np.quantile(draws @ weights, [(1 - level) / 2, (1 + level) / 2])
    noise = float(upper - lower) / 2
    half_width = float(np.hypot(noise, np.interp(level, _LEVELS, _OWN_ERRORS)))
    joined = float(found @ weights)
    return Bunch(
        advantage=joined,
        lower=max(-1.0, joined - half_width),
        upper=min(1.0, joined + half_width),
        noise=noise,
        views=dict(zip(VIEWS, found.tolist(), strict=True)),
    )


def _seen(space, judges, model, number):
    """Return what is seen of a model on the target of a number."""
    target = model.target[number]
    labels = target[space.chosen].argmax(axis=1)
    judged = space.judged(judges, target, model.source)
    return Seen(space.agreements(labels), labels, space.is_found_back(labels), judged)


def _agreement(part, fallback):
    """Return the share of target rows that two models predict alike."""
    pairs = zip(part.target, fallback.target, strict=True)
    shares = [np.mean(own.argmax(axis=1) == other.argmax(axis=1)) for own, other in pairs]
    return float(np.mean(shares))


def _compared(part, fallback, source_smoothness, level, rng):
    """Return the advantage of a part over the fallback, as a mean over the targets."""
    triples = zip(part.seen, fallback.seen, source_smoothness, strict=True)
    found = [advantage(*triple, level, rng) for triple in triples]
    return {
        "advantage": float(np.mean([one.advantage for one in found])),
        "advantage_lower": float(np.mean([one.lower for one in found])),
        "advantage_upper": float(np.mean([one.upper for one in found])),
        "advantage_noise": float(np.mean([one.noise for one in found])),
        "views": {name: float(np.mean([one.views[name] for one in found])) for name in VIEWS},
    }


def _some(rows, number):
    """Return rows from all over a table, which may be sorted."""
    n_rows = count_rows(rows, "X_target")
    if n_rows <= number:
        return rows
    if hasattr(rows, "tocsr"):
        rows = rows.tocsr()
    return safe_indexing(rows, np.linspace(0, n_rows - 1, number).astype(int))
