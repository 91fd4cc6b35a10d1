"""JDA against its matrices of all rows, and what its labels of the target do."""

import numpy as np
import pytest
from scipy.io import loadmat
from scipy.linalg import eigh
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

from skda.subspace import JDA, TCA, _transfer_components


class Oracle(ClassifierMixin, BaseEstimator):
    """Knows the labels of the target."""

    def __init__(self, labels=None):
        self.labels = labels

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        assert len(X) == len(self.labels)
        return np.asarray(self.labels)


def dense_jda(X, y, X_target, y_target, marginal=1.0, conditional=1.0):
    """The matrix M, entry by entry as the paper has it."""
    n_source, n = len(X), len(X) + len(X_target)
    is_source = np.arange(n) < n_source
    labels = np.concatenate([y, y_target])
    M = np.zeros((n, n))
    everywhere = np.ones(n, dtype=bool)
    masks = [(marginal, everywhere), *((conditional, labels == c) for c in np.unique(y))]
    for weight, mask in masks:
        s, t = mask & is_source, mask & ~is_source
        if not t.any():
            continue
        M += weight * np.outer(s, s) / s.sum() ** 2
        M += weight * np.outer(t, t) / t.sum() ** 2
        M -= weight * (np.outer(s, t) + np.outer(t, s)) / (s.sum() * t.sum())
    return M


def dense_components(X, X_target, M, regularization, n_components):
    rows = np.vstack([X, X_target])
    centred = rows - rows.mean(axis=0)
    penalty = regularization * np.eye(rows.shape[1])
    _, W = eigh(centred.T @ centred, rows.T @ M @ rows + penalty)
    return W[:, ::-1][:, :n_components]


def assert_equal_up_to_sign(actual, expected):
    signs = np.sign(np.sum(actual * expected, axis=0))
    np.testing.assert_allclose(actual * signs, expected, atol=1e-8 * np.abs(expected).max())


@pytest.fixture
def blobs():
    """Three classes apart from each other, in two domains; the target's classes move apart."""
    rng = np.random.RandomState(0)
    y, y_target = np.arange(60) % 3, np.arange(45) % 3
    centres = 6 * rng.standard_normal((3, 5))
    X = rng.standard_normal((60, 5)) + centres[y]
    X_target = (
        rng.standard_normal((45, 5)) + centres[y_target] + rng.standard_normal((3, 5))[y_target]
    )
    return X, y, X_target, y_target


@pytest.mark.parametrize("params", [{}, {"kernel": "linear"}, {"kernel": "rbf"}])
def test_one_iteration_is_tca(blobs, params):
    X, y, X_target, _ = blobs
    jda = JDA(n_iter=1, **params).fit(X, y, X_target=X_target)
    tca = TCA(**params).fit(X, X_target=X_target)
    np.testing.assert_allclose(jda.coef_, tca.coef_, atol=1e-10 * np.abs(tca.coef_).max())


@pytest.mark.parametrize("marginal_weight", [0.0, 1.0, 3.0])
def test_it_is_the_eigenproblem_of_the_paper(blobs, marginal_weight):
    X, y, X_target, y_target = blobs
    jda = JDA(classifier=Oracle(y_target), n_iter=2, marginal_weight=marginal_weight)
    jda.fit(X, y, X_target=X_target)
    M = dense_jda(X, y, X_target, y_target, marginal=marginal_weight)
    assert_equal_up_to_sign(jda.coef_, dense_components(X, X_target, M, 1.0, 5))


def test_a_normalised_mmd_is_that_of_a_matrix_of_norm_one(blobs):
    X, y, X_target, y_target = blobs
    jda = JDA(classifier=Oracle(y_target), n_iter=2, normalize_mmd=True)
    jda.fit(X, y, X_target=X_target)
    M = dense_jda(X, y, X_target, y_target)
    assert_equal_up_to_sign(jda.coef_, dense_components(X, X_target, M / np.linalg.norm(M), 1.0, 5))


