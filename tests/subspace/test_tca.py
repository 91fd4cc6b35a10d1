"""TCA against its eigenproblem, written out with matrices of all rows."""

import functools
import itertools
import pickle
import tracemalloc

import numpy as np
import pytest
from scipy.linalg import eigh
from sklearn.decomposition import PCA, KernelPCA
from sklearn.metrics.pairwise import pairwise_kernels, rbf_kernel

from skda.exceptions import NoTargetWarning
from skda.subspace import TCA, _transfer_components

KERNELS = [None, "linear", "rbf", "laplacian", "poly", "sigmoid", "cosine"]


def embed(X, X_target, **params):
    """Return all rows in the common space, and the transformer."""
    tca = TCA(**params)
    X_new = tca.fit_transform(X, X_target=X_target)
    return np.vstack([X_new, tca.transform(X_target)]), tca


def mmd_matrix(n_source, n_target):
    e = np.repeat([1 / n_source, -1 / n_target], [n_source, n_target])
    return np.outer(e, e)


def centring_matrix(n_rows):
    return np.eye(n_rows) - 1 / n_rows


def dense(K, L, regularization, n_components):
    """The embedding by a generalised solver."""
    H = centring_matrix(len(L))
    penalty = regularization * np.eye(K.shape[1])
    _, W = eigh(K.T @ H @ K, K.T @ L @ K + penalty)
    return K @ W[:, ::-1][:, :n_components]


def assert_equal_up_to_sign(actual, expected, rtol=1e-7):
    assert actual.shape == expected.shape
    signs = np.sign(np.sum(actual * expected, axis=0))
    np.testing.assert_allclose(actual * signs, expected, atol=rtol * np.abs(expected).max())


@pytest.fixture
def small(domains):
    """Rows of comparable units, for kernels."""
    source, target = domains
    return source / 5, target / 5


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("regularization", [1e-3, 1.0])
def test_it_is_the_generalised_eigenproblem(small, kernel, regularization):
    X, X_target = small
    rows = np.vstack(small)
    embedded, tca = embed(X, X_target, kernel=kernel, regularization=regularization, n_components=4)
    K = rows if kernel is None else pairwise_kernels(rows, metric=kernel)
    expected = dense(K, mmd_matrix(60, 40), regularization, 4)
    assert_equal_up_to_sign(embedded, expected, rtol=1e-6)
    assert (tca.landmarks_ is None) == (kernel in (None, "linear"))


def test_metric_scaling_makes_the_denominator_the_identity(small):
    rows = np.vstack(small)
    _, tca = embed(*small, kernel="rbf", regularization=0.3, n_components=5)
    K, L, W = rbf_kernel(rows), mmd_matrix(60, 40), tca.coef_
    np.testing.assert_allclose(W.T @ (K @ L @ K + 0.3 * np.eye(100)) @ W, np.eye(5), atol=1e-9)


def test_unit_variance_scaling_makes_the_numerator_the_identity(small):
    embedded, tca = embed(*small, kernel="rbf", scale="unit_variance", n_components=5)
    K, H = rbf_kernel(np.vstack(small)), centring_matrix(100)
    np.testing.assert_allclose(tca.coef_.T @ K @ H @ K @ tca.coef_, np.eye(5), atol=1e-9)
    np.testing.assert_allclose(embedded, K @ tca.coef_, atol=1e-9)


def test_scalings_differ_by_the_lengths_of_the_columns_only(small):
    metric, _ = embed(*small, n_components=3)
    unit, _ = embed(*small, n_components=3, scale="unit_variance")
    lengths = np.linalg.norm(metric - metric.mean(axis=0), axis=0)
    assert lengths[0] > lengths[1] > lengths[2]
    np.testing.assert_allclose(metric, unit * lengths)


