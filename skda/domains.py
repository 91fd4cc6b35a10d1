"""The one place where source and target domains are told apart and put together."""

from collections import Counter
from collections.abc import Mapping
from itertools import chain
from numbers import Real
from typing import Any

import numpy as np
from scipy import sparse
from torch.utils.data import DataLoader, Dataset

from skda._checks import (
    LABELS,
    as_column,
    as_float,
    check_domain_numbers,
    check_lengths,
    check_stacked_labels,
    count_rows,
    is_missing,
)
from skda._naming import naming, shortened
from skda._sklearn_compat import safe_indexing

# What skorch and torch call "no label": cross_entropy skips rows that carry it.
UNLABELED = -100


def _is_list_of(items, kind):
    return isinstance(items, list) and len(items) > 0 and all(map(kind, items))


def _is_hugging_face(item):
    return type(item).__module__.partition(".")[0] == "datasets"


def _is_domain(item):
    """Whether an item of a list is a table or a collection of images, and not a row."""
    if isinstance(item, Mapping | Dataset | DataLoader) or _is_hugging_face(item):
        return True
    shape = getattr(item, "shape", None)
    if shape is not None:
        # An array of 3 dimensions is an image, an array of text a list of paths.
        is_text = getattr(getattr(item, "dtype", None), "kind", None) in ("O", "U", "T")
        return len(shape) == 2 or len(shape) >= 4 or (len(shape) == 1 and is_text)
    return _is_list_of(item, lambda row: not isinstance(row, Real))


def name_of(name: str, number: int, targets: Any) -> str:
    """Return what messages call one of the target domains, or of what goes with them."""
    return name if len(targets) == 1 else f"{name}[{number}]"


def as_target_tuple(X_target: Any) -> tuple[Any, ...]:
    """Return target data as a tuple with one array per target domain.

    Parameters
    ----------
    X_target : array-like, tuple or list of array-likes, or None
        The rows of one target domain, or of several. A list whose items are tables, arrays of
        images, lists of paths, dicts or data sets holds domains; any other list holds rows.

    Returns
    -------
    targets : tuple
        Empty if `X_target` is None.

    Raises
    ------
    ValueError
        If the tuple, or one of its domains, holds no row.
    """
    if X_target is None:
        return ()
    holds_domains = isinstance(X_target, tuple) or _is_list_of(X_target, _is_domain)
    targets: tuple[Any, ...] = tuple(X_target) if holds_domains else (X_target,)
    if not targets:
        raise ValueError(
            "X_target is an empty tuple; pass one array per target domain, "
            "or None to train on the source alone."
        )
    for number, rows in enumerate(targets):
        has_rows = len(rows.shape) > 0 if hasattr(rows, "shape") else hasattr(rows, "__len__")
        name = name_of("X_target", number, targets)
        if has_rows and count_rows(rows, name) == 0:
            raise ValueError(
                f"{name} has 0 rows; pass at least one unlabeled row, "
                "or None to train on the source alone."
            )
    return targets


