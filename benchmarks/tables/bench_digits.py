"""The shallow methods between 2000 digits of MNIST and 1800 of USPS, 16 x 16 pixels.

The protocol of Long et al. (ICCV 2013, Table 3): rows of unit norm, one whole domain is the source
and the other the target, one nearest neighbour. The rows that follow from the data alone must
agree to the second decimal.

    SKDA_DATA=folder python benchmarks/tables/bench_digits.py [--methods NAME ...]
"""

import argparse
import os
from pathlib import Path

from _table import UNIT_NEAREST_NEIGHBOUR, Row, mapped, measure, nearest_neighbour, pca
from scipy.io import loadmat
from sklearn.preprocessing import normalize

from skda.subspace import BDA, GFK, JDA, TCA, SubspaceAlignment

PAIRS = [("MNIST", "USPS"), ("USPS", "MNIST")]


def load_domains(home):
    """Return rows of unit norm and labels by domain."""
    contents = loadmat(home / "mnist_usps_256" / "MNIST_vs_USPS.mat")
    return {
        "MNIST": (normalize(contents["X_src"].T), contents["Y_src"][:, 0]),
        "USPS": (normalize(contents["X_tar"].T), contents["Y_tar"][:, 0]),
    }


def published(*accuracies):
    return dict(zip(PAIRS, accuracies, strict=True))


def kernel_gfk(X, y, X_target, pair):
    """The kernel between rows that are not centred, as in the table."""
    root = GFK(n_components=100).fit(X, X_target=X_target).components_.T
    return nearest_neighbour(X @ root, y, X_target @ root)


def gfk(X, y, X_target, pair):
    method = GFK(n_components=100)
    X = method.fit_transform(X, X_target=X_target)
    return nearest_neighbour(X, y, method.transform(X_target))


def subspace_alignment(X, y, X_target, pair):
    method = SubspaceAlignment(n_components=20)
    X = method.fit_transform(X, X_target=X_target)
    return nearest_neighbour(X, y, method.transform(X_target))


# Of the programs behind the tables: 100 linear components, the MMD of norm one, a penalty of 0.1.
PROGRAM = {"n_components": 100, "regularization": 0.1, "normalize_mmd": True}
LABELS = {"classifier": UNIT_NEAREST_NEIGHBOUR, "random_state": 0}


def joint(method, **params):
    return mapped(method(**params, **PROGRAM, **LABELS), UNIT_NEAREST_NEIGHBOUR)


ROWS = [
    Row("1-NN", nearest_neighbour, published(65.94, 44.70), tolerance=0.01),
    Row("PCA", pca, published(66.22, 44.95), tolerance=0.01),
    Row("GFK, rows not centred", kernel_gfk, published(67.22, 46.45), tolerance=0.01),
    Row("GFK", gfk),
    Row("SubspaceAlignment, 20 axes", subspace_alignment),
    Row("TCA", mapped(TCA(**PROGRAM)), published(56.28, 51.05), tolerance=0.1),
    Row(
        "JDA, domains count as classes do",
        joint(JDA, marginal_weight=10),
        published(67.28, 59.65),
        tolerance=1.0,
    ),
    Row("JDA", joint(JDA)),
    Row("BDA, balance 0.5", joint(BDA, balance=0.5), published(69.78, 59.35), tolerance=1.0),
    Row("BDA", joint(BDA)),
    Row("W-BDA", joint(BDA, balance=1.0, weighted=True)),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    names = [row.name for row in ROWS]
    parser.add_argument("--methods", nargs="+", choices=names, default=names)
    chosen = parser.parse_args().methods
    domains = load_domains(Path(os.environ["SKDA_DATA"]))
    measure([row for row in ROWS if row.name in chosen], PAIRS, domains)


if __name__ == "__main__":
    main()
