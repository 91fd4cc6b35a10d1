"""Rows as a classifier sees them: the features that an estimator makes of them."""

from contextlib import nullcontext

import numpy as np
from sklearn.pipeline import Pipeline

from skda._sklearn_compat import check_array


def features_of(estimator, rows):
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
    if isinstance(estimator, Pipeline) and len(estimator) > 1:
        rows = estimator[:-1].transform(rows)
    last = _last_step(estimator)
    return as_table(last.transform(rows) if hasattr(last, "transform") else rows)


def as_table(rows):
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
    rows = check_array(rows, dtype=np.float64, allow_nd=True, estimator="a scorer")
    return rows.reshape(len(rows), -1)


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
