"""What X is: a table, pictures, series, texts, or inputs by name."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from scipy import sparse

from skda._checks import check_values
from skda._sklearn_compat import check_array
from skda.images import (
    ImageReading,
    ImageRows,
    arrange_images,
    as_image_list,
    expected_range,
    warn_of_range,
)
from skda.rows._arrays import as_host_array, check_tensor, unflatten
from skda.rows._dicts import DictRows
from skda.rows._sparse import SparseRows
from skda.rows._torch_data import DatasetItems, DatasetRows, is_torch_data, open_data
from skda.text import TextPreprocess, TextRows, as_text_list, check_texts

_AS_IT_IS = ImageReading()
INPUTS = ("auto", "table", "image", "series", "text", "tokens")
# Series are long and have few channels; (n, 28, 28) is a stack of grey pictures.
_MOST_IN_UNIT_RANGE = 2.0
_MOST_CHANNELS, _LEAST_LENGTH_BY_CHANNELS = 16, 4


@dataclass(frozen=True)
class Rows:
    """Rows in the one form that training and extraction take.

    Attributes
    ----------
    kind : {"table", "image", "series", "text", "tokens", "dict"}
        What a row is.

    values : object
        An array, or an object with ``len``, ``shape`` and ``dtype`` that reads rows when it is
        indexed. Dense tables are as they were given: scikit-learn checks them.

    n_features : int or None
        Number of values of a row; 1 for a list of images or texts, None for a dense table.
    """

    kind: str
    values: Any
    n_features: int | None

    @property
    def row_shape(self) -> Any:
        """Shape of a row as the network takes it, by name for a dict."""
        if self.kind == "dict":
            return self.values.row_shapes
        shape, is_uint8 = self.values.shape, self.values.dtype in (np.uint8, torch.uint8)
        if self.kind == "image" and is_uint8:
            return (shape[3], *shape[1:3])
        return tuple(shape[1:])


@dataclass(frozen=True, kw_only=True)
class RowReader:
    """From what a user passes to rows; the one place that knows what X can be.

    Parameters
    ----------
    input : {"auto", "table", "image", "series", "text", "tokens"}, default="auto"
        As documented by the estimators.

    image_layout : {"auto", "channels_first", "channels_last"}, default="auto"
        Of arrays of images.

    image_shape : tuple of int, default=None
        Of images that come as flat rows.

    reading : ImageReading, default=ImageReading()
        How pictures are read.

    preprocess : callable, default=None
        From a PIL image to the input of the network.

    text_preprocess : TextPreprocess, default=None
        From texts to the input of the network, if it takes texts.

    takes : {"image", "text"} or None, default=None
        What the network is known to take.

    expects : (float, float), default=None
        Values that pictures reach the network with, where `preprocess` does not say it.

    seen : (float, float), default=None
        Smallest and largest value of float images in fit.

    keeps_device : bool, default=False
        Whether tensors stay tensors, on their device.

    n_jobs : int, default=1
        Threads that read the items of data sets.

    Examples
    --------
    >>> import numpy as np
    >>> from skda.rows import RowReader
    >>> RowReader().read(np.zeros((5, 3, 100))).kind
    'series'
    >>> RowReader().read(np.zeros((5, 8, 8))).row_shape
    (1, 8, 8)
    """

    input: str = "auto"
    image_layout: str = "auto"
    image_shape: tuple[int, ...] | None = None
    reading: ImageReading = _AS_IT_IS
    preprocess: Any = None
    text_preprocess: TextPreprocess | None = None
    takes: str | None = None
    expects: tuple[float, float] | None = None
    seen: tuple[float, float] | None = None
    keeps_device: bool = False
    n_jobs: int = 1

    def read(self, X: Any, name: str = "X") -> Rows:
        """Return rows.

        Parameters
        ----------
        X : object
            What the user passes.

        name : str, default="X"
            Of the parameter, for messages.

        Returns
        -------
        rows : Rows
            Of any kind.

        Raises
        ------
        ValueError
            If X is of no kind, or of several, or not of the kind that `input` names.

        TypeError
            If X can hold no rows.
        """
        rows = self._read(self._opened(X, name), name)
        if self.input not in ("auto", rows.kind):
            raise ValueError(
                f"{name} holds {DESCRIPTIONS[rows.kind]}, but input={self.input!r}; pass "
                f"{DESCRIPTIONS[self.input]}, or input='auto'."
            )
        return rows

    def _opened(self, X, name):
        """Return X out of the containers of other libraries."""
        if X is None or isinstance(X, int | float | complex | set | frozenset):
            raise _no_rows(X, name)
        if hasattr(X, "__next__") or getattr(X, "shape", None) == ():
            raise _no_rows(X, name)
        check_values(X, name)
        if is_torch_data(X):
            return open_data(X, name)
        if hasattr(X, "__dask_graph__") and X.__dask_graph__() is not None:
            raise TypeError(
                f"{name} is a {type(X).__module__.partition('.')[0]} {type(X).__name__} that is "
                f"computed later; pass {name}.compute(), or extract features block by block with "
                "DeepFeatureExtractor."
            )
        if type(X).__module__.partition(".")[0] == "xarray":
            return X.to_numpy()
        return _column_as_list(X)

    def _read(self, X, name):
        if sparse.issparse(X):  # some are mappings too
            return Rows("table", X, None)
        if isinstance(X, Mapping):
            return Rows("dict", DictRows(X, name), len(X))
        if isinstance(X, DatasetItems):
            X.arrange = partial(self._arranged, name=f"{name}[...]")
            return Rows("image", self._images(X, name), 1)
        if isinstance(X, DatasetRows):
            return self._dataset_rows(X, name)
        if isinstance(X, torch.Tensor) and not self._is_tokens:
            # Images are looked at where they are arranged: whole numbers are not floats there.
            X = check_tensor(X, name) if X.ndim < 3 and not self.image_shape else X.detach()
            X = X if self.keeps_device else _as_array_of_host(X)
        items = None if self._is_tokens else self._items(X, name)
        if items is not None:
            return self._read_items(items, name)
        return self._read_numbers(X, name)

    def _dataset_rows(self, X, name):
        X.n_jobs, n_values = self.n_jobs, int(np.prod(X.shape[1:]))
        kind = self._kind_of(X.shape, X.dtype, name)
        if kind == "image":
            X.arrange(partial(self._arranged, name=f"{name}[...]"))
            self._warn_of_range(X[:1], name)
        return Rows(kind, X, n_values)

    @property
    def _is_tokens(self):
        return self.input == "tokens"

    @property
    def _is_text(self):
        return self.input == "text" or (self.input == "auto" and self.takes == "text")

    def _items(self, X, name):
        """Return texts, or images and what they are read from, as a list; None if X holds none."""
        return as_text_list(X, name) if self._is_text else as_image_list(X, name)

    def _read_items(self, items, name):
        if not self._is_text:
            _check_not_text(items[0], name)
            return Rows("image", self._images(items, name), 1)
        if self.text_preprocess is None:
            raise ValueError(
                f"{name} holds texts (input='text'), but the network takes no text; name one as "
                "module, such as 'transformers/NAME' or 'sentence-transformers/NAME', or turn "
                "texts into a table first, with TfidfVectorizer."
            )
        return Rows("text", TextRows(check_texts(items, name), self.text_preprocess), 1)

    def _read_numbers(self, X, name):
        is_frame = hasattr(X, "columns") or hasattr(X, "column_names")
        if is_frame and self.image_shape is None and not self._is_tokens:
            return Rows("table", X, None)  # for scikit-learn
        if not hasattr(X, "shape") or not hasattr(X, "dtype"):
            X = self._as_array(X, name)
            if isinstance(X, Rows):
                return X
        shape = tuple(np.shape(X))
        if self._is_tokens:
            return Rows("tokens", _token_ids(X, name), shape[1] if len(shape) == 2 else 1)
        if len(shape) == 2 and self.image_shape is not None:
            return self._image_array(unflatten(X, self.image_shape, name), name)
        if len(shape) < 3:
            return Rows("table", X, None)
        kind = self._kind_of(shape, X.dtype, name)
        if kind == "image":
            return self._image_array(X, name)
        return Rows("series", _as_series(X, name), int(np.prod(shape[1:])))

    def _as_array(self, X, name):
        """Return nested lists as an array, and arrays of different sizes as pictures."""
        if isinstance(X, list | tuple) and len(X) and isinstance(X[0], torch.Tensor):
            return self._stacked(X, name)
        try:
            array = np.asarray(X)
        except ValueError as error:  # numpy's, for a ragged list
            is_picture = all(isinstance(x, np.ndarray) and x.ndim in (2, 3) for x in X)
            if is_picture:
                return Rows("image", self._images(list(X), name), 1)
            raise ValueError(
                f"{name} is a list of rows of different shapes; give all rows one shape, or pass a "
                f"list of PIL images, paths or arrays of pixels. ({error})"
            ) from error
        if not array.shape:
            raise _no_rows(X, name)
        return array

    def _stacked(self, X, name):
        """Return a list of tensors as one, in memory of the host."""
        check_values(X[0], f"{name}[0]")
        shapes = {tuple(getattr(row, "shape", ())) for row in X}
        if len(shapes) > 1:
            raise ValueError(
                f"{name} is a list of tensors of different shapes, {sorted(shapes)[:3]}; give all "
                "rows one shape."
            )
        return _as_array_of_host(torch.stack([torch.as_tensor(row).detach() for row in X]))

    def _kind_of(self, shape, dtype, name):
        """Return what rows of numbers are, by the shape and type of their array."""
        n_dims = len(shape)
        if n_dims == 2:
            return "table"
        if n_dims == 4 or (n_dims == 3 and (self.input == "image" or self.takes == "image")):
            return "image"
        if n_dims != 3:
            raise ValueError(
                f"{name} has {n_dims} dimensions; pass a table of shape (n_samples, n_features), "
                "series of shape (n_samples, n_channels, length), or images of shape (n_samples, "
                "n_channels, height, width), (n_samples, height, width, n_channels) or (n_samples, "
                "height, width)."
            )
        if self.input == "series":
            return "series"
        first, second = shape[1:]
        if first == second or str(dtype).rpartition(".")[2] in ("uint8", "uint16"):
            return "image"
        if first <= _MOST_CHANNELS and second >= _LEAST_LENGTH_BY_CHANNELS * first:
            return "series"
        raise ValueError(
            f"{name} of shape {tuple(shape)} can be series of {first} channels and length {second} "
            f"or grey images of {first} x {second} pixels; say which with input='series' or "
            "input='image'. (Series with time first need a transpose: X.transpose(0, 2, 1).)"
        )

    def _image_array(self, X, name):
        given = int(np.prod(tuple(X.shape)[1:]))
        X = self._arranged(X, name)
        if X.dtype in (np.uint8, torch.uint8):
            if self.preprocess is not None:
                return Rows("image", self._images(as_host_array(X), name), given)
            self._warn_of_pixels(name)
        else:
            self._warn_of_range(X, name)
        return Rows("image", X, given)

    def _arranged(self, X, name):
        """Return images in one layout, and those of 16 bits in 8."""
        value_range = self.reading.value_range
        if value_range is not None and str(X.dtype).rpartition(".")[2] == "uint16":
            black, white = value_range
            scaled = (np.asarray(X, dtype=np.float32) - black) * (255 / (white - black))
            X = np.rint(scaled.clip(0, 255)).astype(np.uint8)
        return arrange_images(
            X, name, layout=self.image_layout, n_channels=self.reading.n_channels or None
        )

    def _warn_of_range(self, X, name):
        expects = self.expects if self.preprocess is None else expected_range(self.preprocess)
        warn_of_range(X, expects, name)

    def _warn_of_pixels(self, name):
        """Warn of pixels, which come in [0, 1], where fit had floats of another range."""
        if self.seen is not None and self.seen[1] > _MOST_IN_UNIT_RANGE:
            warnings.warn(
                f"{name} holds pixels, which come to the network in [0, 1], but fit had floats "
                f"from {self.seen[0]:.4g} to {self.seen[1]:.4g}; pass pixels, or floats of one "
                "range, to both.",
                stacklevel=2,
            )

    def _images(self, items, name):
        if self.preprocess is None:
            self._warn_of_pixels(name)
        return ImageRows(items, self.preprocess, reading=self.reading, name=name)


DESCRIPTIONS = {
    "table": "a table",
    "image": "images",
    "series": "series",
    "text": "texts",
    "tokens": "token ids",
    "dict": "inputs by name",
}


def _no_rows(X, name):
    is_plain = isinstance(X, int | float | complex | None)
    given = repr(X) if is_plain else f"one {type(X).__name__}"
    return ValueError(
        f"{name} is {given}; pass rows: a 2D array or data frame, arrays of images or series, or "
        f"a list of paths, PIL images or texts. A single row needs brackets: [{name}]."
    )


def _column_as_list(X):
    """Return a column of strings, bytes or images of polars or pyarrow as a list."""
    library = type(X).__module__.partition(".")[0]
    if library == "polars":
        column = X if X.__class__.__name__ == "Series" else None
        if column is None and getattr(X, "width", 0) == 1:
            column = X.to_series(0)
        if column is not None and str(column.dtype) in ("String", "Utf8", "Binary", "Object"):
            return column.to_list()
    if library == "pyarrow":
        column = X if hasattr(X, "to_pylist") and hasattr(X, "type") else None
        if column is None and getattr(X, "num_columns", 0) == 1:
            column = X.column(0)
        if column is not None and str(column.type) in (
            "string",
            "large_string",
            "string_view",
            "binary",
            "large_binary",
        ):
            return column.to_pylist()
    return X


def _check_not_text(item, name):
    """Raise for a string that is plainly a text and not the path of a file."""
    if isinstance(item, str) and len(item.split()) > 3 and "\n" not in item[:1]:
        import os

        if not os.path.exists(item):
            raise ValueError(
                f"{name}[0] is {item[:60]!r}, which is no file; strings are paths of images. For "
                "texts pass input='text' and a network of texts, such as 'transformers/NAME', or "
                "turn them into a table first, with TfidfVectorizer."
            )


def _as_series(X, name):
    if isinstance(X, torch.Tensor):
        return check_tensor(X, name)
    return check_array(X, dtype=np.float32, allow_nd=True, input_name=name)


def _as_array_of_host(X):
    """A tensor as an array; numpy knows no bfloat16."""
    return as_host_array(X.float() if X.is_floating_point() else X)


def _token_ids(X, name):
    values = X.detach().cpu().numpy() if isinstance(X, torch.Tensor) else np.asarray(X)
    if values.dtype.kind not in "iu" or values.ndim != 2 or not values.size:
        raise ValueError(
            f"{name} holds {values.dtype} of shape {values.shape}, but input='tokens' takes whole "
            "numbers of shape (n_samples, length), padded to one length."
        )
    return values.astype(np.int64, copy=False)


def as_sparse_rows(X: Any) -> Any:
    """Return a checked sparse table as rows that are dense when they are read."""
    return SparseRows(X) if sparse.issparse(X) else X
