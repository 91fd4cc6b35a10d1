"""Estimates of the study, called as users call them, on probabilities and features of files."""

import time
from dataclasses import replace
from unittest import mock

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from skda import metrics
from skda.target_accuracy._references import with_references

# "gde" compares with a plain network of another random state, whatever the model is.
METHODS = (
    "source score",
    "confidence",
    "doc",
    "atc",
    "atc_entropy",
    "cot",
    "nuclear_norm",
    "matrix_norm",
    "gde",
    "combined",
)
BOUND = "disagreement bound"
LEVEL = 0.9
N_BOOTSTRAPS = 3  # the noise is far less than what else is wrong


class Stored(ClassifierMixin, BaseEstimator):
    """A fitted classifier that knows its probabilities of the rows of a file."""

    def __init__(self, rows, probabilities):
        self.rows = rows
        self.probabilities = probabilities

    def fit(self, X, y):
        """Do nothing: an estimator has a fit."""
        return self

    def __sklearn_is_fitted__(self):
        return True

    @property
    def classes_(self):
        return np.arange(self.probabilities.shape[1])

    def numbers(self, X):
        places = {row.tobytes(): number for number, row in enumerate(self.rows)}
        return [places[row.tobytes()] for row in np.asarray(X, self.rows.dtype)]

    def predict_proba(self, X):
        return self.probabilities[self.numbers(X)]


class StoredNetwork(Stored):
    """A network has features as well."""

    def __init__(self, rows, probabilities, features):
        super().__init__(rows, probabilities)
        self.features = features

    def transform(self, X):
        return self.features[self.numbers(X)]


def rebuilt(file, rows):
    """Return (estimator, other estimator, X, y, X_target) of the arrays of a file.

    The file of the forest has the rows, or principal components of rows with many columns.
    """
    joined = {
        name: np.concatenate([file[f"source_{name}"], file[f"target_{name}"]])
        for name in ("proba", "other_proba", "features")
    }
    X, X_target = rows["source_features"], rows["target_features"]
    table = np.concatenate([X, X_target])
    if str(file["kind"]) == "classic":
        estimator = Stored(table, joined["proba"])
    else:
        estimator = StoredNetwork(table, joined["proba"], joined["features"])
    return estimator, Stored(table, joined["other_proba"]), X, file["source_y"], X_target


class Remembered:
    """Simple classifiers of a task's rows: the same for all of its models, so fitted once.

    What they took counts for every model.
    """

    def __init__(self):
        self.key = None
        self.seconds = 0.0

    def __call__(self, predictions, source_rows, target_rows, random_state):
        parts = (source_rows, target_rows, predictions.codes, predictions.weights)
        key = (*(part.tobytes() for part in parts), random_state)
        if key != self.key:
            start = time.process_time()
            self.fitted = with_references(predictions, source_rows, target_rows, random_state)
            self.key, self.own = key, time.process_time() - start
        else:
            self.seconds += self.own
        fitted = self.fitted
        return replace(
            predictions,
            references=fitted.references,
            reference_accuracy=fitted.reference_accuracy,
            judge_weights=fitted.judge_weights,
            trust=fitted.trust,
        )


remembered = Remembered()


def source_score(file):
    """What a user has who looks at held-out source rows alone, with no interval."""
    score = np.mean(file["source_proba"].argmax(axis=1) == file["source_y"])
    return {"estimate": score, "lower": np.nan, "upper": np.nan}


def bound(file, rows):
    estimator, _, X, y, X_target = rebuilt(file, rows)
    result = metrics.disagreement_bound(estimator, X, y, X_target, level=LEVEL, random_state=0)
    return {
        "estimate": result.without_noise,
        "lower": result.lower_bound,
        "discrepancy": result.disagreement - result.source_disagreement,
    }


def estimate(method, file, rows):
    """Return the estimate, its interval and the seconds it took."""
    start, remembered.seconds = time.process_time(), 0.0
    if method == "source score":
        values = source_score(file)
    elif method == BOUND:
        values = bound(file, rows)
    else:
        estimator, other, X, y, X_target = rebuilt(file, rows)
        params = {"others": [other]} if method == "gde" else {}
        options = {"level": LEVEL, "n_bootstraps": N_BOOTSTRAPS, "random_state": 0, **params}
        with mock.patch("skda.target_accuracy._estimate.with_references", remembered):
            result = metrics.estimate_target_accuracy(
                estimator, X, y, X_target, method=method, **options
            )
        values = {key: result[key] for key in ("estimate", "lower", "upper")}
    seconds = time.process_time() - start + remembered.seconds
    values = {key: float(value) for key, value in values.items()}
    return {**values, "seconds": seconds}
