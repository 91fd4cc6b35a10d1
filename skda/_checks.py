"""Tables, labels and domains as arrays, or an error that names the parameter."""

import warnings
from collections.abc import Mapping
from numbers import Integral, Number, Real
from typing import Any

import numpy as np
import torch
from scipy import sparse
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import check_classification_targets

from skda._callers import level_of_user
from skda._naming import naming, shortened
from skda._sklearn_compat import check_array, column_or_1d
from skda.exceptions import StackedLabelWarning

# Larger numbers have no square in float64.
_LARGEST = 1e150
TABLE = "a table of finite numbers, of shape (n_samples, n_features)"
LABELS = "labels of classes, of shape (n_samples,)"
_DOMAINS = "integers of shape (n_samples,), positive for source rows, negative for target rows"


def check_values(values: Any, name: str) -> None:
    """Raise for what NumPy would take for numbers, although some of it is hidden or has units.

    Parameters
    ----------
    values : object
        An argument of any type.

    name : str
        Of the parameter.

    Raises
    ------
    ValueError
        If values are masked, dates, complex, fields of records, or on no device.
    """
    if isinstance(values, torch.Tensor):
        if values.device.type == "meta":
            raise ValueError(f"{name} is a tensor of the device meta, which holds no values.")
        if values.layout != torch.strided:
            raise ValueError(f"{name} is a sparse tensor; pass a dense one: {name}.to_dense().")
        return
    is_list = isinstance(values, list | tuple)
    if any(map(np.ma.is_masked, values)) if _has_masks(values) else np.ma.is_masked(values):
        raise ValueError(
            f"{name} is a masked array; leave masked values out, or give {name}.filled(value)."
        )
    # Of a list of rows the first one says it.
    held: Any = getattr(values[0] if is_list and values else values, "dtype", None)
    kind = getattr(held, "kind", None)
    if kind in ("m", "M"):
        raise ValueError(f"{name} holds dates or durations, {held}; give numbers.")
    dtypes = {str(dtype) for dtype in dtypes_of(values)}
    if kind == "c" or any(dtype.startswith("complex") for dtype in dtypes):
        raise ValueError(
            f"{name}: Complex data not supported; give the real and the imaginary part as columns."
        )
    if kind == "V" and held.names:
        raise ValueError(
            f"{name} is an array of records with the fields {shortened(list(held.names))}; give "
            "numbers, as numpy.lib.recfunctions.structured_to_unstructured makes them."
        )
    if dates := {dtype for dtype in dtypes if _is_date(dtype)}:
        raise ValueError(
            f"{name} has columns of dates or durations, {shortened(', '.join(sorted(dates)))}; "
            "give numbers, such as years or seconds since a date."
        )


def _has_masks(rows):
    """Whether there are masked arrays in a list, which may be a long one of numbers."""
    is_list = isinstance(rows, list | tuple)
    return is_list and any(issubclass(kind, np.ma.MaskedArray) for kind in set(map(type, rows)))


def dtypes_of(values: Any) -> set:
    """Return the types of the columns of a data frame of any library."""
    dtypes = getattr(getattr(values, "schema", None), "types", None)  # of pyarrow
    if dtypes is None:
        dtypes = getattr(values, "dtypes", ())
    return set(dtypes) if hasattr(dtypes, "__iter__") else set()


def _is_date(dtype):
    return dtype.lower().startswith(("date", "time", "duration", "period"))


def as_array(values: Any, name: str) -> Any:
    """Return tensors as arrays, and anything else as it is unless it has hidden values.

    Parameters
    ----------
    values : object
        An argument.

    name : str
        Of the parameter.

    Returns
    -------
    values : object
        As scikit-learn takes it.

    Raises
    ------
    ValueError
        If values are as `check_values` says.
    """
    check_values(values, name)
    if isinstance(values, torch.Tensor):
        with naming(name, "a dense tensor that holds values"):
            values = values.detach().cpu()
            return (values.float() if values.dtype is torch.bfloat16 else values).numpy()
    return values


def count_rows(X: Any, name: str) -> int:
    """Return the number of rows of something that has some."""
    with naming(name, "rows, of a length"):
        return X.shape[0] if hasattr(X, "shape") else len(X)


