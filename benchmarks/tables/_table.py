"""Rows of published tables, and how they are measured again."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

# Programs of the authors of JDA and BDA bring rows to unit norm before they label them.
UNIT_NEAREST_NEIGHBOUR = make_pipeline(Normalizer(), KNeighborsClassifier(1))


@dataclass
class Row:
    """A method in a table of accuracies in per cent."""

    name: str
    # (source rows, source labels, target rows, (source, target)) -> labels of the target rows
    predict: Callable
    published: dict = field(default_factory=dict)  # (source, target) -> per cent
    tolerance: float = np.inf  # points, for every pair but the `loose` ones
    average_tolerance: float = np.inf  # points, for the average over all pairs
    loose: tuple = ()


def nearest_neighbour(X, y, X_target, pair=None):
    """The label of the nearest source row."""
    return KNeighborsClassifier(1).fit(X, y).predict(X_target)


def pca(X, y, X_target, pair):
    """One principal component analysis of both domains, then the nearest neighbour."""
    axes = PCA(100, svd_solver="full").fit(np.vstack([X, X_target]))
    return nearest_neighbour(axes.transform(X), y, axes.transform(X_target))


def mapped(transformer, classifier=None):
    """Return the way of a row: a transformer of both domains, then the nearest neighbour."""
    classifier = KNeighborsClassifier(1) if classifier is None else classifier

    def predict(X, y, X_target, pair):
        X_new = transformer.fit_transform(X, y, X_target=X_target)
        return classifier.fit(X_new, y).predict(transformer.transform(X_target))

    return predict


def measure(rows, pairs, domains):
    """Print every row, and check it against what was published.

    Parameters
    ----------
    rows : list of Row
        The methods.

    pairs : list of tuples of str
        Names of the source and of the target.

    domains : dict of str to (ndarray, ndarray)
        Rows and labels.

    Returns
    -------
    averages : dict of str to float
        The average accuracy of every method.
    """
    averages = {}
    failures = []
    for row in rows:
        print(f"{row.name:32}{'published':>10}{'measured':>10}{'difference':>12}")
        measured, differences = [], []
        for source, target in pairs:
            (X, y), (X_target, y_target) = domains[source], domains[target]
            predictions = row.predict(X, y, X_target, (source, target))
            measured.append(100 * np.mean(predictions == y_target))
            published = row.published.get((source, target), np.nan)
            differences.append(measured[-1] - published)
            show(f"    {source} -> {target}", published, measured[-1])
            if abs(differences[-1]) > row.tolerance and (source, target) not in row.loose:
                failures.append(f"{row.name}, {source} -> {target}: off by {differences[-1]:.2f}")
        averages[row.name] = np.mean(measured)
        show("    average", averages[row.name] - np.mean(differences), averages[row.name])
        if abs(np.mean(differences)) > row.average_tolerance:
            failures.append(f"{row.name}, average: off by {np.mean(differences):.2f}")
    assert not failures, "\n".join(failures)
    return averages


def show(label, published, measured):
    values = (published, measured, measured - published)
    cells = ("" if np.isnan(value) else f"{value:.2f}" for value in values)
    print("{:32}{:>10}{:>10}{:>12}".format(label, *cells), flush=True)
