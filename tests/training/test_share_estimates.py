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


def estimate(by_source, by_target, evidence="none"):
    return early_estimate(
        {"source": by_source, "target": by_target}.get,
        HELD,
        EQUAL,
        evidence,
        source_shares=EQUAL,
        learned=EQUAL,
        domains=("source", "target"),
    )


def step(probabilities, shares, evidence):
    return next_step(probabilities, shares, evidence, source_shares=EQUAL, learned=shares)


def test_shares_that_differ_alone_are_found_at_once():
    target = predictions(np.repeat([0, 1], [80, 320]))
    # Statistics of the target's own hide them.
    found, evidence = estimate(target, HELD[0])
    assert np.abs(found - [0.2, 0.8]).max() < 0.03
    assert evidence == "exact"


def test_features_that_look_like_other_shares_do_not_pass_for_them():
    target = predictions(np.repeat([0, 1], [80, 320]), scale=8.0)
    comparison = Comparison(target, *HELD)
    assert comparison.is_exact()
    found, evidence = estimate(target, HELD[0])
    assert np.abs(found - EQUAL).max() < 0.01
    assert evidence == "none"


def test_a_shift_with_other_features_is_followed_by_steps():
    target = predictions(np.repeat([0, 1], [80, 320]), scale=8.0)
    first, evidence = estimate(target, target)
    assert np.allclose(first, target.mean(axis=0))
    assert evidence == "shift"
    # What was evident once is so later.
    assert estimate(target, HELD[0], "shift")[1] == "shift"


def test_a_step_goes_as_far_as_there_is_evidence():
    target = predictions(np.repeat([0, 1], [80, 320]))
    mean = target.mean(axis=0)
    assert np.allclose(step(target, EQUAL, "shift"), mean)
    assert np.allclose(step(target, EQUAL, "none"), (mean + EQUAL) / 2)
    found = np.array([0.3, 0.7])
    assert step(target, found, "exact") is found


def test_steps_without_evidence_do_not_run_away():
    # A network that says 1.5 times as much of a difference as it has learned by, and 0.05 more.
    shares = EQUAL
    for _ in range(50):
        said = np.clip(1.5 * (shares - EQUAL) + [-0.05, 0.05] + EQUAL, 0, 1)
        shares = step(np.tile(said, (100, 1)), shares, "none")
    assert np.allclose(shares, [0.4, 0.6])