def check_table(rows: Any, name: str, *, min_rows: int = 1) -> np.ndarray:
    """Return a table as float64.

    Parameters
    ----------
    rows : array-like of shape (n_samples, n_features)
        The table.

    name : str
        Of the parameter.

    min_rows : int, default=1
        How many rows there must be.

    Returns
    -------
    rows : ndarray of shape (n_samples, n_features), dtype=float64
        A copy only where it must be.

    Raises
    ------
    TypeError, ValueError
        If it is no table of numbers that can be squared, or has less rows.
    """
    rows = as_array(rows, name)
    with naming(name, TABLE):
        rows = check_array(rows, dtype=np.float64, ensure_min_samples=min_rows, input_name=name)
    check_size(rows, name)
    return rows


def check_size(rows: Any, name: str) -> None:
    """Raise if numbers of a table, dense or sparse, have no square in float64."""
    values = rows.data if sparse.issparse(rows) else rows
    largest = float(max(values.max(initial=0), -values.min(initial=0)))
    if largest > _LARGEST:
        raise ValueError(
            f"{name} holds numbers of size {largest:.1e}, whose squares are beyond float64; use "
            f"other units, of at most {_LARGEST:.0e}."
        )


def check_lengths(first_name: str, first: Any, name: str, values: Any) -> None:
    """Raise if two arrays are not about the same rows."""
    n_rows, n_values = count_rows(first, first_name), count_rows(values, name)
    if n_rows != n_values:
        what = "labels" if name.startswith("y") else "entries"
        raise ValueError(
            f"{name} has {n_values} {what} for {n_rows} rows of {first_name}; give one for each."
        )


def as_column(
    values: Any, name: str = "y", *, warn: bool = False, wanted: str = LABELS
) -> np.ndarray:
    """Return labels as an array of one dimension, some of which may be missing.

    Parameters
    ----------
    values : array-like of shape (n_samples,)
        Labels of any type. Numbers, text and None may stand side by side.

    name : str, default="y"
        Of the parameter.

    warn : bool, default=False
        Whether there is a warning if it is a column of a table.

    wanted : str, default="labels of classes, of shape (n_samples,)"
        What messages say that it must be.

    Returns
    -------
    values : ndarray of shape (n_samples,)
        Of objects if they are of several types.

    Raises
    ------
    TypeError, ValueError
        If it is no column of labels.
    """
    if values is None and name == "y":
        raise ValueError("This estimator requires y to be passed, but the target y is None.")
    values = as_array(values, name)
    with naming(name, wanted):
        array = values if hasattr(values, "shape") else _array_of(values)
        if array.shape == () or isinstance(values, Mapping):
            raise TypeError(f"got {_described(values)}.")
        values = column_or_1d(array, warn=warn)
        if values.dtype.kind not in "biufOSUT":
            raise TypeError(f"got {values.dtype}.")
    return values


def _described(value):
    """Return what a message says of something that has no entries."""
    is_plain = value is None or isinstance(value, str | bytes | Number)
    return shortened(repr(value), 80) if is_plain else f"one {type(value).__name__}"


def _array_of(labels):
    """Return labels as an array, of objects where NumPy would turn numbers into text."""
    array = np.asarray(labels)
    is_list = isinstance(labels, list | tuple) and array.dtype.kind in "US"
    if is_list and len({isinstance(label, str | bytes) for label in labels}) > 1:
        return np.array(labels, dtype=object)
    return array


def _is_none(label):
    """Whether it is None, or NA of pandas, which has no truth value."""
    return label is None or type(label).__name__ == "NAType"


def is_missing(labels: np.ndarray) -> np.ndarray:
    """Tell which labels are None, NA or NaN.

    Parameters
    ----------
    labels : ndarray of shape (n_samples,)
        Labels.

    Returns
    -------
    mask : ndarray of shape (n_samples,), dtype=bool
        True where there is no label.
    """
    if labels.dtype.kind == "f":
        return np.isnan(labels)
    if labels.dtype.kind != "O":
        return np.zeros(labels.shape, dtype=bool)
    return np.array([_is_none(label) or label != label for label in labels], dtype=bool)


def check_column(
    y: Any, name: str = "y", *, of_classes: bool = True, warn: bool = False
) -> np.ndarray:
    """Return labels as an array of one dimension and of one type.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels of any type.

    name : str, default="y"
        Of the parameter.

    of_classes : bool, default=True
        Whether numbers must be whole.

    warn : bool, default=False
        Whether there is a warning if it is a column of a table.

    Returns
    -------
    y : ndarray of shape (n_samples,)
        None of which is missing.

    Raises
    ------
    TypeError, ValueError
        If it is no column of labels, or if one is missing.
    """
    y = as_column(y, name, warn=warn)
    with naming(name, LABELS):
        if y.dtype.kind == "f":
            assert_all_finite(y, input_name=name)
        if is_missing(y).any():
            raise ValueError("a label is missing.")
        if y.dtype.kind == "O":
            y = _of_one_type(y)
        if of_classes:
            check_classification_targets(y)
    return y


