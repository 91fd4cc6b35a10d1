"""Whether shares explain the target."""

import numpy as np
import pytest

from skda.label_shift import label_shift_test

from .conftest import draw, posteriors

EQUAL = np.full(3, 1 / 3)


def p_values(shares, scale, n_repetitions=60):
    found = []
    for seed in range(n_repetitions):
        rng = np.random.default_rng(seed)
        (X, y), (X_target, _) = draw(EQUAL, 300, rng), draw(shares, 300, rng)
        target = posteriors(scale * X_target, EQUAL, sharpness=2)
        found.append(label_shift_test(target, posteriors(X, EQUAL, sharpness=2), y))
    return [result.p_value for result in found], [result.disagreement for result in found]


@pytest.mark.parametrize("shares", [EQUAL, [0.6, 0.3, 0.1], [0.6, 0.4, 0.0]])
def test_other_shares_alone_are_rarely_rejected(shares):
    found, disagreements = p_values(shares, 1)
    assert np.mean(np.array(found) < 0.05) <= 0.05
    assert np.mean(disagreements) < 0.08


@pytest.mark.parametrize("scale", [0.5, 1.5])
def test_rows_of_another_look_are_rejected(scale):
    found, disagreements = p_values([0.6, 0.3, 0.1], scale, 20)
    assert np.mean(np.array(found) < 0.01) > 0.9
    assert np.mean(disagreements) > 0.1


def test_rows_of_no_class_are_rejected(rng):
    """A third of the rows lies between the classes, where the source has few."""
    (X, y), (X_target, _) = draw(EQUAL, 300, rng, 3), draw(EQUAL, 200, rng, 3)
    X_target = np.concatenate([X_target, rng.normal(size=(100, 3)) * 0.3 + 1])
    rows, target = posteriors(X, EQUAL, 3), posteriors(X_target, EQUAL, 3)
    assert label_shift_test(target[:200], rows, y).p_value > 0.05
    assert label_shift_test(target, rows, y).p_value < 0.001
