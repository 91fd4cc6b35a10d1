"""Data sets and loaders of torch, and those of Hugging Face, as rows and labels."""

import math
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from torch.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    TensorDataset,
    default_collate,
)

from skda._checks import check_values
from skda._threads import set_own_threads

_LABEL_COLUMNS = ("label", "labels", "target")


def is_torch_data(X: Any) -> bool:
    """Whether X is a data set or loader of torch, or a data set of Hugging Face."""
    return isinstance(X, Dataset | DataLoader) or _is_hugging_face(X)


def is_iterable_data(X: Any) -> bool:
    """Whether X is a data set whose rows can only be gone through in order."""
    data = X.dataset if isinstance(X, DataLoader) else X
    return isinstance(data, IterableDataset) or type(data).__name__ == "IterableDataset"


def _is_hugging_face(X):
    return type(X).__module__.partition(".")[0] == "datasets" and hasattr(X, "features")


def open_data(X: Any, name: str = "X") -> Any:
    """Return what holds the rows of a data set, without its labels.

    Parameters
    ----------
    X : torch.utils.data.Dataset, DataLoader or datasets.Dataset
        With rows, or pairs of a row and a label, as items.

    name : str, default="X"
        Of the parameter, for messages.

    Returns
    -------
    rows : tensor, dict, list of str, DatasetItems or DatasetRows
        Tensors, tokens and texts that are in memory, or what reads items when they are needed.

    Raises
    ------
    TypeError
        If rows have no numbers, or if a loader makes batches in a way of its own.

    ValueError
        If there is no row.
    """
    if isinstance(X, DataLoader):
        if X.collate_fn is not default_collate and not _is_default_collate(X.collate_fn):
            raise TypeError(
                f"{name} is a DataLoader with a collate_fn of its own, whose batches are made in "
                "another way than here; pass its data set, with the same done in its items."
            )
        _check_sampler(X, name)
        X = X.dataset
    if is_iterable_data(X):
        raise TypeError(
            f"{name} is a {type(X).__name__}, whose rows come in one order only; training draws "
            "them at random and many times: pass a data set with __len__ and __getitem__. "
            "predict and transform take it as it is."
        )
    if not hasattr(X, "__len__") or not hasattr(X, "__getitem__"):
        raise TypeError(
            f"{name} is a {type(X).__name__} without __len__ and __getitem__; give it both, so "
            "that rows can be drawn at random."
        )
    if len(X) == 0:
        raise ValueError(f"{name} is a {type(X).__name__} with 0 rows; pass at least one.")
    if _is_hugging_face(X):
        return _open_hugging_face(X, name)
    tensors = _tensors_of(X)
    if tensors is not None:
        return tensors[0]
    return _items_or_rows(DatasetItems(X, name=name))


def _items_or_rows(items):
    """Return pictures as they are, and arrays of numbers as rows."""
    first, name = items[0], items.name
    if isinstance(first, torch.Tensor | np.ndarray | float | int | list):
        first = torch.as_tensor(first)
        # Whole numbers are pixels, which are still to be scaled or preprocessed.
        is_small = first.dtype in (torch.uint8, torch.uint16)
        is_whole = not first.is_floating_point()
        is_picture = (is_small and first.ndim >= 2) or (is_whole and first.ndim == 3)
        return items if is_picture else DatasetRows(items, first, name)
    if isinstance(first, Mapping):
        raise TypeError(
            f"{name} has dicts with {sorted(map(str, first))} as items; pass a dict of arrays, one "
            "per input of the network, or a data set whose items are rows."
        )
    return items


def _check_sampler(loader, name):
    """Raise unless a loader draws every row of its data set once."""
    sampler = loader.sampler
    is_whole = isinstance(sampler, SequentialSampler) or (
        isinstance(sampler, RandomSampler)
        and not sampler.replacement
        and sampler.num_samples == len(loader.dataset)
    )
    if is_iterable_data(loader) or (is_whole and type(loader.batch_sampler) is BatchSampler):
        return
    raise TypeError(
        f"{name} is a DataLoader with a sampler of its own ({type(sampler).__name__}), which would "
        "be passed over here; pass the rows that it draws as a data set, "
        "torch.utils.data.Subset(data, indices)."
    )


def _is_default_collate(function):
    return getattr(function, "__module__", "") == "torch.utils.data._utils.collate"


def _tensors_of(X):
    """The tensors of a TensorDataset, or of a subset of one; None for other data sets."""
    if _is_plain(X, TensorDataset):
        return X.tensors
    if _is_plain(X, Subset):
        tensors = _tensors_of(X.dataset)
        if tensors is not None:
            rows = torch.as_tensor(np.asarray(X.indices))
            return tuple(tensor[rows] for tensor in tensors)
    return None


