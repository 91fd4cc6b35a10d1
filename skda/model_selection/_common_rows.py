"""Rows of both domains in a space that belongs to none of the models that are compared in it."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import Pipeline

from skda._checks import count_rows
from skda._naming import naming
from skda._sklearn_compat import safe_indexing
from skda.target_accuracy import (
    Judged,
    Predictions,
    judged,
    neighbor_agreements,
    neighbors_of,
    smoothness,
    with_references,
    without_gaps,
)

_N_TREES = 50
# Distances in more dimensions say less and cost more; of more rows they say little more.
_N_COMPONENTS, _MAX_ROWS = 32, 2000
# Pixels of larger images are no place to look for neighbours in.
_MAX_COLUMNS = 4096


@dataclass(frozen=True)
class CommonRows:
    """Held-out source rows and rows of one target as points of one space.

    Parameters
    ----------
    tables : tuple of (ndarray or sparse matrix)
        Rows of the source and of the target before that, of shape (n_samples, n_features).

    scalings : list of (ndarray, ndarray)
        Points of source rows and of target rows, of shape (n_samples, n_dimensions): with columns
        scaled over both domains, and over each of them.

    codes : ndarray of shape (n_samples,)
        Class numbers of the source rows.

    chosen_source, chosen : ndarrays of shape (n_samples,) and (n_target_samples,)
        Which of the rows of the source and of the target these are.

    neighbors : ndarray of shape (n_target_samples, n_neighbors)
        Numbers of the target rows that are nearest to every target row.
    """

    tables: tuple[Any, Any]
    scalings: list[tuple[np.ndarray, np.ndarray]]
    codes: np.ndarray
    chosen_source: np.ndarray
    chosen: np.ndarray
    neighbors: np.ndarray

    @cached_property
    def source_smoothness(self) -> float:
        """How smooth the true labels of the source rows are, 0 or more."""
        return max(smoothness(self.codes, neighbors_of(self.scalings[0][0])), 0.0)

    def judges(self, target: np.ndarray, source: np.ndarray, seed: int) -> Predictions:
        """Return predictions for all rows of both domains, beside those of simple classifiers."""
        probabilities = target[self.chosen], source[self.chosen_source]
        predictions = Predictions(*probabilities, self.codes, np.ones(len(self.codes)))
        return with_references(predictions, *self.tables, seed)

    def judged(self, judges: Predictions, target: np.ndarray, source: np.ndarray) -> Judged | None:
        """Return how a model's predictions for all rows are judged; None without judges."""
        if not judges.references:
            return None
        probabilities = {"target": target[self.chosen], "source": source[self.chosen_source]}
        return judged(replace(judges, **probabilities))

    def agreements(self, labels: np.ndarray) -> np.ndarray:
        """Return of every target row the share of its neighbours that have its label."""
        return neighbor_agreements(labels, self.neighbors)

    def is_found_back(self, labels: np.ndarray) -> np.ndarray:
        """Return which source rows get their true label from a forest of the labelled target.

        In the scaling in which more do: a target that is only moved or stretched comes back in
        the second, one with other shares of classes in the first.
        """
        if (labels == labels[0]).all():
            return self.codes == labels[0]
        found = []
        for source, target in self.scalings:
            forest = RandomForestClassifier(_N_TREES, min_samples_leaf=2, random_state=0)
            found.append(forest.fit(target, labels).predict(source) == self.codes)
        return max(found, key=np.mean)


