"""Rows of normal distributions, whose posteriors are known."""

import numpy as np
import pytest
from scipy.special import softmax

N_CLASSES = 3


def draw(shares, n_rows, rng, distance=1.5):
    """Return rows of unit variance about the corners of a simplex, and their class numbers."""
    codes = rng.choice(len(shares), n_rows, p=shares)
    return rng.normal(size=(n_rows, len(shares))) + distance * np.eye(len(shares))[codes], codes


def posteriors(X, shares, distance=1.5, sharpness=1.0):
    """Return the posteriors of rows; a sharpness of more than 1 makes them too sure."""
    with np.errstate(divide="ignore"):
        return softmax(sharpness * (distance * X + np.log(shares)), axis=1)


@pytest.fixture
def rng():
    return np.random.default_rng(0)