def _is_plain(X, kind):
    """Whether X is of a class of torch, and gives items as that class does."""
    return isinstance(X, kind) and type(X).__getitem__ is kind.__getitem__


def _open_hugging_face(X, name):
    kinds = {column: type(feature).__name__ for column, feature in X.features.items()}
    rest = [c for c in kinds if c not in _LABEL_COLUMNS and kinds[c] != "ClassLabel"]
    images = [column for column in rest if kinds[column] == "Image"]
    is_changed = X.format["type"] == "custom"  # by a function that with_format would put aside
    if len(images) == 1 or (is_changed and len(rest) == 1):
        return _items_or_rows(DatasetItems(X, (images or rest)[0], name=name))
    if is_changed:
        raise TypeError(
            f"{name} is a data set with a transform and the columns {list(kinds)}; keep one column "
            "beside the labels with X.select_columns([...])."
        )
    if "input_ids" in rest:
        names = ("input_ids", "attention_mask", "token_type_ids", "position_ids")
        return {c: np.asarray(X.with_format("numpy")[c][:]) for c in rest if c in names}
    texts = [column for column in rest if getattr(X.features[column], "dtype", "") == "string"]
    if len(texts) == 1:
        return list(X[texts[0]])
    if len(rest) == 1:
        return np.asarray(X.with_format("numpy")[rest[0]][:])
    raise TypeError(
        f"{name} is a data set with the columns {list(kinds)}, of which no single one is an image "
        "or a text; keep one with X.select_columns([...])."
    )


def labels_of(X: Any) -> np.ndarray:
    """Return the labels that a data set holds.

    Parameters
    ----------
    X : torch.utils.data.Dataset, DataLoader or datasets.Dataset
        With pairs of a row and a label as items.

    Returns
    -------
    y : ndarray of shape (n_samples,)
        From ``targets``, ``labels``, the second tensor or a column of labels where there is one,
        and from the items otherwise, which are all read for it.

    Raises
    ------
    ValueError
        If items have no label.

    Examples
    --------
    >>> import torch
    >>> from torch.utils.data import Subset, TensorDataset
    >>> from skda.rows import labels_of
    >>> data = TensorDataset(torch.zeros(3, 2), torch.tensor([0, 1, 0]))
    >>> labels_of(Subset(data, [1, 2])).tolist()
    [1, 0]
    """
    if is_iterable_data(X):
        raise TypeError(
            "y is None, but the rows of X come in one order only, and its labels would be gone "
            "when they are read; pass y."
        )
    if isinstance(X, DataLoader):
        _check_sampler(X, "X")
        X = X.dataset
    if _is_hugging_face(X):
        kinds = {column: type(feature).__name__ for column, feature in X.features.items()}
        columns = [c for c in kinds if kinds[c] == "ClassLabel" or c in _LABEL_COLUMNS]
        if len(columns) != 1:
            raise _no_labels(f"its columns are {list(kinds)}")
        return np.asarray(X[columns[0]][:])
    if _is_plain(X, Subset):
        return labels_of(X.dataset)[np.asarray(X.indices)]
    if _is_plain(X, ConcatDataset):
        return np.concatenate([labels_of(part) for part in X.datasets])
    if _is_plain(X, TensorDataset):
        if len(X.tensors) != 2:
            raise _no_labels(f"it holds {len(X.tensors)} tensors")
        return X.tensors[1].detach().cpu().numpy()
    first, last = X[0], X[len(X) - 1]
    if not isinstance(first, tuple | list) or len(first) != 2:
        raise _no_labels(f"its items are of type {type(first).__name__} and no pairs")
    for attribute in ("targets", "labels", "y"):
        values: Any = getattr(X, attribute, None)
        # They may be changed on their way into the items.
        is_known = hasattr(values, "__len__") and len(values) == len(X)
        if is_known and getattr(X, "target_transform", None) is None:
            ends = _plain(values[0]), _plain(values[-1])
            if ends == (_plain(first[1]), _plain(last[1])):
                return np.asarray(values)
    return np.asarray([_plain(X[number][1]) for number in range(len(X))])


def _no_labels(why):
    return ValueError(
        f"y is None, so that labels come from the data set X, but it has none ({why}); pass y, or "
        "a data set whose items are pairs of a row and a label."
    )


def _plain(label):
    return label.item() if isinstance(label, torch.Tensor) else label


def _row_of(item, name):
    """Return the row of an item, which may be a pair of a row and a label."""
    is_pair = len(item) == 2 if isinstance(item, tuple | list) else False
    if isinstance(item, tuple) and not is_pair and len(item) != 1:
        raise TypeError(
            f"{name} is a tuple of {len(item)}; items are rows, or pairs of a row and a label. For "
            "several inputs pass a dict of arrays."
        )
    # A list of two numbers is a row.
    is_listed = is_pair and isinstance(item, list) and not isinstance(item[0], int | float)
    return item[0] if isinstance(item, tuple) or is_listed else item


