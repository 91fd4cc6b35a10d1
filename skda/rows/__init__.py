"""Rows: what a user passes as X or X_target, in the one form that networks are fed from.

Tables (dense and sparse), images, series, texts, token ids, dicts of arrays, and the data sets of
torch all become an array, or an object that looks like one and reads rows when it is indexed.
Pictures themselves are understood in :mod:`skda.images`.
"""

from skda.rows._arrays import as_host_array, check_tensor
from skda.rows._batches import (
    as_batch,
    batch_size,
    forward_batch,
    join_batches,
    map_batch,
    take_batch,
)
from skda.rows._collect import collect_rows
from skda.rows._dicts import DictRows
from skda.rows._reader import DESCRIPTIONS, INPUTS, RowReader, Rows, as_sparse_rows
from skda.rows._sparse import SparseRows
from skda.rows._torch_data import (
    DatasetItems,
    DatasetRows,
    is_iterable_data,
    is_torch_data,
    iterate_chunks,
    labels_of,
)

__all__ = [
    "DESCRIPTIONS",
    "INPUTS",
    "DatasetItems",
    "DatasetRows",
    "DictRows",
    "RowReader",
    "Rows",
    "SparseRows",
    "as_batch",
    "as_host_array",
    "as_sparse_rows",
    "batch_size",
    "check_tensor",
    "collect_rows",
    "forward_batch",
    "is_iterable_data",
    "is_torch_data",
    "iterate_chunks",
    "join_batches",
    "labels_of",
    "map_batch",
    "take_batch",
]
