import numpy as np
import pytest

from skda.target_accuracy._neighborhood import Neighborhood
from skda.target_accuracy._smoothness import neighbors_of, spread

TRUE = np.repeat([0, 1, 2], 60)


@pytest.fixture
def points(rng):
    return rng.normal(size=(180, 2)) + 6 * np.array([[0, 0], [1, 0], [0, 1]])[TRUE]


def with_errors(rng, share=0.2):
    return np.where(rng.uniform(size=len(TRUE)) < share, rng.permutation(TRUE), TRUE)


def test_labels_spread_over_errors_among_neighbours(rng, points):
    labels = with_errors(rng)
    assert np.mean(labels == TRUE) < 0.95
    mended = Neighborhood(points, rng).spread(labels, 0.9)
    assert np.mean(mended == TRUE) > 0.98


def test_rows_that_neighbours_know_nothing_of_keep_their_labels(rng, points):
    labels = with_errors(rng)
    near = Neighborhood(points, rng)
    for strength in (0.0, -0.1):
        np.testing.assert_array_equal(near.spread(labels, strength), labels)
    # A row's own label counts more than all others until neighbours count at least as much.
    np.testing.assert_array_equal(near.spread(labels, 0.3), labels)


def test_spread_is_the_fixed_point_of_its_equation(rng, points):
    own, neighbors, strength = np.eye(3)[with_errors(rng)], neighbors_of(points), 0.5
    linked = np.zeros((180, 180))
    np.put_along_axis(linked, neighbors, 1, axis=1)
    linked = np.maximum(linked, linked.T)
    linked /= linked.sum(axis=1, keepdims=True)
    exact = np.linalg.solve(np.eye(180) - strength * linked, (1 - strength) * own)
    parts = spread(own, neighbors, strength)
    np.testing.assert_allclose(parts, exact, atol=1e-5)
    np.testing.assert_allclose(parts.sum(axis=1), 1)


def test_rows_beyond_those_drawn_hear_of_the_nearest(monkeypatch, rng, points):
    monkeypatch.setattr("skda.target_accuracy._neighborhood._MOST_ROWS", 120)
    labels = with_errors(rng)
    near = Neighborhood(points, rng)
    mended = near.spread(labels, 0.9)
    others = np.setdiff1d(np.arange(180), near.drawn)
    assert len(others) == 60
    assert np.mean(labels[others] == TRUE[others]) < 0.95
    assert np.mean(mended[others] == TRUE[others]) > 0.98


@pytest.mark.parametrize("n_rows", [1, 2])
def test_few_rows_are_enough(rng, n_rows):
    near = Neighborhood(rng.normal(size=(n_rows, 3)), rng)
    labels = np.arange(n_rows)
    assert near.spread(labels, 0.9).shape == (n_rows,)
    if n_rows == 1:
        np.testing.assert_array_equal(near.spread(labels, 0.9), labels)