def _of_one_type(labels):
    """Return objects that are numbers as such, and raise if some are and some are not."""
    values = labels.tolist()
    are_numbers = {isinstance(label, Real) for label in values}
    if len(are_numbers) > 1:
        held = {type(label).__name__ for label in values}
        raise TypeError(f"got {' beside '.join(sorted(held))}; give labels of one type.")
    return np.array(values) if are_numbers == {True} else labels


def check_stacked_labels(y: np.ndarray, is_source: np.ndarray) -> None:
    """Raise, or warn, if target rows stacked with the source's may count as rows of a class.

    Ensembles, one-vs-rest and their like encode y before they hand it on: a mark such as -1 becomes
    class 0 and all others move up by one, so that a column of every prediction is another class's.
    All target rows are then of one class, of which the source has no row. Others, such as
    calibration, keep y, and learn the mark as a class themselves, which cannot be seen from here.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Labels of the rows of all domains.

    is_source : ndarray of shape (n_samples,), dtype=bool
        Which rows are the source's.

    Raises
    ------
    ValueError
        If all of several target rows have one label, which is no source row's, nor -1, None or
        NaN.

    Warns
    -----
    StackedLabelWarning
        If all of several target rows have one label that is not None or NaN.
    """
    labels = y[~is_source]
    if len(labels) < 2 or is_missing(labels).any() or np.any(labels != labels[0]):
        return
    label = shortened(repr(labels[:1].tolist()[0]))
    if labels[0] == -1 or np.any(y[is_source] == labels[0]):
        warnings.warn(
            f"y holds {label} in every target row. Adaptation estimators ignore it, but a "
            "meta-estimator around them, or another step of a pipeline, takes these rows for "
            "examples of this class: mark them with NaN or None, as skda.stack_domains does, or "
            "pass the target rows as X_target=(Xt,).",
            StackedLabelWarning,
            stacklevel=level_of_user(),
        )
        return
    raise ValueError(
        f"y holds {label} in every target row and in no source row: it looks as if a "
        "meta-estimator, such as an ensemble, had taken a mark of unlabeled rows for a class and "
        "encoded it. Pass the source alone as X and y and the target rows as X_target=(Xt,), with "
        "metadata routing enabled. Without a meta-estimator, mark target rows with NaN or None."
    )


def check_domain_numbers(sample_domain: Any) -> np.ndarray:
    """Return the domain numbers of stacked rows.

    Parameters
    ----------
    sample_domain : array-like of shape (n_samples,)
        The numbers.

    Returns
    -------
    sample_domain : ndarray of shape (n_samples,)
        Finite numbers.

    Raises
    ------
    TypeError, ValueError
        If they are something else.
    """
    domains = as_column(sample_domain, "sample_domain", wanted=_DOMAINS)
    with naming("sample_domain", _DOMAINS):
        if domains.dtype.kind == "O":
            domains = _of_one_type(domains)
        if domains.dtype.kind not in "iuf" or not np.isfinite(domains).all():
            raise ValueError(f"got {shortened(domains[:5].tolist())}.")
    return domains


def as_float(number: Any) -> float:
    """Return a number; whole ones beyond float64, which ``float`` does not take, are infinite."""
    try:
        return float(number)
    except OverflowError:
        return np.inf if number > 0 else -np.inf


def check_finite(value: Any, names: str) -> Any:
    """Return a result, unless it is infinite or NaN."""
    if not np.isfinite(value).all():
        raise ValueError(
            f"{names}: the result is {value}, beyond float64; standardize the columns, or choose "
            "other settings."
        )
    return value


def check_domain(domain: Any, n_targets: int) -> Any:
    """Return whose rows are meant: ``"source"``, the number of a target, or None for the target.

    Parameters
    ----------
    domain : object
        What a user has given.

    n_targets : int
        Number of target domains.

    Returns
    -------
    domain : "source", int or None
        None is the target, of several targets their mixture.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    if isinstance(domain, str) and domain in ("source", "target"):
        return None if domain == "target" else domain
    is_number = isinstance(domain, Integral) and not isinstance(domain, bool)
    if is_number and 0 <= int(domain) < n_targets:
        return int(domain)
    numbers = f", or the number of a target domain, below {n_targets}" if n_targets else ""
    raise ValueError(f'domain must be "source" or "target"{numbers}; got {domain!r}.')