def split_domains(
    X: Any, y: Any, X_target: Any = None, sample_domain: Any = None, *, needs_y: bool = True
) -> tuple[Any, Any, tuple[Any, ...]]:
    """Separate source rows from target rows, in whichever form they were given.

    Parameters
    ----------
    X : array-like of shape (n_samples, ...)
        Source rows; with `sample_domain`, source and target rows stacked.

    y : array-like of shape (n_samples,)
        Labels; with `sample_domain`, those of target rows are ignored.

    X_target : array-like or tuple of array-likes, default=None
        Target rows.

    sample_domain : array-like of shape (n_samples,), default=None
        Positive for a source row, negative for a target row; each negative value is a target
        domain of its own.

    needs_y : bool, default=True
        Whether there must be labels; without, `y_source` is None if there is none for every row.

    Returns
    -------
    X_source, y_source : array-likes
        The labelled source.

    targets : tuple of array-likes
        One per target domain, empty without a target.

    Raises
    ------
    TypeError, ValueError
        If `sample_domain` or the labels beside it are not as described, or if target rows may
        have become rows of a class.
    """
    if sample_domain is None:
        return X, y, as_target_tuple(X_target)
    if X_target is not None:
        raise ValueError(
            "X_target and sample_domain were both given; they are two forms of the same thing: "
            "pass the target rows in X_target, or stack them into X and mark them in "
            "sample_domain."
        )
    sample_domain = check_domain_numbers(sample_domain)
    check_lengths("X", X, "sample_domain", sample_domain)
    if needs_y or (np.ndim(y) == 1 and len(y) == len(sample_domain)):
        y = as_column(y)
        check_lengths("X", X, "y", y)
    else:
        y = None
    if np.any(sample_domain == 0):
        raise ValueError(
            "sample_domain holds 0; use a positive number for source rows and a negative one for "
            "target rows."
        )
    is_source = sample_domain > 0
    if not is_source.any():
        raise ValueError("sample_domain marks no source row; give source rows a positive number.")
    if y is not None:
        check_stacked_labels(y, is_source)
    if sparse.issparse(X):
        X = X.tocsr()
    # Domains keep the order of their numbers' size: -1, -2, ...
    target_domains = np.unique(sample_domain[~is_source])[::-1]
    with naming("X", "rows that can be chosen by number"):
        targets = tuple(
            safe_indexing(X, np.flatnonzero(sample_domain == domain)) for domain in target_domains
        )
        source = safe_indexing(X, np.flatnonzero(is_source))
    return source, None if y is None else _without_marks(y, is_source), targets


def _without_marks(y, is_source):
    """Return the labels of the source, whole numbers again where NaN has made them floats."""
    labels = y[is_source]
    if y.dtype.kind != "f" or not np.isnan(y[~is_source]).any():
        return labels
    whole = labels.astype(np.int64) if np.isfinite(labels).all() else labels
    return whole if np.array_equal(whole, labels) else labels


def is_unlabeled(y: np.ndarray) -> np.ndarray:
    """Tell which labels mark an unlabeled row: -1, None or NaN.

    Parameters
    ----------
    y : ndarray of shape (n_samples,)
        Labels.

    Returns
    -------
    mask : ndarray of shape (n_samples,), dtype=bool
        True for an unlabeled row.
    """
    missing = is_missing(y)
    if y.dtype.kind == "O":
        known = np.flatnonzero(~missing)
        missing[known] = [label == -1 for label in y[known]]
    elif y.dtype.kind in "if":
        missing |= y == -1
    return missing


def encode_target_labels(
    y_target: Any, targets: Any, classes: np.ndarray
) -> tuple[np.ndarray, ...]:
    """Return the class numbers of partly labelled target rows, `UNLABELED` for the others.

    Parameters
    ----------
    y_target : array-like or tuple of array-likes
        Labels of the target rows, in the form of ``X_target``; -1, None or NaN for "no label".

    targets : tuple of array-likes
        The target domains.

    classes : ndarray of shape (n_classes,)
        The sorted classes of the source.

    Returns
    -------
    codes : tuple of ndarrays of int64
        One per target domain.

    Raises
    ------
    ValueError
        If lengths differ, or if a label is not one of `classes`.
    """
    y_target = as_label_tuple(y_target)
    if not targets:
        raise ValueError("y_target was given without X_target; pass the rows that it labels.")
    if len(y_target) != len(targets):
        raise ValueError(
            f"y_target has {len(y_target)} arrays, X_target has {len(targets)}; "
            "pass one array of labels per target domain."
        )
    codes = []
    for number, (labels, rows) in enumerate(zip(y_target, targets, strict=True)):
        name, rows_name = name_of("y_target", number, targets), name_of("X_target", number, targets)
        labels, n_rows = as_column(labels, name), count_rows(rows, rows_name)
        if len(labels) != n_rows:
            raise ValueError(
                f"{name} has {len(labels)} labels for {n_rows} rows of X_target; "
                "mark unlabeled rows with -1, None or NaN."
            )
        unlabeled = is_unlabeled(labels)
        if classes.dtype.kind in "if" and -1 in classes and np.any(unlabeled):
            raise ValueError(
                f"{name} uses -1, None or NaN for unlabeled rows, but -1 is a class of y too; "
                "recode y, for example as 0 and 1."
            )
        known = labels[~unlabeled]
        with naming(name, LABELS):
            strangers = [label for label in dict.fromkeys(known.tolist()) if label not in classes]
        if strangers:
            raise ValueError(
                f"{name} holds {shortened(strangers[:5])}, which are no classes of y "
                f"({classes[:5].tolist()!r}, ...); use the labels of y, or -1 for unlabeled rows."
            )
        code = np.full(len(labels), UNLABELED, dtype=np.int64)
        code[~unlabeled] = np.searchsorted(classes, known.astype(classes.dtype))
        codes.append(code)
    return tuple(codes)


