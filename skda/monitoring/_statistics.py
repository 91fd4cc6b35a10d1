"""Numbers of a row that are watched: columns or features, predictions, how sure they are."""

from typing import Any

import numpy as np
from scipy import sparse
from sklearn.neighbors import NearestNeighbors

from skda._checks import as_array, count_rows
from skda._columns import (
    as_numbers,
    as_texts,
    column_values,
    holds_text,
    warn_of_stray_texts,
)
from skda._naming import naming, shortened
from skda.domains import check_column_names, column_names
from skda.label_shift import call_last_step, predict_domain

ROWS = "rows as the estimator takes them: a table, a data frame, a sparse matrix or images"
# More would share the evidence that an alarm needs among too many.
_MOST_COLUMNS = 20
_N_NEIGHBORS = 3
_PREDICTS = ("predict_proba", "decision_function")
GROUPS = ("features", "shares", "confidence")


class NearestRows:
    """How far rows are from the nearest ones of the reference.

    The index is no part of what is pickled or saved, and made again: it is no array.

    Parameters
    ----------
    points : ndarray of shape (n_rows, n_columns)
        Rows of the reference.
    """

    def __init__(self, points: np.ndarray):
        self.points = points

    def __getstate__(self):
        return {"points": self.points}

    def mean_distances(self, rows: np.ndarray) -> np.ndarray:
        """Return the mean distance of every row to the three nearest ones."""
        if not hasattr(self, "_index"):
            n_neighbors = min(_N_NEIGHBORS, len(self.points))
            self._index = NearestNeighbors(n_neighbors=n_neighbors).fit(self.points)
        return self._index.kneighbors(rows)[0].mean(axis=1)


