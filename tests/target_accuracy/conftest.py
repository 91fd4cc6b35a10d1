"""Predictions whose accuracy is known."""

import numpy as np
import pytest


def draw(n_rows, rng, *, confidence, n_classes=3, shares=None):
    """Return calibrated probabilities whose largest is about `confidence`, and class numbers."""
    shares = np.full(n_classes, 1 / n_classes) if shares is None else shares
    predicted = rng.choice(n_classes, n_rows, p=shares)
    largest = np.clip(confidence + rng.uniform(-0.15, 0.15, n_rows), 1 / n_classes, 1)
    probabilities = np.repeat(((1 - largest) / (n_classes - 1))[:, None], n_classes, axis=1)
    probabilities[np.arange(n_rows), predicted] = largest
    wrong = (predicted + rng.integers(1, n_classes, n_rows)) % n_classes
    return probabilities, np.where(rng.random(n_rows) < largest, predicted, wrong)


@pytest.fixture
def rng():
    return np.random.default_rng(0)