def as_label_tuple(y_target: Any) -> tuple[Any, ...]:
    """Return labels of target rows as a tuple with one array per target domain."""

    def holds_labels(item):
        return hasattr(item, "__len__") and not isinstance(item, str)

    if isinstance(y_target, tuple):
        return y_target
    return tuple(y_target) if _is_list_of(y_target, holds_labels) else (y_target,)


def list_target_classes(y_target: Any, classes: np.ndarray) -> np.ndarray:
    """Return the classes of the labelled ones among partly labelled target rows.

    Parameters
    ----------
    y_target : array-like or tuple of array-likes
        Labels of the target rows; -1, None or NaN for "no label".

    classes : ndarray of shape (n_classes,)
        The classes of the source.

    Returns
    -------
    target_classes : ndarray of shape (n_target_classes,)
        Sorted; empty if no row is labelled.

    Raises
    ------
    ValueError
        If the labels of one domain are numbers and those of the other are not, or if they are
        numbers that are not whole.
    """
    known = set()
    for labels in as_label_tuple(y_target):
        labels = as_column(labels, "y_target")
        with naming("y_target", LABELS):
            known.update(labels[~is_unlabeled(labels)].tolist())
    are_numbers = classes.dtype.kind in "biuf"
    strangers = [
        label
        for label in known
        if isinstance(label, Real) != are_numbers
        or (are_numbers and not as_float(label).is_integer())
    ]
    if strangers:
        raise ValueError(
            f"y_target holds {strangers[:5]!r}, y holds {classes[:5].tolist()!r}; use whole "
            "numbers in both or text in both."
        )
    target_classes = np.array(sorted(known))
    if classes.dtype.kind in "iu":  # beside NaN they were floats
        target_classes = target_classes.astype(np.int64)
    return target_classes


