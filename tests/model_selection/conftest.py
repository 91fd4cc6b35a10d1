"""Classifiers whose predictions are known."""

import numpy as np
import pytest
import sklearn


class Given:
    """A classifier of given probabilities; its rows are their numbers."""

    def __init__(self, probabilities):
        self.probabilities = np.asarray(probabilities, dtype=float)
        self.classes_ = np.arange(self.probabilities.shape[1])

    def predict_proba(self, X):
        return self.probabilities[np.asarray(X)[:, 0].astype(int)]

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


@pytest.fixture
def given():
    """Return a classifier of the given probabilities, and its rows."""
    return lambda probabilities: (Given(probabilities), np.arange(len(probabilities))[:, None])


@pytest.fixture
def soft():
    """Probabilities of 40 rows for 4 classes."""
    return np.random.RandomState(0).dirichlet(np.ones(4), size=40)


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield
