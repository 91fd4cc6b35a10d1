"""Numbers of published tables, to the last digit; benchmarks/tables has all of them."""

import numpy as np
import pytest
from scipy.io import loadmat
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import normalize
from sklearn.svm import SVC

from skda.subspace import CORAL, GFK

FILES = {"C": "Caltech10", "A": "amazon", "W": "webcam", "D": "dslr"}


@pytest.fixture(scope="module")
def surf(data_home):
    """Histograms that sum to one, standardized per domain, and labels."""
    domains = {}
    for name, file in FILES.items():
        contents = loadmat(data_home / "office_caltech10_surf" / f"{file}_SURF_L10.mat")
        counts = contents["fts"].astype(float)
        shares = counts / counts.sum(axis=1, keepdims=True)
        domains[name] = (
            (shares - shares.mean(axis=0)) / shares.std(axis=0),
            contents["labels"][:, 0],
        )
    return domains


@pytest.fixture(scope="module")
def digits_256(data_home):
    """Rows of unit norm, and labels."""
    contents = loadmat(data_home / "mnist_usps_256" / "MNIST_vs_USPS.mat")
    return {
        "M": (normalize(contents["X_src"].T), contents["Y_src"][:, 0]),
        "U": (normalize(contents["X_tar"].T), contents["Y_tar"][:, 0]),
    }


def accuracy_of_neighbours(X, y, X_target, y_target):
    return 100 * KNeighborsClassifier(1).fit(X, y).score(X_target, y_target)


def pca(X, X_target):
    axes = PCA(100, svd_solver="full").fit(np.vstack([X, X_target]))
    return axes.transform(X), axes.transform(X_target)


@pytest.mark.parametrize(
    "pair, expected", [("CA", 23.70), ("AW", 29.83), ("WC", 19.86), ("DW", 63.39)]
)
def test_nearest_neighbour_on_surf(surf, pair, expected):
    """No method of this package: it says that data and protocol are those of the table."""
    (X, y), (X_target, y_target) = (surf[name] for name in pair)
    assert accuracy_of_neighbours(X, y, X_target, y_target) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("pair, expected", [("WD", 77.07), ("DW", 75.93)])
def test_pca_on_surf(surf, pair, expected):
    (X, y), (X_target, y_target) = (surf[name] for name in pair)
    X, X_target = pca(X, X_target)
    assert accuracy_of_neighbours(X, y, X_target, y_target) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(
    "pair, n_components, expected",
    [("CA", 20, 41.02), ("CW", 20, 40.68), ("CD", 10, 38.85), ("WD", 10, 80.89), ("DA", 20, 32.05)],
)
def test_gfk_on_surf(surf, pair, n_components, expected):
    (X, y), (X_target, y_target) = (surf[name] for name in pair)
    gfk = GFK(n_components=n_components)
    X = gfk.fit_transform(X, X_target=X_target)
    measured = accuracy_of_neighbours(X, y, gfk.transform(X_target), y_target)
    assert measured == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("pair, C, expected", [("AW", 0.01, 44.4), ("WD", 0.01, 86.6)])
def test_coral_on_surf(surf, pair, C, expected):
    """With the kernel of the published code, which is not symmetric."""
    (X, y), (X_target, y_target) = (surf[name] for name in pair)
    X_new = CORAL().fit_transform(X, X_target=X_target)
    svm = SVC(kernel="precomputed", C=C).fit(X_new @ X.T, y)
    assert 100 * svm.score(X_target @ X_new.T, y_target) == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize(
    "pair, alone, reduced, kernel", [("MU", 65.94, 66.22, 67.22), ("UM", 44.70, 44.95, 46.45)]
)
def test_digits(digits_256, pair, alone, reduced, kernel):
    """GFK with 100 axes and, as in the table, rows that are not centred."""
    (X, y), (X_target, y_target) = (digits_256[name] for name in pair)
    root = GFK(n_components=100).fit(X, X_target=X_target).components_.T
    for expected, rows in (
        (alone, (X, X_target)),
        (reduced, pca(X, X_target)),
        (kernel, (X @ root, X_target @ root)),
    ):
        measured = accuracy_of_neighbours(rows[0], y, rows[1], y_target)
        assert measured == pytest.approx(expected, abs=0.01)