def stack_domains(X: Any, y: Any, X_target: Any) -> tuple[Any, np.ndarray, np.ndarray]:
    """Stack source and target rows into the ``X, y, sample_domain`` form.

    For code that can carry only one X: pass the result to the ``fit`` of an adaptation estimator,
    with :class:`skda.model_selection.SourceSplit` as the splitter of a search.

    Parameters
    ----------
    X : array-like or DataFrame of shape (n_samples, ...)
        Source rows.

    y : array-like of shape (n_samples,)
        Source labels.

    X_target : array-like or tuple of array-likes
        Unlabeled target rows, of one target domain or of several.

    Returns
    -------
    X : ndarray or DataFrame of shape (n_samples + n_target_samples, ...)
        Source rows, then target rows.

    y : ndarray of shape (n_samples + n_target_samples,)
        Labels; a target row holds NaN (numbers, which become floats), or None in an array of
        objects. Adaptation estimators ignore what stands there, give whole numbers back their
        type, and search with a splitter of :mod:`skda.model_selection`. All others must not take
        a target row for one of a class: they raise for a label that is NaN.

    sample_domain : ndarray of shape (n_samples + n_target_samples,), dtype=int64
        1 for a source row, -1, -2, ... for the rows of the first, second, ... target domain.

    Raises
    ------
    ValueError
        If there is no target row, or if lengths or widths do not match.

    Examples
    --------
    >>> from skda import stack_domains
    >>> X, y, sample_domain = stack_domains([[0.0], [1.0]], [0, 1], [[5.0], [6.0], [7.0]])
    >>> X.shape, y.tolist(), sample_domain.tolist()
    ((5, 1), [0.0, 1.0, nan, nan, nan], [1, 1, -1, -1, -1])
    """
    targets = as_target_tuple(X_target)
    if not targets:
        raise ValueError("X_target is None; stack_domains needs target rows to stack.")
    y = as_column(y)
    check_lengths("X", X, "y", y)
    sizes = [len(y), *(count_rows(rows, "X_target") for rows in targets)]
    numbers = [1, *range(-1, -len(targets) - 1, -1)]
    blocks: list[Any] = [X, *targets]
    if all(hasattr(block, "iloc") for block in blocks):
        import pandas as pd

        if any(set(block.columns) != set(X.columns) for block in targets):
            raise ValueError("X_target has other columns than X; give both the same columns.")
        stacked = pd.concat(blocks, ignore_index=True)
    elif any(sparse.issparse(block) for block in blocks):
        stacked = sparse.vstack(blocks, format="csr")
    else:
        arrays = [np.asarray(block) for block in blocks]
        shape = arrays[0].shape[1:]
        other = [array.shape[1:] for array in arrays if array.shape[1:] != shape]
        if other:
            raise ValueError(
                f"X_target has rows of shape {other[0]}, X of {shape}; both must have the same "
                "features."
            )
        stacked = np.concatenate(arrays)
    y_stacked = np.array(list(chain(y.tolist(), [None] * sum(sizes[1:]))), dtype=object)
    if y.dtype.kind in "iuf" and np.array_equal(y.astype(np.float64).astype(y.dtype), y):
        y_stacked = y_stacked.astype(np.float64)
    return stacked, y_stacked, np.repeat(np.array(numbers, dtype=np.int64), sizes)


def check_column_names(rows: Any, expected: Any, name: str) -> None:
    """Raise if a table of the target has other columns than the source, or in another order.

    Parameters
    ----------
    rows : object
        Rows of the target; only what has ``columns`` is looked at.

    expected : ndarray of str or None
        The columns of the source; None if it has no names.

    name : str
        Of the parameter, for the message.

    Raises
    ------
    ValueError
        If the names differ.
    """
    if expected is None or not hasattr(rows, "columns"):
        return
    columns, expected = column_names(rows), np.asarray(expected).tolist()
    if columns == expected:
        return
    held, wanted = set(columns), set(expected)
    lacking = [column for column in expected if column not in held]
    more = [column for column in columns if column not in wanted]
    twice = [column for column, count in Counter(columns).items() if count > 1]
    differences = [
        f"{what} {_listed(found)}"
        for what, found in (("lacks", lacking), ("has also", more), ("has twice", twice))
        if found
    ]
    if not differences:
        place = next(k for k, column in enumerate(columns) if column != expected[k])
        raise ValueError(
            f"{name} has the columns of X in another order: column {place} is "
            f"{_listed([columns[place]])} and not {_listed([expected[place]])}; reorder them."
        )
    raise ValueError(
        f"{name} has other columns than X: it {' and '.join(differences)}; give both the same "
        "columns in the same order."
    )


def column_names(rows: Any) -> list:
    """Return the names of the columns of a data frame, none of anything else."""
    # A table of pyarrow has its data under the other name.
    names = getattr(rows, "column_names", None)
    return list(getattr(rows, "columns", ()) if names is None else names)


def _listed(columns):
    """Return the first names of columns, and how many there are beside them."""
    more = f" and {len(columns) - 5} more" if len(columns) > 5 else ""
    return ", ".join(shortened(repr(column), 40) for column in columns[:5]) + more