class Statistics:
    """What of rows is watched, as the first half of a reference says.

    Parameters
    ----------
    estimator : object or None
        As of the monitor.

    rows : array-like
        The first half; columns are scaled, turned and coded by it.

    reference : array-like
        Both halves: which columns hold text.

    domain : "source", "target" or int
        That the estimator is used in.

    n_targets : int
        How many target domains it tells apart.

    Attributes
    ----------
    names, groups : list of str
        Of every statistic.
    """

    def __init__(self, estimator: Any, rows: Any, reference: Any, domain: Any, n_targets: int):
        self.estimator = estimator
        self.place_ = domain, n_targets
        self.column_names_ = column_names(rows) or None
        self.is_classifier_ = any(hasattr(estimator, name) for name in _PREDICTS)
        self.has_features_ = hasattr(estimator, "transform")
        columns = self._columns(rows, "reference")
        self.levels_ = self._learned_levels(columns, reference)
        table = self._coded(columns, "reference")
        self.n_columns_ = table.shape[1]
        self.mean_ = np.array([_moment(column, np.mean) for column in table.T])
        spread = np.array([_moment(column, np.std) for column in table.T])
        self.scale_ = np.where(spread > 0, spread, 1.0)
        scaled = self._scaled(table)
        self.nearest_ = NearestRows(scaled)
        self.axes_ = None
        if self.n_columns_ > _MOST_COLUMNS:
            self.axes_ = np.linalg.svd(scaled, full_matrices=False)[2][:_MOST_COLUMNS].T
        self.classes_ = self._watched_classes(rows)
        self._name()

    def _watched_classes(self, rows):
        """Return the numbers of the classes that are watched, the most frequent ones."""
        if not self.is_classifier_:
            return np.empty(0, dtype=int)
        shares = predict_domain(self.estimator, rows, "reference", *self.place_).mean(axis=0)
        if len(shares) == 2:
            return np.array([1])
        return np.sort(np.argsort(-shares, kind="stable")[:_MOST_COLUMNS])

    def _name(self):
        if self.axes_ is not None:
            names = [f"component {k}" for k in range(self.axes_.shape[1])]
        elif self.column_names_ and not self.has_features_:
            names = [f"column {name}" for name in self.column_names_]
        else:
            what = "feature" if self.has_features_ else "column"
            names = [f"{what} {k}" for k in range(self.n_columns_)]
        names.append("distance to the reference")
        self.groups = ["features"] * len(names)
        if self.is_classifier_:
            labels = np.asarray(self.estimator.classes_)[self.classes_]
            names += [f"probability of {label!s}" for label in labels]
            self.groups += ["shares"] * len(labels)
            names.append("confidence")
            self.groups.append("confidence")
        elif hasattr(self.estimator, "predict"):
            names.append("prediction")
            self.groups.append("shares")
        self.names = names

    def __call__(self, rows: Any, name: str) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the statistics of rows, and the probabilities of their classes.

        Parameters
        ----------
        rows : array-like
            Rows.

        name : str
            Of the parameter that holds them.

        Returns
        -------
        statistics : ndarray of shape (n_rows, n_statistics)
            With NaN where a value of a column is missing.

        probabilities : ndarray of shape (n_rows, n_classes) or None
            None without a classifier.
        """
        if count_rows(rows, name) == 0:
            raise ValueError(f"{name} has no rows; give at least one.")
        check_column_names(rows, self.column_names_, name)
        table = self._coded(self._columns(rows, name), name)
        self._check_width(table.shape[1], self.n_columns_, name)
        scaled = self._scaled(table)
        shown = table if self.axes_ is None else scaled @ self.axes_
        parts = [shown, self.nearest_.mean_distances(scaled)[:, None]]
        probabilities = None
        if self.is_classifier_:
            probabilities = predict_domain(self.estimator, rows, name, *self.place_)
            parts += [probabilities[:, self.classes_], probabilities.max(axis=1)[:, None]]
        elif hasattr(self.estimator, "predict"):
            predictions = call_last_step(self.estimator, "predict", rows, name, *self.place_)
            with naming(name, ROWS):
                predictions = np.asarray(predictions, dtype=np.float64)
            parts.append(predictions.reshape(len(table), -1)[:, :1])
        return np.hstack(parts), probabilities

    def _check_width(self, n_columns, expected, name):
        if n_columns != expected:
            raise ValueError(
                f"{name} has {n_columns} columns, the reference has {expected}; give rows of the "
                "same features."
            )

    def _scaled(self, table):
        # 0 is the mean: a missing value is neither far nor near. Infinite ones are unseen levels.
        return np.clip(np.nan_to_num((table - self.mean_) / self.scale_), -1e6, 1e6)

    def _columns(self, rows, name):
        """Return an array of numbers, or a list of the columns, of rows or of their features."""
        if self.has_features_:
            rows = call_last_step(self.estimator, "transform", rows, name, *self.place_)
        rows = as_array(rows, name)
        if keys := column_names(rows):
            return [column_values(rows, key) for key in keys]
        with naming(name, ROWS):
            array = np.asarray(rows.toarray() if sparse.issparse(rows) else rows)
            if array.ndim < 2 or 0 in array.shape[1:]:
                raise ValueError(f"got {shortened(repr(rows), 80)}.")
            array = array.reshape(len(array), -1)
        return array.astype(np.float64) if array.dtype.kind in "buif" else list(array.T)

    def _learned_levels(self, columns, reference):
        """Return the levels of each column of text, None of others; empty if all are numbers."""
        if self.has_features_ and isinstance(columns, np.ndarray):
            return []
        # A rare text may be in one half alone: which columns hold text is asked of both.
        whole = self._columns(reference, "reference")
        if isinstance(whole, np.ndarray):
            return []
        are_text = [holds_text(column) for column in whole]
        for number, column in enumerate(whole):
            if are_text[number]:
                key = self.column_names_[number] if self.column_names_ else number
                warn_of_stray_texts(column, key, "reference")
        return [_levels(*pair) for pair in zip(_listed(columns), are_text, strict=True)]

    def _coded(self, columns, name):
        """Return columns as a table of numbers."""
        if isinstance(columns, np.ndarray) and not self.levels_:
            return columns
        columns = _listed(columns)
        levels = self.levels_ or [None] * len(columns)  # of an array of numbers
        self._check_width(len(columns), len(levels), name)
        with naming(name, "a table of which columns hold numbers or text as in the reference"):
            coded = [_code(*pair) for pair in zip(columns, levels, strict=True)]
        return np.stack(coded, axis=1)


def _listed(columns):
    return list(columns.T) if isinstance(columns, np.ndarray) else columns


def _moment(column, function):
    known = column[np.isfinite(column)]
    return function(known) if len(known) else 0.0


def _levels(column, is_text):
    """Return numbers of the levels of a column of text, most frequent first; None of others."""
    if not is_text:
        return None
    levels, counts = np.unique(
        [text for text in as_texts(column) if text is not None], return_counts=True
    )
    order = np.argsort(-counts, kind="stable")
    return {str(levels[place]): float(number) for number, place in enumerate(order)}


def _code(column, levels):
    if levels is None:
        return as_numbers(column)
    # A level that the reference lacks is beyond all others.
    known = {None: np.nan, **levels}
    return np.array([known.get(text, np.inf) for text in as_texts(column)])
