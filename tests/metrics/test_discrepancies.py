"""Distances between domains as numbers."""

import numpy as np
import pytest
import torch
from sklearn.dummy import DummyClassifier
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.tree import DecisionTreeClassifier

from skda import losses
from skda.metrics import (
    classwise_discrepancy,
    coral_distance,
    mmd,
    mmd_permutation_test,
    proxy_a_distance,
)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


# -- proxy A-distance -------------------------------------------------------------------------


def test_a_distance_of_equal_domains_is_as_small_as_its_noise(rng):
    distances = [
        proxy_a_distance(*rng.normal(size=(2, 500, 3)), random_state=seed) for seed in range(20)
    ]
    assert min(distances) >= 0
    # sd of the accuracy on 1000 rows: 0.5 / sqrt(1000); the mean of |x| is 0.8 sd.
    assert 0.02 < np.mean(distances) < 0.1


def test_a_distance_of_separate_domains_is_two(rng):
    assert proxy_a_distance(rng.normal(size=(50, 3)), rng.normal(size=(60, 3)) + 20) == 2


def test_a_distance_is_of_held_out_rows(rng):
    """With more features than rows a linear classifier learns any two halves by heart."""
    X, X_target = rng.normal(size=(2, 200, 500))
    assert proxy_a_distance(X, X_target, random_state=0) < 0.5


def test_a_distance_flips_an_error_of_more_than_half(rng):
    class Contrary(DecisionTreeClassifier):
        def predict(self, X):
            return 1 - super().predict(X)

    X, X_target = rng.normal(size=(50, 3)), rng.normal(size=(50, 3)) + 20
    assert proxy_a_distance(X, X_target, estimator=Contrary(), random_state=0) == 2


def test_a_distance_counts_both_domains_alike(rng):
    """Always to say the larger domain would be right in nine cases of ten."""
    X, X_target = rng.normal(size=(900, 2)), rng.normal(size=(100, 2))
    assert proxy_a_distance(X, X_target, estimator=DummyClassifier(), random_state=0) == 0


def test_a_distance_is_the_same_for_the_same_seed(rng):
    X, X_target = rng.normal(size=(2, 60, 3)) + np.array([0, 1])[:, None, None]
    first, second = (proxy_a_distance(X, X_target, random_state=3) for _ in range(2))
    assert first == second


# -- MMD --------------------------------------------------------------------------------------


def test_mmd_of_two_point_masses():
    for estimator in ("biased", "unbiased"):
        value = mmd([[0.0]] * 3, [[1.5]] * 2, bandwidth=2, multipliers=[1], estimator=estimator)
        assert value == pytest.approx(2 - 2 * np.exp(-(1.5**2) / 2), abs=1e-12)


def test_unbiased_mmd_is_its_formula(rng):
    X, Xt = rng.normal(size=(7, 3)), rng.normal(size=(9, 3)) + 1
    k = [rbf_kernel(a, b, gamma=1 / 5) for a, b in ((X, X), (Xt, Xt), (X, Xt))]
    within = [(m.sum() - np.trace(m)) / (len(m) * (len(m) - 1)) for m in k[:2]]
    expected = sum(within) - 2 * k[2].mean()
    assert mmd(X, Xt, bandwidth=5, multipliers=[1]) == pytest.approx(expected, abs=1e-12)


def test_permutation_test_reports_the_mmd_of_the_domains(rng):
    X, Xt = rng.normal(size=(70, 3)), rng.normal(size=(90, 3)) + 0.5
    test = mmd_permutation_test(X, Xt, bandwidth=3.0, n_permutations=5, random_state=0)
    assert test.statistic == pytest.approx(mmd(X, Xt, bandwidth=3.0), abs=1e-12)
    # With fewer rows than tell the bandwidth, it is that of `mmd`.
    test = mmd_permutation_test(X, Xt, n_permutations=5, random_state=0)
    assert test.statistic == pytest.approx(mmd(X, Xt), abs=1e-12)


def test_relabelled_statistics_are_those_of_relabelled_rows(rng):
    """All ways to split four rows into two and two."""
    rows = rng.normal(size=(4, 2))
    test = mmd_permutation_test(rows[:2], rows[2:], bandwidth=1.0, random_state=0)
    splits = [([0, 1], [2, 3]), ([0, 2], [1, 3]), ([0, 3], [1, 2])]
    expected = sorted(mmd(rows[a], rows[b], bandwidth=1.0) for a, b in splits)
    np.testing.assert_allclose(np.unique(test.permutation_statistics.round(9)), expected, atol=1e-8)
    # The split that was given is one of three.
    n_larger = sum(value >= test.statistic - 1e-9 for value in expected)
    assert test.p_value == pytest.approx(n_larger / 3, abs=0.05)


def test_blocks_of_rows_give_the_same_test(rng, monkeypatch):
    X, Xt = rng.normal(size=(30, 3)), rng.normal(size=(20, 3)) + 0.5
    whole = mmd_permutation_test(X, Xt, n_permutations=20, random_state=0)
    monkeypatch.setattr("skda.metrics._mmd._BLOCK_ENTRIES", 350)
    parts = mmd_permutation_test(X, Xt, n_permutations=20, random_state=0)
    np.testing.assert_allclose(
        parts.permutation_statistics, whole.permutation_statistics, atol=1e-12
    )
    assert parts.statistic == pytest.approx(whole.statistic, abs=1e-12)