def test_true_labels_bring_the_means_of_classes_together(blobs):
    X, y, X_target, y_target = blobs
    # The differences of three classes, of which that of the domains is the mean, leave two
    # of five directions.
    jda = JDA(n_components=2, classifier=Oracle(y_target), regularization=1e-8)
    X_new = jda.fit_transform(X, y, X_target=X_target)
    target_new = jda.transform(X_target)
    for c in range(3):
        difference = X_new[y == c].mean(axis=0) - target_new[y_target == c].mean(axis=0)
        before = X[y == c].mean(axis=0) - X_target[y_target == c].mean(axis=0)
        assert np.abs(difference).max() < 1e-5 * X_new.std(axis=0).min()
        assert np.abs(before).max() > 0.1 * X.std(axis=0).min()


def test_labels_of_the_classifier_take_part(blobs):
    X, y, X_target, y_target = blobs
    fits = [
        JDA(classifier=classifier, n_iter=3).fit(X, y, X_target=X_target).coef_
        for classifier in (None, KNeighborsClassifier(1), Oracle(y_target), Oracle(y_target[::-1]))
    ]
    np.testing.assert_array_equal(fits[0], fits[1])
    np.testing.assert_allclose(fits[0], fits[2])  # the blobs are far apart
    assert np.abs(fits[2] - fits[3]).max() > 1e-3


def test_it_stops_when_the_labels_no_longer_change(blobs):
    X, y, X_target, y_target = blobs
    jda = JDA(classifier=Oracle(y_target), n_iter=50).fit(X, y, X_target=X_target)
    assert jda.n_iter_ == 2
    once = JDA(classifier=Oracle(y_target), n_iter=2).fit(X, y, X_target=X_target)
    np.testing.assert_array_equal(jda.coef_, once.coef_)


def test_the_classifier_is_cloned_and_not_fitted(blobs):
    X, y, X_target, _ = blobs
    classifier = LogisticRegression()
    JDA(classifier=classifier).fit(X, y, X_target=X_target)
    assert not hasattr(classifier, "coef_")


def test_labels_may_be_strings(blobs):
    X, y, X_target, _ = blobs
    names = np.array(["b", "c", "a"])
    jda = JDA().fit(X, names[y], X_target=X_target)
    assert jda.classes_.tolist() == ["a", "b", "c"]
    np.testing.assert_allclose(jda.coef_, JDA().fit(X, y, X_target=X_target).coef_)


def test_a_class_that_the_target_is_not_given_is_left_out(blobs):
    X, y, X_target, y_target = blobs
    given = np.where(y_target == 2, 0, y_target)
    jda = JDA(classifier=Oracle(given)).fit(X, y, X_target=X_target)
    M = dense_jda(X, y, X_target, given)
    assert_equal_up_to_sign(jda.coef_, dense_components(X, X_target, M, 1.0, 5))


def test_a_class_of_one_row(blobs):
    X, y, X_target, y_target = blobs
    y = np.where(np.arange(60) == 7, 3, y)
    given = np.where(np.arange(45) == 4, 3, y_target)
    jda = JDA(classifier=Oracle(given)).fit(X, y, X_target=X_target)
    M = dense_jda(X, y, X_target, given)
    assert_equal_up_to_sign(jda.coef_, dense_components(X, X_target, M, 1.0, 5))


def test_the_order_of_rows_does_not_matter(blobs):
    X, y, X_target, _ = blobs
    order, target_order = np.random.RandomState(0).permutation(60), np.arange(45)[::-1]
    jda = JDA().fit(X, y, X_target=X_target)
    other = JDA().fit(X[order], y[order], X_target=X_target[target_order])
    np.testing.assert_allclose(other.coef_, jda.coef_, atol=1e-10)


