"""Rows of two domains as named columns of numbers and of categories."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.preprocessing import StandardScaler

from skda._checks import as_array, check_size
from skda._columns import (
    as_numbers,
    as_texts,
    column_values,
    holds_text,
    warn_of_stray_texts,
)
from skda._naming import naming, shortened
from skda.domains import check_column_names, column_names

# A one-hot column of a rare level tells a classifier nothing.
_MOST_LEVELS = 20
# Pictures are compared by the means of that many parts of each of their last two axes.
_PARTS = 4
# Columns of a sparse table that are looked at, those with most entries.
MOST_SPARSE_COLUMNS = 300
ROWS = (
    "a table, a data frame, a sparse matrix or an array of pictures or series; or give an "
    "fitted estimator with transform, such as a DeepFeatureExtractor, which makes a table of them"
)


@dataclass
class Table:
    """Rows of one domain.

    Parameters
    ----------
    names : list of str
        Of the columns of numbers, then of the categories.

    numbers : ndarray of shape (n_samples, n_numbers)
        With NaN where a value is missing.

    codes : ndarray of shape (n_samples, n_categories)
        Numbers of levels, -1 where a value is missing.

    levels : list of list
        Of every column of categories, most frequent first.

    n_columns : int
        How many columns the rows have, of which some may not be looked at.
    """

    names: list
    numbers: np.ndarray
    codes: np.ndarray
    levels: list
    n_columns: int

    def __len__(self):
        return len(self.numbers)

    def take(self, rows: np.ndarray) -> "Table":
        """Return some of the rows."""
        return replace(self, numbers=self.numbers[rows], codes=self.codes[rows])

    def missing(self) -> np.ndarray:
        """Return where values are missing, of shape (n_samples, n_columns)."""
        return np.hstack([np.isnan(self.numbers), self.codes < 0])


def read_tables(X: Any, X_target: Any, name: str, wanted: str = ROWS) -> tuple[Table, Table]:
    """Return the rows of both domains with the same columns.

    Parameters
    ----------
    X, X_target : array-like
        Tables, data frames, sparse matrices or arrays of pictures.

    name : str
        Of the parameter that holds the target rows.

    wanted : str, optional
        What rows must be, for messages.

    Returns
    -------
    source, target : Table
        A column of which some value in either is text is one of categories in both. Columns that
        have names in one alone are taken by position.

    Raises
    ------
    TypeError, ValueError
        If they are none of these, or have other columns than each other.
    """
    if sparse.issparse(X) or sparse.issparse(X_target):
        return _read_sparse(X, X_target, name)
    check_column_names(X_target, column_names(X) or None, name)
    source, target = _columns(X, "X", wanted), _columns(X_target, name, wanted)
    if bool(column_names(X)) != bool(column_names(X_target)) and len(source) == len(target):
        named = source if column_names(X) else target
        source, target = (dict(zip(named, part.values(), strict=True)) for part in (source, target))
    if list(source) != list(target):
        raise ValueError(
            f"{name} has {len(target)} columns, X has {len(source)}; compare rows of the same "
            "features."
        )
    is_text = {key: holds_text(source[key]) or holds_text(target[key]) for key in source}
    for part, columns in (("X", source), (name, target)):
        if all(is_text[key] and _is_all_different(column) for key, column in columns.items()):
            raise ValueError(
                f"{part}: the column {next(iter(columns))} holds another text in every row, which "
                f"as categories tell nothing. For paths of pictures, and for texts, give {wanted}."
            )
        for key, column in columns.items():
            if is_text[key]:
                warn_of_stray_texts(column, key, part)
    return _join(source, is_text, target, name)


def _is_all_different(column):
    texts = [text for text in as_texts(column) if text is not None]
    return len(texts) > 1 and len(set(texts)) == len(texts)


def _join(source, is_text, target, name):
    names = [key for key in source if not is_text[key]]
    texts = [key for key in source if is_text[key]]
    levels = [_levels(source[key], target[key]) for key in texts]
    tables = []
    for part, columns in (("X", source), (name, target)):
        n_rows = len(next(iter(columns.values())))
        numbers = np.empty((n_rows, len(names)))
        for number, key in enumerate(names):
            numbers[:, number] = as_numbers(columns[key])
        if np.isinf(numbers).any():
            raise ValueError(f"{part} holds infinite numbers; give NaN where a value is missing.")
        check_size(np.nan_to_num(numbers), part)
        codes = np.full((n_rows, len(texts)), -1)
        for number, (key, known) in enumerate(zip(texts, levels, strict=True)):
            numbers_of: dict = {level: code for code, level in enumerate(known)}
            codes[:, number] = [numbers_of.get(level, -1) for level in as_texts(columns[key])]
        tables.append(Table([*names, *texts], numbers, codes, levels, len(source)))
    return tables[0], tables[1]


def _levels(source, target):
    values = [level for column in (source, target) for level in as_texts(column) if level]
    levels, counts = np.unique(values, return_counts=True) if values else ([], [])
    return [str(levels[number]) for number in np.argsort(-np.asarray(counts), kind="stable")]


def _columns(X, name, wanted):
    """Return the columns of rows by name."""
    X = as_array(X, name)
    if keys := column_names(X):
        with naming(name, wanted):
            columns = {str(key): column_values(X, key) for key in keys}
        if len(columns) < len(keys):
            raise ValueError(f"{name} has several columns of one name; rename them.")
        return columns
    with naming(name, wanted):
        rows = np.asarray(X)
        if rows.ndim < 2 or (rows.ndim > 2 and rows.dtype.kind not in "buif"):
            raise ValueError(f"got {shortened(repr(X), 80)}.")
        if rows.ndim > 2:
            return _regions(rows.astype(np.float64))
        if not rows.shape[1]:
            raise ValueError("there are no columns.")
        return {f"column {k}": rows[:, k] for k in range(rows.shape[1])}


def _regions(rows):
    """Return means of parts of pictures or series, and of their channels."""
    *_, height, width = rows.shape
    flat = rows.reshape(len(rows), -1, height, width)
    columns = {}
    for top, bottom in _edges(height):
        for left, right in _edges(width):
            part = flat[:, :, top:bottom, left:right]
            columns[f"[{top}:{bottom}, {left}:{right}]"] = part.mean(axis=(1, 2, 3))
    if 1 < flat.shape[1] <= _PARTS:
        for channel in range(flat.shape[1]):
            columns[f"channel {channel}"] = flat[:, channel].mean(axis=(1, 2))
    return columns | {"contrast": flat.std(axis=(1, 2, 3))}


def _edges(length):
    marks = np.linspace(0, length, min(_PARTS, length) + 1).astype(int)
    return list(zip(marks[:-1].tolist(), marks[1:].tolist(), strict=True))


def _read_sparse(X, X_target, name):
    with naming("X and " + name, "sparse or dense tables of the same columns"):
        source: Any = sparse.csc_matrix(X)
        target: Any = sparse.csc_matrix(X_target)
        if source.shape[1] != target.shape[1]:
            raise ValueError(f"they have {source.shape[1]} and {target.shape[1]} columns.")
    entries = source.getnnz(axis=0) + target.getnnz(axis=0)
    # The order says nothing of the domains, which keeps the tests honest.
    chosen = np.sort(np.argsort(-entries, kind="stable")[:MOST_SPARSE_COLUMNS])
    tables = []
    for part, rows in (("X", source), (name, target)):
        numbers = rows[:, chosen].toarray().astype(np.float64)
        check_size(np.nan_to_num(numbers), part)
        codes = np.empty((len(numbers), 0), dtype=int)
        names = [f"column {k}" for k in chosen]
        tables.append(Table(names, numbers, codes, [], source.shape[1]))
    return tables[0], tables[1]


def encode(*tables: Table) -> list[np.ndarray]:
    """Return tables as numbers for a classifier, which are not missing.

    Parameters
    ----------
    *tables : Table
        With the same columns.

    Returns
    -------
    encoded : list of ndarray of shape (n_samples, n_encoded)
        Columns of numbers with a mean of 0 and a variance of 1 over all rows, where 0 stands for a
        missing value; 1 where a level is the row's, or a value is missing.
    """
    numbers = np.vstack([table.numbers for table in tables])
    missing = np.vstack([table.missing() for table in tables])
    codes = np.vstack([table.codes for table in tables])
    has_values = ~np.isnan(numbers).all(axis=0)
    scaled = np.zeros_like(numbers)
    if has_values.any():
        scaled[:, has_values] = StandardScaler().fit_transform(numbers[:, has_values])
    parts = [np.nan_to_num(scaled), missing[:, missing.any(axis=0)]]
    for column, levels in zip(codes.T, tables[0].levels, strict=True):
        parts.append(column[:, None] == np.arange(min(len(levels), _MOST_LEVELS)))
    ends = np.cumsum([len(table) for table in tables])[:-1]
    return np.split(np.hstack(parts).astype(np.float64), ends)