def test_p_values_of_equal_domains_are_uniform(rng):
    p = np.sort(
        [
            mmd_permutation_test(
                *np.split(rng.normal(size=(50, 2)), [20]), n_permutations=99, random_state=seed
            ).p_value
            for seed in range(200)
        ]
    )
    # Kolmogorov-Smirnov: 1.63 / sqrt(200) is exceeded once in a hundred.
    assert np.abs(p - (np.arange(200) + 0.5) / 200).max() < 0.115
    assert np.mean(p <= 0.05) < 0.1


def test_p_value_of_a_shift_is_the_smallest_there_is(rng):
    X, Xt = rng.normal(size=(50, 2)), rng.normal(size=(50, 2)) + 1.5
    assert mmd_permutation_test(X, Xt, n_permutations=199, random_state=0).p_value == 1 / 200


def test_no_permutation_is_an_error(rng):
    with pytest.raises(ValueError, match="n_permutations"):
        mmd_permutation_test(*rng.normal(size=(2, 5, 2)), n_permutations=0)


# -- CORAL ------------------------------------------------------------------------------------


@pytest.mark.parametrize("d", [3, 60])
def test_coral_distance_is_its_formula(rng, d):
    X, Xt = rng.normal(size=(20, d)), 2 * rng.normal(size=(15, d))
    expected = np.sum((np.cov(X.T) - np.cov(Xt.T)) ** 2) / (4 * d**2)
    assert coral_distance(X, Xt) == pytest.approx(expected, rel=1e-10)


# -- class by class ---------------------------------------------------------------------------


def test_classwise_discrepancy_sees_what_the_marginals_hide(rng):
    """Both domains have the same rows, with the classes exchanged."""
    X, y = rng.normal(size=(80, 2)) + 4 * np.repeat([[0], [1]], 40, axis=0), np.repeat([0, 1], 40)
    assert mmd(X, X, estimator="biased") == pytest.approx(0, abs=1e-12)
    assert classwise_discrepancy(X, y, X, 1 - y).mean > 0.5
    assert classwise_discrepancy(X, y, X, y).mean < 0


def test_classwise_discrepancy_is_that_of_the_rows_of_a_class(rng):
    X, Xt = rng.normal(size=(30, 2)), rng.normal(size=(30, 2)) + 1
    y, yt = rng.choice(["a", "b"], size=(2, 30))
    result = classwise_discrepancy(X, y, Xt, yt, discrepancy=coral_distance)
    expected = [coral_distance(X[y == c], Xt[yt == c]) for c in ("a", "b")]
    assert result.classes.tolist() == ["a", "b"]
    np.testing.assert_allclose(result.discrepancies, expected)
    assert result.mean == pytest.approx(np.mean(expected))


def test_a_class_without_target_rows_has_no_distance(rng):
    X, y = rng.normal(size=(30, 2)), np.repeat([0, 1, 2], 10)
    result = classwise_discrepancy(X, y, X, np.where(y == 2, 0, y))
    assert np.isnan(result.discrepancies).tolist() == [False, False, True]
    assert result.mean == pytest.approx(result.discrepancies[:2].mean())
    with pytest.warns(UserWarning, match="No class has two rows"):
        assert np.isnan(classwise_discrepancy(X, y, X, y + 5).mean)


# -- inputs -----------------------------------------------------------------------------------

DISTANCES = [proxy_a_distance, mmd, coral_distance]


@pytest.mark.parametrize("distance", DISTANCES)
def test_distances_take_lists_several_targets_and_read_only_rows(rng, distance):
    X, X_target = rng.normal(size=(2, 40, 3))
    X.flags.writeable = X_target.flags.writeable = False
    kwargs = {"random_state": 0} if distance is proxy_a_distance else {}
    expected = distance(X, X_target, **kwargs)
    assert isinstance(expected, float)
    assert distance(X.tolist(), (X_target[:10], X_target[10:]), **kwargs) == expected


@pytest.mark.parametrize("distance", [*DISTANCES, mmd_permutation_test])
def test_distances_refuse_other_columns_and_single_rows(rng, distance):
    X = rng.normal(size=(10, 3))
    with pytest.raises(ValueError, match="X_target has 2 columns, X has 3"):
        distance(X, X[:, :2])
    with pytest.raises(ValueError, match="X_target has 1 rows"):
        distance(X, X[:1])
    with pytest.raises(ValueError, match="X_target is None"):
        distance(X, None)


def test_mmd_and_coral_are_the_losses_of_training(rng):
    X, Xt = rng.normal(size=(30, 3)), rng.normal(size=(20, 3)) + 1
    tensors = torch.from_numpy(X), torch.from_numpy(Xt)
    assert mmd(X, Xt, estimator="biased") == losses.mmd(*tensors).item()
    assert coral_distance(X, Xt) == losses.coral(*tensors).item()


@pytest.mark.parametrize("distance", [*DISTANCES, mmd_permutation_test])
def test_numbers_without_a_square_are_refused(rng, distance):
    X, X_target = rng.normal(size=(2, 10, 3))
    with pytest.raises(ValueError, match=r"X holds numbers of size .*e\+200"):
        distance(X * 1e200, X_target)
    with pytest.raises(ValueError, match=r"X_target holds numbers of size .*e\+200"):
        distance(X, X_target * 1e200)
