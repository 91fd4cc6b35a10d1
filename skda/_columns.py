"""Columns of tables as numbers or as text, in one form for all tables that are compared."""

import re
import warnings
from typing import Any

import numpy as np

from skda._callers import level_of_user
from skda._checks import is_missing

# How a whole number is written where others of its column are missing or broken: 1.0, which
# another table has as 1. A code such as 01 stays as it is.
_WHOLE_FLOAT = re.compile(r"(0|-?[1-9]\d*)\.0")
# A column of numbers has at most that part of other texts, and more kinds of numbers than codes.
_MOST_STRAY, _FEW_CODES = 0.1, 10


def column_values(rows: Any, key: Any) -> np.ndarray:
    """Return a column of a data frame of any library, as it is there."""
    column = rows.column(key) if hasattr(rows, "column_names") else rows[key]
    return np.asarray(column.to_numpy())


def holds_text(column: np.ndarray) -> bool:
    """Tell whether some value of a column is text, or something else that is no number.

    Tables that are compared must be asked together: where one has text in a column, the other's
    numbers are codes.
    """
    if column.dtype.kind in "buif":
        return False
    if any(isinstance(value, str) for value in column):
        return True
    try:
        as_numbers(column)
    except (TypeError, ValueError):
        return True
    return False


def warn_of_stray_texts(column: np.ndarray, key: Any, name: str) -> None:
    """Warn of a column of numbers that a few texts make one of categories.

    Parameters
    ----------
    column : ndarray of shape (n_samples,)
        Of which some value is text.

    key : object
        What the column is called.

    name : str
        Of the parameter that holds the rows.

    Warns
    -----
    UserWarning
        If nine of ten values are numbers, or texts of such, and of more than ten kinds. Codes of
        fewer kinds may be meant as categories.
    """
    values = column.astype(object)
    values = values[~is_missing(values)].tolist()
    numbers, texts = set(), {}
    for value in values:
        try:
            numbers.add(float(value))
        except (TypeError, ValueError):
            texts[str(value)] = texts.get(str(value), 0) + 1
            if sum(texts.values()) > _MOST_STRAY * len(values):
                return
    if not texts or len(numbers) <= _FEW_CODES:
        return
    told = ", ".join(repr(text) for text in list(texts)[:3])
    warnings.warn(
        f"{name}: the column {key} holds numbers and {sum(texts.values())} text(s) such as "
        f"{told}, so that every number is a category of its own; give NaN for these, as "
        "pandas.to_numeric(column, errors='coerce') does, to have it compared as numbers.",
        UserWarning,
        stacklevel=level_of_user(),
    )


def as_numbers(column: np.ndarray) -> np.ndarray:
    """Return a column as float64, NaN where a value is missing.

    Raises
    ------
    TypeError, ValueError
        If a value is no number.
    """
    if column.dtype.kind in "buif":
        return column.astype(np.float64)
    column = column.astype(object)
    return np.where(is_missing(column), np.nan, column).astype(np.float64)


def as_texts(column: np.ndarray) -> list[str | None]:
    """Return a column as text, None where a value is missing or empty.

    Whole numbers are written without a point: a column of them has floats as soon as one value is
    missing, and the levels 1 and 1.0 would seem to be two.
    """
    column = column.astype(object)
    missing = is_missing(column)
    return [None if gone else _text(value) for value, gone in zip(column, missing, strict=True)]


def _text(value):
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    text = str(value)
    is_whole = _WHOLE_FLOAT.fullmatch(text) is not None
    return (text[:-2] if is_whole else text) or None
