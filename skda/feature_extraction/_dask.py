"""Rows of dask collections, block by block."""

import numpy as np


def is_dask(X):
    """Whether X is a dask array, bag or other collection."""
    return hasattr(X, "__dask_graph__")


def first_rows(X):
    """Return the first row of a dask array or bag as X would hold it in memory.

    Parameters
    ----------
    X : dask.array.Array or dask.bag.Bag
        Rows.

    Returns
    -------
    rows : ndarray of shape (1, ...), or list
        One row.

    Raises
    ------
    TypeError
        If X is another collection.
    """
    return X[:1].compute() if _is_array(X) else list(X.take(1))


def transform_blocks(extractor, X, n_features, domain):
    """Return the features of a dask array or bag as a dask array.

    Parameters
    ----------
    extractor : DeepFeatureExtractor
        A fitted one.

    X : dask.array.Array of shape (n_samples, ...) or dask.bag.Bag of images
        Rows.

    n_features : int
        Number of features.

    domain : {"source", "target"} or int
        Whose rows they are.

    Returns
    -------
    features : dask.array.Array of shape (n_samples, n_features)
        Of float32; the number of rows of a bag is not known before it is computed.
    """
    import dask.array as da
    from dask.delayed import delayed

    # One object in the graph, not one per block.
    extractor = delayed(extractor, pure=False, traverse=False)
    if _is_array(X):
        X = X.rechunk({axis: -1 for axis in range(1, X.ndim)})
        blocks, n_rows = X.to_delayed().ravel(), X.chunks[0]
    else:
        blocks, n_rows = X.to_delayed(), [np.nan] * X.npartitions
    features = [
        da.from_delayed(
            delayed(_transform)(extractor, block, n_features, domain), (n, n_features), np.float32
        )
        for block, n in zip(blocks, n_rows, strict=True)
    ]
    return da.concatenate(features, allow_unknown_chunksizes=True)


def _transform(extractor, rows, n_features, domain):
    rows = rows if hasattr(rows, "shape") else list(rows)
    if not len(rows):
        return np.empty((0, n_features), np.float32)
    return extractor.transform(rows, domain=domain)


def _is_array(X):
    kind = type(X).__name__
    if kind not in ("Array", "Bag"):
        raise TypeError(
            f"X is a dask {kind}; pass a dask array or bag, such as "
            "X.to_dask_array(lengths=True), or X['path'].to_bag() for images."
        )
    return kind == "Array"
