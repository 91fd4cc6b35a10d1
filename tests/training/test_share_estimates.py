"""Class shares by a network that may be wrong about the target."""

import numpy as np

from skda.training._share_estimates import Comparison, early_estimate, next_step

EQUAL = np.array([0.5, 0.5])
LABELS = np.repeat([0, 1], 400)


def predictions(labels, *, scale=4.0):
    """Return posteriors of rows around -1 and 1, or more sure ones."""
    x = np.random.RandomState(0).randn(len(labels)) * 0.8 + 2 * labels - 1
    p = 1 / (1 + np.exp(-scale * x))
    return np.stack([1 - p, p], axis=1)


HELD = predictions(LABELS), LABELS


def estimate(by_source, by_target):
    return early_estimate(
        {"source": by_source, "target": by_target}.get,
        HELD,
        EQUAL,
        source_shares=EQUAL,
        learned=EQUAL,
        domains=("source", "target"),
    )


def test_shares_that_differ_alone_are_found_at_once():
    target = predictions(np.repeat([0, 1], [80, 320]))
    # Statistics of the target's own hide them.
    found = estimate(target, HELD[0])
    assert np.abs(found - [0.2, 0.8]).max() < 0.03


def test_features_that_look_like_other_shares_do_not_pass_for_them():
    target = predictions(np.repeat([0, 1], [80, 320]), scale=8.0)
    comparison = Comparison(target, *HELD)
    assert comparison.is_exact()
    assert np.array_equal(estimate(target, HELD[0]), EQUAL)


def test_a_shift_with_other_features_is_followed_by_steps():
    target = predictions(np.repeat([0, 1], [80, 320]), scale=8.0)
    first = estimate(target, target)
    assert np.allclose(first, target.mean(axis=0))
    # By Bayes' rule from shares that were learned, halfway.
    assert np.allclose(next_step(target, first, first), first)
    assert np.allclose(next_step(target, EQUAL, EQUAL), (first + EQUAL) / 2)