def _column_of(item):
    """Return what of an item by names is the row."""
    if not isinstance(item, Mapping):
        return item
    names = [name for name in item if name not in _LABEL_COLUMNS]
    if len(names) != 1:
        raise TypeError(
            f"X has items with the entries {list(item)}, of which no single one is the row; keep "
            "one, with X.select_columns([...])."
        )
    return item[names[0]]


class DatasetItems:
    """The rows of a data set without their labels, read when they are indexed.

    Parameters
    ----------
    dataset : object
        With ``len`` and items by number.

    column : str, default=None
        What of an item is the row; None is the first of a pair, or the item itself.

    name : str, default="X"
        Of the parameter, for messages.
    """

    def __init__(self, dataset: Any, column: str | None = None, *, name: str = "X"):
        self.dataset, self.column, self.name = dataset, column, name
        self.arrange: Any = None  # what finds the channels of arrays of pixels

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, number: int) -> Any:
        item = self.dataset[int(number)]
        if self.column is not None:
            item = item[self.column]
            if isinstance(item, Mapping):  # an image that is not decoded
                item = item["bytes"] if item.get("bytes") is not None else item["path"]
        else:
            item = _row_of(item, f"{self.name}[{number}]")
        if self.arrange is not None and isinstance(item, torch.Tensor | np.ndarray):
            return self.arrange(np.asarray(item)[None])[0]
        return item


class DatasetRows:
    """Rows of a data set whose items are tensors or arrays, in float32 and read when indexed.

    Parameters
    ----------
    items : DatasetItems
        The rows, one by one.

    first : torch.Tensor
        The first of them, whose shape all must have.

    name : str, default="X"
        Of the parameter, for messages.

    n_jobs : int, default=1
        Threads that read items.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, items: DatasetItems, first: torch.Tensor, name: str = "X", n_jobs: int = 1):
        self.items, self.name, self.n_jobs = items, name, n_jobs
        self._item_shape, self._is_float = tuple(first.shape), first.is_floating_point()
        self.shape = (len(items), *first.shape)
        self.ndim = len(self.shape)
        self._arrange: Any = None

    def arrange(self, function: Any) -> None:
        """Let a function of a batch find the channels of images."""
        first = function(self[:1])
        self._arrange, self.shape, self.ndim = function, (len(self), *first.shape[1:]), first.ndim

    def __len__(self) -> int:
        return len(self.items)

    @property
    def nbytes(self) -> int:
        """What all rows would take in memory."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __getitem__(self, rows: Any) -> torch.Tensor:
        """Read rows, by a slice or an array of int.

        Raises
        ------
        ValueError
            If a row has another shape than the first, or holds NaN or infinity.
        """
        numbers = np.arange(len(self))[rows].tolist()
        batch = torch.empty((len(numbers), *self._item_shape))
        if self.n_jobs == 1:
            for place, number in enumerate(numbers):
                batch[place] = self._read(number)
        else:
            threads = {"initializer": set_own_threads, "initargs": (1,)}  # not some for each
            with ThreadPoolExecutor(self.n_jobs, "skda-read", **threads) as pool:
                for place, row in enumerate(pool.map(self._read, numbers)):
                    batch[place] = row
        return batch if self._arrange is None else self._arrange(batch)

    def _read(self, number):
        row = self.items[number]
        check_values(row, f"{self.name}[{number}]")
        row = torch.as_tensor(row).detach()
        if row.is_floating_point() != self._is_float:
            raise ValueError(
                f"{self.name}[{number}] holds {row.dtype}, but the first row is of another kind; "
                "give all rows of the data set one type."
            )
        row = row.float()
        if row.shape != self._item_shape:
            raise ValueError(
                f"{self.name}[{number}] has shape {tuple(row.shape)}, but the first row has "
                f"{self._item_shape}; give all rows of the data set one shape."
            )
        if not torch.isfinite(row).all():
            raise ValueError(f"{self.name}[{number}] contains NaN or infinity.")
        return row


def iterate_chunks(X: Any, size: int) -> Iterator[list]:
    """Yield the rows of an iterable data set, so many at a time, without their labels.

    Parameters
    ----------
    X : IterableDataset or DataLoader of one
        The data.

    size : int
        Rows of a chunk.

    Yields
    ------
    rows : list
        Items, or the first of every pair.
    """
    items = X.dataset if isinstance(X, DataLoader) else X
    chunk = []
    for item in items:
        chunk.append(_row_of(_column_of(item), "X[...]"))
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
