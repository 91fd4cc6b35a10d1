"""Posteriors for other shares, and shrunk shares."""

import numpy as np
import pytest

from skda.label_shift import maximum_likelihood_shares, reweight_probabilities, shrink_shares

from .conftest import draw, posteriors

OF_SOURCE, OF_TARGET = np.array([0.2, 0.3, 0.5]), np.array([0.6, 0.3, 0.1])


def test_weighted_posteriors_are_those_of_the_other_shares(rng):
    X, _ = draw(OF_TARGET, 100, rng)
    found = reweight_probabilities(posteriors(X, OF_SOURCE), OF_SOURCE, OF_TARGET)
    np.testing.assert_allclose(found, posteriors(X, OF_TARGET), rtol=1e-9)


def test_a_class_that_the_target_lacks_is_never_predicted(rng):
    X, _ = draw(OF_TARGET, 100, rng)
    found = reweight_probabilities(posteriors(X, OF_SOURCE), OF_SOURCE, [0.5, 0, 0.5])
    assert (found[:, 1] == 0).all()
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_a_row_of_missing_classes_alone_has_the_shares():
    found = reweight_probabilities([[0.0, 1.0, 0.0]], OF_SOURCE, [0.4, 0, 0.6])
    assert found[0, 1] == 0 and np.isfinite(found).all() and found.sum() == pytest.approx(1)


def test_a_share_of_a_class_that_the_source_lacks_is_an_error():
    with pytest.raises(ValueError, match="target_shares has a share for class number 2"):
        reweight_probabilities([[0.5, 0.5, 0.0]], [0.5, 0.5, 0], [0.4, 0.4, 0.2])


def test_shrinking_halves_the_noise_where_shares_are_the_same_and_keeps_what_is_plain():
    noise, shrunk = [], []
    for seed in range(30):
        X, _ = draw(OF_SOURCE, 200, np.random.default_rng(seed))
        rows = posteriors(X, OF_SOURCE)
        found = maximum_likelihood_shares(rows, OF_SOURCE)
        noise.append(np.abs(found - OF_SOURCE).sum())
        shrunk.append(np.abs(shrink_shares(found, rows, OF_SOURCE) - OF_SOURCE).sum())
    assert np.mean(shrunk) < 0.5 * np.mean(noise)
    X, _ = draw(OF_TARGET, 200, np.random.default_rng(0))
    rows = posteriors(X, OF_SOURCE)
    found = maximum_likelihood_shares(rows, OF_SOURCE)
    assert np.abs(shrink_shares(found, rows, OF_SOURCE) - found).sum() < 0.05


def test_shares_that_are_less_likely_than_the_source_are_given_up(rng):
    X, _ = draw(OF_SOURCE, 200, rng)
    found = shrink_shares(OF_TARGET, posteriors(X, OF_SOURCE), OF_SOURCE)
    np.testing.assert_array_equal(found, OF_SOURCE)