@pytest.mark.parametrize("params", [{}, {"kernel": "rbf", "n_landmarks": 30}])
def test_the_size_of_batches_does_not_matter(blobs, monkeypatch, params):
    X, y, X_target, _ = blobs
    at_once = JDA(**params, random_state=0).fit(X, y, X_target=X_target)
    monkeypatch.setattr(_transfer_components, "_BATCH_BYTES", 8 * 30 * 7)
    in_parts = JDA(**params, random_state=0).fit(X, y, X_target=X_target)
    np.testing.assert_allclose(in_parts.transform(X_target), at_once.transform(X_target), atol=1e-8)


def test_all_rows_as_landmarks_are_exact(blobs):
    X, y, X_target, _ = blobs
    exact = JDA(kernel="rbf", n_components=4, n_landmarks=None)
    landmarks = JDA(kernel="rbf", n_components=4, n_landmarks=105, random_state=0)
    expected, actual = (t.fit_transform(X, y, X_target=X_target) for t in (exact, landmarks))
    signs = np.sign(np.sum(actual * expected, axis=0))
    np.testing.assert_allclose(actual * signs, expected, atol=1e-6 * np.abs(expected).max())


def test_constant_columns_take_no_part(blobs):
    X, y, X_target, _ = blobs
    jda = JDA().fit(
        *(np.insert(X, 2, 4.0, axis=1), y), X_target=np.insert(X_target, 2, 4.0, axis=1)
    )
    assert jda.coef_.shape == (6, 5)
    np.testing.assert_allclose(jda.coef_[2], 0, atol=1e-12)


def test_labels_are_required(blobs):
    X, _, X_target, _ = blobs
    with pytest.raises(ValueError, match="requires y to be passed"):
        JDA().fit(X, X_target=X_target)


def test_labels_must_be_classes(blobs):
    X, y, X_target, _ = blobs
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        JDA().fit(X, y + 0.5, X_target=X_target)


@pytest.mark.parametrize(
    "params", [{"n_iter": 0}, {"classifier": "knn"}, {"marginal_weight": -1.0}]
)
def test_a_bad_parameter_is_named(blobs, params):
    X, y, X_target, _ = blobs
    with pytest.raises(ValueError, match=f"'{next(iter(params))}' parameter of JDA"):
        JDA(**params).fit(X, y, X_target=X_target)


@pytest.mark.parametrize(
    "source, target, tca, jda", [("src", "tar", 56.28, 67.28), ("tar", "src", 51.05, 59.65)]
)
def test_published_accuracies_on_mnist_and_usps(data_home, source, target, tca, jda):
    """Tables of Long et al. 2013: rows of unit norm, 100 components, penalty 0.1."""
    data = loadmat(data_home / "mnist_usps_256" / "MNIST_vs_USPS.mat")
    X, X_target = (Normalizer().fit_transform(data[f"X_{name}"].T) for name in (source, target))
    y, y_target = (data[f"Y_{name}"].ravel() for name in (source, target))
    nearest = KNeighborsClassifier(1)
    unit_nearest = make_pipeline(Normalizer(), KNeighborsClassifier(1))
    params = {"n_components": 100, "regularization": 0.1, "normalize_mmd": True}

    def accuracy(transformer, classifier):
        X_new = transformer.fit_transform(X, y, X_target=X_target)
        return 100 * classifier.fit(X_new, y).score(transformer.transform(X_target), y_target)

    assert accuracy(TCA(**params), nearest) == pytest.approx(tca, abs=0.1)
    joint = JDA(classifier=unit_nearest, marginal_weight=10, **params)
    assert accuracy(joint, unit_nearest) == pytest.approx(jda, abs=1)


def test_it_beats_pca_on_turned_digits(digits):
    jda, pca = JDA(n_components=20), PCA(20)
    accuracies = []
    for X, X_target in (
        (
            jda.fit_transform(digits.X, digits.y, X_target=digits.X_target),
            jda.transform(digits.X_target),
        ),
        (pca.fit_transform(digits.X), pca.transform(digits.X_target)),
    ):
        accuracies.append(KNeighborsClassifier(1).fit(X, digits.y).score(X_target, digits.y_target))
    assert accuracies[0] > accuracies[1] + 0.05
