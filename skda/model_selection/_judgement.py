"""Which of two classifiers is better on a target without labels, and by how much."""

from typing import Any

import numpy as np
from sklearn.utils import Bunch

from skda._checks import count_rows
from skda._sklearn_compat import safe_indexing
from skda.exceptions import DivergenceError
from skda.model_selection._common_rows import CommonRows, common_rows
from skda.model_selection._evidence import distances, gather, mark_collapse
from skda.target_accuracy import estimate_target_accuracy

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
# How many points of accuracy a point of each view is worth: least squares without negative weights
# over the adaptations of the tuning half of the study (benchmarks/bench_guard.py fit).
WEIGHTS = {"smoothness": 0.85, "way back": 0.9}
_N_BOOTSTRAPS = 200


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
    for part in fits:
        if part.error is not None:
            continue
        found = estimate_target_accuracy(
            part.estimator, X, y, targets, method=method, level=level, random_state=seed
        )
        for name in ("estimate", "lower", "upper"):
            part[name] = float(np.mean(found[name]))
        labels = [p.argmax(axis=1) for p in part.target]
        part.agreement = float(
            np.mean(
                [
                    np.mean(a == b.argmax(axis=1))
                    for a, b in zip(labels, fallback.target, strict=True)
                ]
            )
        )
        mark_collapse(part, fallback, source_shares)
        part.distances = distances(part, X, targets, _first, seed)
        if part is not fallback:
            part.update(_compared(part, fallback, spaces, level, np.random.RandomState(seed)))


def advantage(
    space: CommonRows, labels: np.ndarray, fallback_labels: np.ndarray, level: float, rng: Any
) -> Bunch:
    """Estimate by how much labels of target rows are more often right than those of a fallback.

    Neither model's confidence counts: an adaptation is confident on the target because its loss
    asks for that. Two views that know nothing of either model do:

    - smoothness: how often neighbours among the target rows have one label, beyond what labels
      of the same shares would have by chance (as in Cohen's kappa);
    - the way back: how often the nearest target rows, with these labels, give a held-out
      source row its true label (reverse validation, with nearest neighbours as the learner).

    Their differences, weighted as in the study, are the advantage in accuracy.

    Parameters
    ----------
    space : CommonRows
        The rows.

    labels, fallback_labels : ndarray of int of shape (n_target_samples,)
        What the two predict for ``space.target``.

    level : float
        Of the interval, from rows of both domains drawn with replacement, the same for both.

    rng : RandomState
        Draws them.

    Returns
    -------
    result : Bunch
        ``advantage``, ``lower``, ``upper`` and ``views``, a dict of the differences.
    """
    seen = [
        (space.agreements(given), given, space.is_found_back(given))
        for given in (labels, fallback_labels)
    ]

    def differences(target, source):
        values = [
            (_beyond_chance(agreements[target], given[target]), found[source].mean())
            for agreements, given, found in seen
        ]
        return np.subtract(*values)

    n_target, n_source, weights = len(labels), len(space.codes), np.array([*WEIGHTS.values()])
    found = differences(np.arange(n_target), np.arange(n_source))
    draws = [
        differences(rng.randint(n_target, size=n_target), rng.randint(n_source, size=n_source))
        for _ in range(_N_BOOTSTRAPS)
    ]
    lower, upper = np.quantile(draws @ weights, [(1 - level) / 2, (1 + level) / 2])
    return Bunch(
        advantage=float(found @ weights),
        lower=float(lower),
        upper=float(upper),
        views=dict(zip(WEIGHTS, found.tolist(), strict=True)),
    )


def _compared(part, fallback, spaces, level, rng):
    """Return the advantage of a part over the fallback, as a mean over the targets."""
    found = []
    for space, own, other in zip(spaces, part.target, fallback.target, strict=True):
        labels = [p[space.chosen].argmax(axis=1) for p in (own, other)]
        found.append(advantage(space, *labels, level, rng))
    return {
        "advantage": float(np.mean([one.advantage for one in found])),
        "advantage_lower": float(np.mean([one.lower for one in found])),
        "advantage_upper": float(np.mean([one.upper for one in found])),
        "views": {name: float(np.mean([one.views[name] for one in found])) for name in WEIGHTS},
    }


def _beyond_chance(agreements, labels):
    """Return the mean agreement of neighbours beyond that of labels in any order."""
    shares = np.bincount(labels) / len(labels)
    chance = np.sum(shares**2)
    return (agreements.mean() - chance) / (1 - chance) if chance < 1 else 0.0


def _first(rows, number):
    n_rows = count_rows(rows, "X_target")
    if n_rows <= number:
        return rows
    if hasattr(rows, "tocsr"):
        rows = rows.tocsr()
    return safe_indexing(rows, np.arange(number))