def common_rows(
    X: Any, codes: np.ndarray, rows: Any, fallback: Any, rng: np.random.RandomState
) -> CommonRows:
    """Return rows of both domains as points of one space.

    Rows of numbers are taken as they are, with scaled columns, and where these are more than 32
    as their principal components. Others, and images of more than 4096
    values, are what the fallback makes of them before it decides. At most 2000 rows of a
    domain are taken, drawn at random.

    Parameters
    ----------
    X : array-like
        Held-out source rows.

    codes : ndarray of shape (n_samples,)
        Their class numbers.

    rows : array-like
        Target rows.

    fallback : estimator
        The fitted fallback.

    rng : RandomState
        Draws rows.

    Returns
    -------
    rows : CommonRows
        The points.
    """
    source, chosen_source = _drawn(X, rng)
    target, chosen = _drawn(rows, rng)
    tables: list[Any] = [_as_numbers(part) for part in (source, target)]
    if any(table is None for table in tables):
        tables = [_decided_by(fallback, part) for part in (source, target)]
    tables = list(without_gaps(*tables))
    if all(issparse(table) and table.shape[1] <= _N_COMPONENTS for table in tables):
        tables = [table.toarray() for table in tables]  # few columns are what they are
    seed = rng.randint(2**31)
    scalings = [together(*tables, seed=seed), together(*map(_scaled, tables), seed=seed)]
    target = scalings[0][1]
    return CommonRows(
        (tables[0], tables[1]),
        scalings,
        codes[chosen_source],
        chosen_source,
        chosen,
        neighbors_of(target),
    )


def together(source: Any, target: Any, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return tables of both domains, scaled together and of at most 32 columns.

    Parameters
    ----------
    source, target : ndarrays or sparse matrices of shape (n_samples, n_features)
        The tables.

    seed : int
        Of the components.

    Returns
    -------
    source, target : ndarrays of shape (n_samples, n_dimensions)
        Points.
    """
    if issparse(source):
        both: Any = _stack(source, target)
        n_components = min(_N_COMPONENTS, both.shape[1] - 1)
        both = TruncatedSVD(n_components, random_state=seed).fit_transform(both)
        return both[: source.shape[0]], both[source.shape[0] :]
    both = _scaled(np.concatenate([source, target]))
    if both.shape[1] > _N_COMPONENTS:
        n_components = min(_N_COMPONENTS, len(both))
        both = PCA(n_components, random_state=seed).fit_transform(both)
    return both[: len(source)], both[len(source) :]


def _scaled(table):
    """Return a table whose columns have a mean of 0 and a spread of 1; sparse ones as they are."""
    if issparse(table):
        return table
    spread = table.std(axis=0)
    return (table - table.mean(axis=0)) / np.where(spread > 0, spread, 1)


def _stack(source, target):
    from scipy.sparse import vstack

    return vstack([source, target], format="csr")


def _drawn(rows, rng):
    """Return at most so many rows, and which they are."""
    n_rows = count_rows(rows, "X_target")
    if hasattr(rows, "tocsr"):
        rows = rows.tocsr()
    if n_rows <= _MAX_ROWS:
        return rows, np.arange(n_rows)
    chosen = np.sort(rng.choice(n_rows, _MAX_ROWS, replace=False))
    with naming("X_target", "rows that can be chosen by number"):
        return safe_indexing(rows, chosen), chosen


def _as_numbers(rows):
    """Return rows as a table of numbers, or None if they are no such."""
    if issparse(rows):
        return rows.astype(np.float64)
    kinds = {getattr(dtype, "kind", "O") for dtype in getattr(rows, "dtypes", ())}
    if kinds - set("biuf") or isinstance(rows, dict):
        return None
    try:
        values = np.asarray(rows)
    except ValueError:  # rows of several sizes
        return None
    if values.dtype.kind not in "biuf" or values.ndim < 2:
        return None
    table = values.reshape(len(values), -1)
    is_small = table.shape[1] <= _MAX_COLUMNS
    return table.astype(np.float64) if is_small and not np.isinf(table).any() else None


def _decided_by(estimator, rows):
    """Return what a classifier decides by: its features, or what the steps before it return."""
    estimator = getattr(estimator, "best_estimator_", estimator)
    if isinstance(estimator, Pipeline):
        last = estimator.steps[-1][1]
        rows = estimator[:-1].transform(rows) if len(estimator) > 1 else rows
        return _decided_by(last, rows)
    if hasattr(estimator, "transform"):
        rows = estimator.transform(rows)
    if issparse(rows):
        return rows.astype(np.float64)
    values = np.asarray(rows)
    if values.dtype.kind not in "biufO":
        raise ValueError(
            "X: the rows are no numbers, and the fallback, "
            f"{type(estimator).__name__}, shows no features of them; give a fallback with a "
            "transform, or a pipeline whose first steps make numbers of rows."
        )
    with naming("X", "rows that the fallback makes numbers of"):
        return values.astype(np.float64).reshape(len(values), -1)
