"""Rows as a classifier sees them: the features that an estimator makes of them."""

from contextlib import nullcontext

import numpy as np
from scipy.sparse import issparse
from sklearn.pipeline import Pipeline

from skda._checks import check_table
from skda._naming import naming
from skda._sklearn_compat import check_array


def features_of(estimator, rows, name):
    """Return what a classifier decides by.

    That is the output of the last step's ``transform``, where it has one as deep estimators do;
    otherwise the output of the steps before it, or the rows themselves where there are none.

    Parameters
    ----------
    estimator : object
        A fitted classifier, or a pipeline that ends in one.

    rows : array-like
        Rows, as they are before the steps of a pipeline.

    Returns
    -------
    features : ndarray of shape (n_samples, n_features)
        Of float64.
    """
    last = _last_step(estimator)
    with naming(name, "rows as the estimator takes them"):
        if isinstance(estimator, Pipeline) and len(estimator) > 1:
            rows = estimator[:-1].transform(rows)
        rows = last.transform(rows) if hasattr(last, "transform") else rows
    return as_table(rows, name)


def past_steps(estimator, *tables, names):
    """Return a classifier and rows as it gets them, where they are numbers only then.

    Parameters
    ----------
    estimator : object
        A fitted classifier, or a pipeline that ends in one.

    *tables : array-likes
        Rows, as they are before the steps of a pipeline.

    names : sequence of str
        Of the parameters that they are, for messages.

    Returns
    -------
    estimator : object
        The last step of a pipeline, if a table holds other things than numbers.

    tables : list of array-likes
        What the steps before it make of them; otherwise all is as it was.
    """
    has_steps = isinstance(estimator, Pipeline) and len(estimator) > 1
    if not has_steps or all(_holds_numbers(rows) for rows in tables):
        return estimator, list(tables)
    transformed = []
    for rows, name in zip(tables, names, strict=True):
        with naming(name, "rows as the estimator takes them"):
            values = estimator[:-1].transform(rows)
        transformed.append(values.toarray() if issparse(values) else values)
    return estimator[-1], transformed


def _holds_numbers(rows):
    if hasattr(rows, "dtypes") and hasattr(rows, "columns"):  # of pandas, without a copy
        return all(getattr(dtype, "kind", "O") in "biuf" for dtype in rows.dtypes)
    dtype = getattr(rows, "dtype", None)
    return dtype is not None and getattr(dtype, "kind", "f") in "biuf"


def as_table(rows, name):
    """Return rows of numbers of any shape as a table.

    Parameters
    ----------
    rows : array-like of shape (n_samples, ...)
        Rows.

    Returns
    -------
    table : ndarray of shape (n_samples, n_features)
        Of float64.
    """
    with naming(name, "rows of numbers"):
        rows = check_array(rows, dtype=np.float64, allow_nd=True, input_name=name)
    return check_table(rows.reshape(len(rows), -1), name)


def source_statistics(estimator):
    """Return a context in which an adapted network sees rows as rows of the source.

    Parameters
    ----------
    estimator : object
        A fitted classifier, or a pipeline that ends in one. One without such a network is the
        same in this context.

    Returns
    -------
    context : context manager
        To enter once.
    """
    net = getattr(_last_step(estimator), "net_", None)
    return getattr(net, "source_statistics", nullcontext)()


def _last_step(estimator):
    return estimator[-1] if isinstance(estimator, Pipeline) else estimator
