"""Whether two domains are different: for a classifier, in single columns, in rows of a new kind."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import norm, rankdata
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold

from skda.diagnosis._column_tests import test_columns
from skda.diagnosis._novelty import Novelty, find_novel
from skda.diagnosis._tables import Table, encode

# The classifier, the columns, the novel rows.
N_TESTS = 3


@dataclass
class Comparison:
    """How different two domains are.

    Parameters
    ----------
    p_value : float
        Of the three tests: the smallest, times three.

    classifier_p_value : float
        Of the domain classifier.

    distance, lower, upper : float
        Proxy A-distance and its interval, in [0, 2].

    column_p_values : ndarray of shape (n_columns,)
        Corrected by Holm.

    statistics : ndarray of shape (n_columns,)
        The largest difference of distribution functions (of shares of levels, half their distance
        in L1), or of the shares of missing values.

    novelty : Novelty
        Which rows are far from the source, with a p-value.

    scores : tuple of ndarray
        For held-out rows of source and target, how much they look like the target, as ranks in
        (0, 1).
    """

    p_value: float
    classifier_p_value: float
    distance: float
    lower: float
    upper: float
    column_p_values: np.ndarray
    statistics: np.ndarray
    novelty: Novelty
    scores: tuple

    @property
    def seen_by(self) -> str:
        """Which of the three tests has the smallest p-value, in words."""
        tests = {
            "the classifier of the domains": self.classifier_p_value,
            "the tests of columns": self.column_p_values.min(initial=1),
            "the test of rows unlike the source": self.novelty.p_value,
        }
        return min(tests, key=lambda name: tests[name])


def compare(
    source: Table, target: Table, rng: np.random.RandomState, *, level: float, weights=None
) -> Comparison:
    """Test whether two domains have the same distribution.

    A forest and a logistic regression learn the domains on one half of the rows; by their mean
    the rows of the other half are ranked, and the halves change places. If the domains do not
    differ, the rank sum of either half is standard normal, whatever the classifiers have learned,
    and the mean of both has a variance of 1 or less (D. Lopez-Paz, M. Oquab. Revisiting Classifier
    Two-Sample Tests. ICLR 2017, with ranks for errors).

    Parameters
    ----------
    source, target : Table
        Rows.

    rng : RandomState
        Splits the rows.

    level : float
        Of the interval.

    weights : ndarray of shape (n_samples,), default=None
        Of the source rows.

    Returns
    -------
    comparison : Comparison
        See there.
    """
    weights = np.ones(len(source)) if weights is None else weights
    z, hits, scores = _cross_fit(source, target, weights, rng)
    shares = weights / weights.sum()
    statistics, corrected = test_columns(source, target, shares)
    novelty = find_novel(source, target, shares, rng)
    smallest = min(float(norm.sf(z)), corrected.min(initial=1), novelty.p_value)
    distance, lower, upper = _distance(hits, weights, len(source), level)
    return Comparison(
        p_value=min(1.0, float(N_TESTS * smallest)),
        classifier_p_value=float(norm.sf(z)),
        distance=distance,
        lower=lower,
        upper=upper,
        column_p_values=corrected,
        statistics=statistics,
        novelty=novelty,
        scores=scores,
    )


def _cross_fit(source, target, weights, rng):
    """Return the statistic, whether each row was told right, and ranks of the rows."""
    rows = np.vstack(encode(source, target))
    n_source = len(source)
    is_target = np.arange(len(rows)) >= n_source
    both = np.concatenate([weights / weights.sum(), np.full(len(target), 1 / len(target))])
    folds = StratifiedKFold(2, shuffle=True, random_state=rng)
    statistics, hits, ranks = [], np.empty(len(rows)), np.empty(len(rows))
    for train, test in folds.split(rows, is_target):
        scores = _target_scores(rows, is_target, both, train, test, rng)
        labels, shares = is_target[test], both[test].copy()
        for part in (labels, ~labels):
            shares[part] /= shares[part].sum()
        statistics.append(_rank_statistic(scores, labels, shares))
        hits[test] = (scores > 0.5) == labels
        ranks[test] = rankdata(scores) / (len(test) + 1)
    return float(np.mean(statistics)), hits, (ranks[:n_source], ranks[n_source:])


def _target_scores(rows, is_target, shares, train, test, rng):
    balanced = shares[train].copy()
    for part in (is_target[train], ~is_target[train]):
        balanced[part] *= len(train) / 2 / balanced[part].sum()
    forest: Any = RandomForestClassifier(
        50, min_samples_leaf=3, max_features="sqrt", random_state=rng.randint(2**31)
    )
    linear: Any = LogisticRegression(C=0.1, max_iter=300)
    scores = 0
    for classifier in (forest, linear):
        classifier.fit(rows[train], is_target[train], sample_weight=balanced)
        scores = scores + classifier.predict_proba(rows[test])[:, 1] / 2
    return scores


def _rank_statistic(scores, is_target, shares):
    """Return how far a weighted area under the curve is above 1/2, in standard deviations."""
    source, target = scores[~is_target], scores[is_target]
    order = np.argsort(source, kind="stable")
    below = np.concatenate([[0], np.cumsum(shares[~is_target][order])])
    ordered = source[order]
    area = (
        below[np.searchsorted(ordered, target, "left")]
        + below[np.searchsorted(ordered, target, "right")]
    ).mean() / 2
    a, b = (shares[~is_target] ** 2).sum(), 1 / len(target)
    return (area - 0.5) / np.sqrt((a + b + a * b) / 12)


def _distance(hits, weights, n_source, level):
    """Return the proxy A-distance, and an interval by adding two rows of each outcome."""
    rates, variance = [], 0.0
    for right, shares in ((hits[:n_source], weights), (hits[n_source:], None)):
        n = len(right) if shares is None else shares.sum() ** 2 / (shares**2).sum()
        rate = np.average(right, weights=shares)
        smooth = (rate * n + 2) / (n + 4)
        variance += smooth * (1 - smooth) / (n + 4) / 4
        rates.append(rate)
    distance = 4 * np.mean(rates) - 2
    margin = 4 * norm.isf((1 - level) / 2) * np.sqrt(variance)
    found = np.clip([distance, distance - margin, distance + margin], 0, 2)
    return found.tolist()
