"""Classes of the source among the target rows: their shares, and how far their rows have moved."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from skda._naming import naming
from skda.label_shift import calibrate, label_shift_test, maximum_likelihood_shares, predict_domain

_N_FOLDS = 5
_N_BOOTSTRAPS = 100
_N_TREES = 100
# Fewer rows of a class show no distance.
_LEAST_ROWS = 10
# A class is missing if its share may be as good as nothing, and is at most a part of the source's.
_NOTHING = 0.005
_LEAST_PART = 0.25


@dataclass
class Classes:
    """What a classifier of the source says of the classes of the target.

    Parameters
    ----------
    names : ndarray of shape (n_classes,)
        Labels.

    codes : ndarray of shape (n_samples,)
        Class numbers of the source rows.

    source_shares, shares, lower, upper : ndarrays of shape (n_classes,)
        Of the source, and as estimated of the target with an interval.

    p_value : float
        Of the test that shares explain the predictions.

    accuracy, chance : float
        On held-out source rows, and of the most frequent class there.

    source_confidence, target_confidence : float
        Mean of the highest probability.

    distances : ndarray of shape (n_classes,)
        Proxy A-distance of rows that are predicted as a class, NaN where there are few.
    """

    names: np.ndarray
    codes: np.ndarray
    source_shares: np.ndarray
    shares: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    p_value: float
    accuracy: float
    chance: float
    source_confidence: float
    target_confidence: float
    distances: np.ndarray

    @property
    def missing(self) -> np.ndarray:
        """Whether bounds of a share are near nothing."""
        return (self.lower < _NOTHING) & (self.upper < _LEAST_PART * self.source_shares)

    def table(self) -> dict[str, np.ndarray]:
        """Return what a :class:`~skda.diagnosis.Diagnosis` shows."""
        return {
            "class": self.names,
            "source_share": self.source_shares,
            "target_share": self.shares,
            "lower": self.lower,
            "upper": self.upper,
            "distance": self.distances,
        }


def default_classifier() -> Any:
    """Return the classifier that stands in where none is given."""
    return VotingClassifier(
        [
            ("linear", LogisticRegression(max_iter=500)),
            ("forest", RandomForestClassifier(_N_TREES, min_samples_leaf=2, random_state=0)),
        ],
        voting="soft",
    )


def cross_fitted(classifier, rows, codes, target_rows, rng):
    """Return probabilities of held-out source rows, and of target rows, or None for rare classes.

    Parameters
    ----------
    classifier : classifier
        Is cloned.

    rows, target_rows : array-like
        Of both domains, as the classifier takes them.

    codes : ndarray of shape (n_samples,)
        Class numbers of the source rows.

    rng : RandomState
        Splits the rows.
    """
    n_folds = min(_N_FOLDS, int(np.bincount(codes).min()))
    if n_folds < 2:
        return None
    folds = StratifiedKFold(n_folds, shuffle=True, random_state=rng)
    with naming("estimator", "a classifier with predict_proba that can be fitted to X and y"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            held_out = cross_val_predict(
                clone(classifier), rows, codes, cv=folds, method="predict_proba"
            )
            fitted: Any = clone(classifier)
            fitted.fit(rows, codes)
        return held_out, predict_domain(fitted, target_rows, "X_target", "target")


def describe_classes(names, codes, source, target, scores, rng, level) -> Classes:
    """Return what probabilities of both domains say.

    Parameters
    ----------
    names : ndarray of shape (n_classes,)
        Labels.

    codes : ndarray of shape (n_samples,)
        Class numbers of the source rows.

    source, target : ndarrays of shape (n, n_classes)
        Probabilities of held-out rows.

    scores : tuple of ndarray
        How much the rows look like the target.

    rng : RandomState
        Draws the samples of the intervals.

    level : float
        Of the intervals.
    """
    source_shares = np.bincount(codes, minlength=len(names)) / len(codes)
    p_value = label_shift_test(target, source, codes).p_value
    predicted = [part.argmax(axis=1) for part in (source, target)]
    confidence = [float(part.max(axis=1).mean()) for part in (source, target)]
    calibrated = calibrate(source, codes)(target)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        shares = maximum_likelihood_shares(calibrated, source_shares)
        draws = [
            maximum_likelihood_shares(
                calibrated[rng.randint(len(target), size=len(target))], source_shares
            )
            for _ in range(_N_BOOTSTRAPS)
        ]
    lower, upper = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return Classes(
        names=names,
        codes=codes,
        source_shares=source_shares,
        shares=shares,
        lower=np.minimum(lower, shares),
        upper=np.maximum(upper, shares),
        p_value=float(p_value),
        accuracy=float((predicted[0] == codes).mean()),
        chance=float(source_shares.max()),
        source_confidence=confidence[0],
        target_confidence=confidence[1],
        distances=_class_distances(predicted, scores, len(names)),
    )


def _class_distances(predicted, scores, n_classes):
    """Return how well one threshold of the domain scores tells rows of a class apart."""
    distances = np.full(n_classes, np.nan)
    middle = np.median(np.concatenate(scores))
    for number in range(n_classes):
        parts = [score[label == number] for score, label in zip(scores, predicted, strict=True)]
        if min(map(len, parts)) >= _LEAST_ROWS:
            accuracy = ((parts[0] <= middle).mean() + (parts[1] > middle).mean()) / 2
            distances[number] = np.clip(4 * accuracy - 2, 0, 2)
    return distances
