"""Labels of judges, weighed and mended by the neighbourhoods of the target."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression

from skda.target_accuracy import estimate_target_accuracy
from skda.target_accuracy._neighborhood import Neighborhood
from skda.target_accuracy._smoothness import neighbors_of

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
    # A row's own label counts more than all others until neighbours count at least as much.
    for strength in (-0.1, 0.0, 0.3):
        np.testing.assert_array_equal(near.spread(labels, strength), labels)


def test_labels_are_those_of_the_fixed_point(rng, points):
    labels, neighbors, strength = with_errors(rng, 0.6), neighbors_of(points), 0.8
    linked = np.zeros((180, 180))
    np.put_along_axis(linked, neighbors, 1, axis=1)
    linked = np.maximum(linked, linked.T)
    linked /= linked.sum(axis=1, keepdims=True)
    exact = np.linalg.solve(np.eye(180) - strength * linked, (1 - strength) * np.eye(3)[labels])
    # Without a limit of distances.
    found = Neighborhood(points, rng, usual=np.inf).spread(labels, strength)
    assert np.mean(found != labels) > 0.1
    np.testing.assert_array_equal(found, exact.argmax(axis=1))


def test_rows_far_away_are_no_neighbours(rng):
    labels = np.r_[np.zeros(100, int), 1, 1]
    points = np.c_[100.0 * labels, rng.normal(size=102)]
    points[-1] = points[-2] + 0.01
    near = Neighborhood(points, rng)
    np.testing.assert_array_equal(near.spread(labels, 0.9), labels)
    assert near._links[1][-1] == pytest.approx(1 / 5)


def test_classes_that_would_vanish_keep_their_rows(rng):
    """Where a rare class meets another one, most neighbours are of the other."""
    points = rng.normal(size=(300, 2))
    labels = np.zeros(300, int)
    labels[np.argsort(points[:, 0])[-8:]] = 1
    labels[np.argsort(points[:, 0])[0]] = 2
    mended = Neighborhood(points, rng).spread(labels, 0.9)
    np.testing.assert_array_equal(mended[labels == 2], 2)
    assert np.sum(mended[labels == 1] == 1) >= 4


def test_rows_beyond_those_drawn_hear_of_the_nearest(monkeypatch, rng, points):
    monkeypatch.setattr("skda.target_accuracy._neighborhood._MOST_ROWS", 120)
    monkeypatch.setattr("skda.target_accuracy._neighborhood._CHUNK", 25)
    labels = with_errors(rng)
    near = Neighborhood(points, rng)
    mended = near.spread(labels, 0.9)
    others = np.setdiff1d(np.arange(180), near.drawn)
    assert len(others) == 60
    assert np.mean(labels[others] == TRUE[others]) < 0.95
    assert np.mean(mended[others] == TRUE[others]) > 0.98


@pytest.mark.parametrize("n_rows", [1, 2, 4])
def test_few_rows_are_enough(rng, n_rows):
    labels = np.arange(n_rows)
    near = Neighborhood(rng.normal(size=(n_rows, 3)), rng)
    np.testing.assert_array_equal(near.spread(labels, 0.9), labels)


@pytest.mark.parametrize("counts", [[3, 3, 3], [100, 3], [20, 2], [3] * 5, [60] + [2] * 9])
def test_a_right_classifier_of_rare_classes_is_told_from_a_collapsed_one(counts, rng):
    centres = 8 * np.eye(len(counts), 12)

    def rows_of(counts):
        y = np.repeat(np.arange(len(counts)), counts)
        return centres[y] + rng.normal(size=(len(y), 12)), y

    X, y = rows_of([60] * len(counts))
    target, truth = rows_of(counts)
    right = LogisticRegression().fit(*rows_of([60] * len(counts)))
    assert right.score(target, truth) == 1
    collapsed = LogisticRegression().fit(X, y)
    collapsed.intercept_ = np.r_[1e6, np.zeros(len(collapsed.intercept_) - 1)]
    if len(counts) == 2:
        collapsed.intercept_ = np.array([-1e6])
    found = {
        name: estimate_target_accuracy(clf, X, y, target, n_bootstraps=None, random_state=0)
        for name, clf in (("right", right), ("collapsed", collapsed))
    }
    assert found["right"].estimate > 0.95
    assert found["collapsed"].estimate < found["right"].estimate - 0.02
    assert found["collapsed"].estimate == pytest.approx(counts[0] / sum(counts), abs=0.1)


@pytest.mark.parametrize("n_columns", [4, 300])
@pytest.mark.parametrize("sparse", [(True, True), (True, False), (False, True)])
def test_gaps_beside_sparse_tables(n_columns, sparse, rng):
    y = np.arange(120) % 2
    tables = []
    for is_sparse in sparse:
        X = rng.normal(size=(120, n_columns)) + 2 * y[:, None]
        X[::7, 0] = np.nan
        tables.append(csr_matrix(X) if is_sparse else X)
    clf = Sure().fit(None, y)
    result = estimate_target_accuracy(
        clf, tables[0], y, tables[1], n_bootstraps=None, random_state=0
    )
    assert result.reference_weight > 0.8
    assert result.estimate > 0.9


class Sure(LogisticRegression):
    """Knows the classes of these rows by their order."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return np.eye(2)[np.arange(X.shape[0]) % 2]

    def __sklearn_is_fitted__(self):
        return True