@pytest.mark.parametrize("kernel", [None, "linear", "rbf"])
def test_less_regularization_gives_no_larger_ratio_of_discrepancy_to_variance(small, kernel):
    ratios = []
    for regularization in (1e2, 1, 1e-2, 1e-4, 1e-6, 1e-8):
        embedded, _ = embed(*small, kernel=kernel, regularization=regularization, n_components=2)
        means = embedded[:60].mean(axis=0) - embedded[60:].mean(axis=0)
        ratios.append(np.sum(means**2) / np.sum(embedded.var(axis=0)))
    assert all(b <= a * (1 + 1e-6) + 1e-15 for a, b in itertools.pairwise(ratios))
    assert ratios[-1] < 0.1 * ratios[0]


def test_equal_domains_give_principal_components(small):
    X, _ = small
    embedded, tca = embed(X, X, n_components=3)
    pca = PCA(3).fit(np.vstack([X, X]))
    assert_equal_up_to_sign(tca.coef_, pca.components_.T)
    assert_equal_up_to_sign(embedded - embedded.mean(axis=0), pca.transform(np.vstack([X, X])))


def test_equal_domains_give_kernel_pca_if_the_kernel_is_centred(small):
    X = small[0] - small[0].mean(axis=0)
    embedded, _ = embed(X, X, kernel="linear", scale="unit_variance", n_components=3)
    expected = KernelPCA(3).fit_transform(np.vstack([X, X]))
    assert_equal_up_to_sign(embedded, expected / np.linalg.norm(expected, axis=0))


def test_without_target_the_source_is_the_target(small):
    X, _ = small
    with pytest.warns(NoTargetWarning, match="takes the source for the target"):
        alone = TCA().fit_transform(X)
    assert_equal_up_to_sign(alone, TCA().fit_transform(X, X_target=X))


def test_the_means_of_the_domains_come_closer(small):
    X, X_target = small
    embedded, _ = embed(X, X_target, regularization=1e-8, n_components=3)
    difference = embedded[:60].mean(axis=0) - embedded[60:].mean(axis=0)
    before = X.mean(axis=0) - X_target.mean(axis=0)
    assert np.abs(difference).max() < 1e-3 * embedded.std(axis=0).min()
    assert np.abs(before).max() > 0.3 * np.vstack(small).std(axis=0).min()


# -- forms of one problem -----------------------------------------------------------------------


