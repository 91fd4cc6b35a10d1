"""Estimates of the study, called as users call them, on probabilities and features of files."""

import time

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

from skda import metrics

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
N_BOOTSTRAPS = 10  # a fifth of the default, for the noise is far less than what else is wrong


class Stored(ClassifierMixin, BaseEstimator):
    """A fitted classifier whose rows are the numbers of stored probabilities."""

    def __init__(self, probabilities):
        self.probabilities = probabilities

    def fit(self, X, y):
        """Do nothing: an estimator has a fit."""
        return self

    def __sklearn_is_fitted__(self):
        return True

    @property
    def classes_(self):
        return np.arange(self.probabilities.shape[1])

    def predict_proba(self, X):
        return self.probabilities[np.asarray(X)[:, 0]]

    def predict(self, X):
        return self.predict_proba(X).argmax(axis=1)


class StoredNetwork(Stored):
    """A network has features as well; other models have their probabilities alone."""

    def __init__(self, probabilities, features):
        self.probabilities = probabilities
        self.features = features

    def transform(self, X):
        return self.features[np.asarray(X)[:, 0]]


def rebuilt(file):
    """Return (estimator, other estimator, X, y, X_target) of the arrays of a file."""
    joined = {
        name: np.concatenate([file[f"source_{name}"], file[f"target_{name}"]])
        for name in ("proba", "other_proba", "features")
    }
    if str(file["kind"]) == "classic":
        estimator = Stored(joined["proba"])
    else:
        estimator = StoredNetwork(joined["proba"], joined["features"])
    rows = np.arange(len(joined["proba"]))[:, None]
    n_source = len(file["source_y"])
    return (
        estimator,
        Stored(joined["other_proba"]),
        rows[:n_source],
        file["source_y"],
        rows[n_source:],
    )


def source_score(file):
    """What a user has who looks at held-out source rows alone, with no interval."""
    score = np.mean(file["source_proba"].argmax(axis=1) == file["source_y"])
    return {"estimate": score, "lower": np.nan, "upper": np.nan}


def bound(file):
    estimator, _, X, y, X_target = rebuilt(file)
    result = metrics.disagreement_bound(estimator, X, y, X_target, level=LEVEL, random_state=0)
    return {"estimate": np.nan, "lower": result.lower, "discrepancy": result.discrepancy}


def estimate(method, file):
    """Return the estimate, its interval and the seconds it took."""
    start = time.process_time()
    if method == "source score":
        values = source_score(file)
    elif method == BOUND:
        values = bound(file)
    else:
        estimator, other, X, y, X_target = rebuilt(file)
        params = {"others": [other]} if method == "gde" else {}
        result = metrics.estimate_target_accuracy(
            estimator,
            X,
            y,
            X_target,
            method=method,
            level=LEVEL,
            n_bootstraps=N_BOOTSTRAPS,
            random_state=0,
            **params,
        )
        values = {key: result[key] for key in ("estimate", "lower", "upper")}
    values = {key: float(value) for key, value in values.items()}
    return {**values, "seconds": time.process_time() - start}