@pytest.mark.parametrize("n_rows", [100, 10])
def test_linear_kernels_of_columns_and_of_rows_agree(small, n_rows):
    """A callable always takes the way over the kernel matrix of all rows."""
    X, X_target = small[0][: n_rows // 2], small[1][: n_rows // 2]
    by_columns, narrow = embed(X, X_target, kernel="linear", n_components=4)
    by_rows, wide = embed(X, X_target, kernel=lambda A, B: A @ B.T, n_components=4)
    assert_equal_up_to_sign(by_columns, by_rows)
    assert narrow.coef_.shape[0] == 7 and wide.coef_.shape[0] == len(X) + len(X_target)


@pytest.mark.parametrize("kernel", [None, "linear"])
def test_more_columns_than_rows(small, kernel):
    rng = np.random.RandomState(0)
    X, X_target = (rows[:12] @ rng.standard_normal((7, 50)) for rows in small)
    rows = np.vstack([X, X_target])
    embedded, tca = embed(X, X_target, kernel=kernel, n_components=4)
    K = rows if kernel is None else rows @ rows.T
    assert_equal_up_to_sign(embedded, dense(K, mmd_matrix(12, 12), 1.0, 4))
    assert tca.coef_.shape == (50, 4)


@pytest.mark.parametrize("kernel", ["rbf", "sigmoid", "cosine", "poly"])
def test_all_rows_as_landmarks_are_exact(small, kernel):
    exact, _ = embed(*small, kernel=kernel, n_components=4, n_landmarks=None)
    landmarks, tca = embed(*small, kernel=kernel, n_components=4, n_landmarks=500, random_state=0)
    assert not np.array_equal(tca.landmarks_, np.vstack(small))  # another order
    assert_equal_up_to_sign(landmarks, exact, rtol=1e-5)


@pytest.mark.parametrize("kernel", [None, "linear"])
def test_landmarks_as_many_as_rows_are_exact_for_many_columns(small, kernel):
    rng = np.random.RandomState(0)
    X, X_target = (rows @ rng.standard_normal((7, 120)) for rows in small)
    exact, _ = embed(X, X_target, kernel=kernel, n_components=4, n_landmarks=None)
    landmarks, _ = embed(X, X_target, kernel=kernel, n_components=4, n_landmarks=100)
    assert_equal_up_to_sign(landmarks, exact, rtol=1e-6)


def test_more_landmarks_come_closer_to_all_rows(small):
    exact, _ = embed(*small, kernel="rbf", n_components=2)
    errors = []
    for n_landmarks in (5, 20, 80):
        some, tca = embed(
            *small, kernel="rbf", n_components=2, n_landmarks=n_landmarks, random_state=0
        )
        assert len(tca.landmarks_) == n_landmarks
        some *= np.sign(np.sum(some * exact, axis=0))
        errors.append(np.abs(some - exact).max() / np.abs(exact).max())
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.05


def test_auto_takes_landmarks_beyond_a_number_of_rows(small, monkeypatch):
    assert len(TCA(kernel="rbf").fit(small[0], X_target=small[1]).landmarks_) == 100
    monkeypatch.setattr(_transfer_components, "_MAX_EXACT", 99)
    monkeypatch.setattr(_transfer_components, "_N_LANDMARKS", 50)
    assert len(TCA(kernel="rbf").fit(small[0], X_target=small[1]).landmarks_) == 50
    assert TCA(kernel="linear").fit(small[0], X_target=small[1]).landmarks_ is None


@pytest.mark.parametrize("params", [{"kernel": "rbf"}, {"kernel": "linear"}])
def test_large_eigenproblems_have_the_same_solution(small, monkeypatch, params):
    """The second has fewer directions of variance than components."""
    small = tuple(np.hstack([rows, np.zeros((len(rows), 193))]) for rows in small)
    dense, _ = embed(*small, **params, n_components=9, n_landmarks=None)
    monkeypatch.setattr(_transfer_components, "_MAX_DENSE", 50)
    iterated, _ = embed(*small, **params, n_components=9, n_landmarks=None)
    assert_equal_up_to_sign(iterated, dense)


def test_memory_does_not_grow_with_rows_times_landmarks(monkeypatch):
    monkeypatch.setattr(_transfer_components, "_BATCH_BYTES", 2**20)
    X, X_target = np.random.RandomState(0).standard_normal((2, 10_000, 3))
    tca = TCA(kernel="rbf", n_components=2, n_landmarks=300, random_state=0)
    tracemalloc.start()
    try:
        tca.fit(X, X_target=X_target).transform(X_target)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.5 * (20_000 * 300 * 8)


def test_landmarks_are_those_of_the_random_state(small):
    first, second, third = (
        TCA(kernel="rbf", n_landmarks=9, random_state=seed).fit(small[0], X_target=small[1])
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first.landmarks_, second.landmarks_)
    assert not np.array_equal(first.landmarks_, third.landmarks_)


@pytest.mark.parametrize("params", [{}, {"kernel": "rbf"}, {"kernel": "rbf", "n_landmarks": 30}])
def test_the_size_of_batches_does_not_matter(small, monkeypatch, params):
    at_once, _ = embed(*small, **params, n_components=3, random_state=0)
    monkeypatch.setattr(_transfer_components, "_BATCH_BYTES", 8 * 7 * 11)
    in_parts, _ = embed(*small, **params, n_components=3, random_state=0)
    assert_equal_up_to_sign(in_parts, at_once, rtol=1e-9)


@pytest.mark.parametrize("kernel", [None, "rbf"])
def test_the_order_of_rows_does_not_matter(small, kernel):
    rng = np.random.RandomState(0)
    orders = rng.permutation(60), rng.permutation(40)
    tca = TCA(kernel=kernel, n_components=3).fit(small[0], X_target=small[1])
    other = TCA(kernel=kernel, n_components=3).fit(
        small[0][orders[0]], X_target=small[1][orders[1]]
    )
    np.testing.assert_allclose(other.transform(small[1]), tca.transform(small[1]), atol=1e-9)


def test_several_targets_count_as_one(small):
    X, X_target = small
    one = TCA().fit_transform(X, X_target=X_target)
    parts = TCA().fit_transform(X, X_target=(X_target[:10], X_target[10:]))
    np.testing.assert_array_equal(one, parts)


def test_an_offset_of_both_domains_does_not_matter(small):
    X, X_target = small
    embedded, _ = embed(X, X_target, n_components=3)
    moved, _ = embed(X + 1e4, X_target + 1e4, n_components=3)
    assert_equal_up_to_sign(moved - moved.mean(axis=0), embedded - embedded.mean(axis=0), rtol=1e-7)


# -- parameters ---------------------------------------------------------------------------------


def test_a_normalised_mmd_is_a_regularization_times_the_norm(small):
    normalised, _ = embed(*small, normalize_mmd=True, regularization=0.1, n_components=3)
    norm = np.linalg.norm(mmd_matrix(60, 40))
    plain, _ = embed(*small, regularization=0.1 * norm, n_components=3)
    assert_equal_up_to_sign(normalised * np.sqrt(norm) ** -1, plain)


def test_a_callable_is_the_kernel_that_it_computes(small):
    by_name, _ = embed(*small, kernel="rbf", gamma=0.2, n_components=3)
    by_call, _ = embed(*small, kernel=functools.partial(rbf_kernel, gamma=0.2), n_components=3)
    np.testing.assert_allclose(by_call, by_name, atol=1e-12)


@pytest.mark.parametrize("params", [{"gamma": 0.01}, {"degree": 2}, {"coef0": 3.0}])
def test_parameters_of_the_kernel_reach_it(small, params):
    default, _ = embed(*small, kernel="poly", n_components=2)
    changed, _ = embed(*small, kernel="poly", n_components=2, **params)
    assert np.abs(changed - default).max() > 1e-6


def test_components_without_variance_are_left_out(small):
    X, X_target = (np.hstack([rows, np.full((len(rows), 1), 3.0), rows]) for rows in small)
    assert TCA(n_components=30).fit(X, X_target=X_target).coef_.shape == (15, 7)
    unit, _ = embed(X, X_target, n_components=30, scale="unit_variance")
    assert np.isfinite(unit).all()


@pytest.mark.parametrize("params", [{}, {"kernel": "rbf"}, {"kernel": "rbf", "n_landmarks": 60}])
def test_duplicated_rows_are_no_problem(small, params):
    X, X_target = (np.repeat(rows, 2, axis=0) for rows in small)
    assert np.isfinite(embed(X, X_target, **params)[0]).all()


def test_equal_rows_are_an_error():
    with pytest.raises(ValueError, match="All rows of X and X_target are equal"):
        TCA().fit(np.ones((5, 2)), X_target=np.ones((4, 2)))


@pytest.mark.parametrize(
    "params",
    [
        {"n_components": 0},
        {"kernel": "gaussian"},
        {"regularization": 0},
        {"scale": "unit"},
        {"n_landmarks": 0},
        {"normalize_mmd": "frobenius"},
    ],
)
def test_a_bad_parameter_is_named(small, params):
    with pytest.raises(ValueError, match=f"'{next(iter(params))}' parameter of TCA"):
        TCA(**params).fit(small[0], X_target=small[1])


def test_a_callable_that_is_no_kernel_is_an_error(small):
    with pytest.raises(
        ValueError, match=r"kernel returned an array of shape \(\) for 60 and 100 rows"
    ):
        TCA(kernel=lambda A, B: 1.0).fit(small[0], X_target=small[1])


def test_linear_components_keep_no_rows(small):
    many = tuple(np.tile(rows, (100, 1)) for rows in small)
    tca = TCA(kernel="linear").fit(many[0], X_target=many[1])
    assert len(pickle.dumps(tca)) < 5000
