"""Kinds of tables, labels, domains, targets and plain numbers, good ones and bad ones."""

import tempfile
from pathlib import Path

import numpy as np
import torch
from scipy import sparse
from torch.utils.data import TensorDataset

from ._judge import Kind

try:
    import pandas as pd
except ImportError:
    pd = None
try:
    import polars as pl
except ImportError:
    pl = None
try:
    import pyarrow as pa
except ImportError:
    pa = None


class Sub(np.ndarray):
    """A subclass of arrays that adds nothing."""


class HasArray:
    """What NumPy can convert, and nothing else is known about."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        """Return the values."""
        return np.array(self.values, dtype=dtype)


def _set(value, *index):
    """Return a maker of a copy with another value at a place."""

    def make(good):
        values = np.array(good, dtype=np.result_type(good, type(value)))
        values[index] = value
        return values

    return make


def _read_only(good):
    values = np.array(good)
    values.setflags(write=False)
    return values


def _strided(good):
    wide = np.repeat(np.asarray(good), 2, axis=-1)
    return wide[..., ::2]


def _memmap(good):
    good = np.asarray(good)
    path = Path(tempfile.mkdtemp()) / "rows"
    good.tofile(path)
    return np.memmap(path, dtype=good.dtype, mode="r", shape=good.shape)


def _masked(good):
    mask = np.zeros(np.shape(good), dtype=bool)
    mask[1] = True
    return np.ma.masked_array(good, mask)


def _objects(good):
    return np.asarray(good).astype(object)


def _structured(good):
    return np.zeros(len(good), dtype=[("a", float), ("b", int)])


def _dates(good):
    return np.full(np.shape(good), np.datetime64("2020-01-01"))


ANYTHING = [
    Kind("None", lambda good: None),
    Kind("text", lambda good: "rows"),
    Kind("bytes", lambda good: b"rows"),
    Kind("a number", lambda good: 3.5),
    Kind("a 0-d array", lambda good: np.array(2.0)),
    Kind("a dict", lambda good: {"a": [1.0], "b": [2.0]}),
    Kind("a set", lambda good: {1.0, 2.0}),
    Kind("a generator", lambda good: (row for row in np.asarray(good))),
    Kind("a function", lambda good: len),
    Kind("an object", lambda good: object()),
    Kind("an empty list", lambda good: []),
    Kind("an empty tuple", lambda good: ()),
    Kind("datetimes", _dates, False, True),
    Kind("a structured array", _structured),
    Kind("meta tensor", lambda good: torch.empty(np.shape(good), device="meta"), False, True),
    Kind("complex", lambda good: np.asarray(good) + 1j, False, True),
]

SAME = [
    Kind("list", lambda good: np.asarray(good).tolist(), True),
    Kind("objects", _objects, True),
    Kind("read-only", _read_only, True),
    Kind("strided", _strided, True),
    Kind("negative strides", lambda good: np.array(good)[::-1].copy()[::-1], True),
    Kind("memmap", _memmap, True),
    Kind("subclass", lambda good: np.array(good).view(Sub), True),
    Kind("has __array__", HasArray, True),
    Kind("tensor", lambda good: torch.tensor(np.asarray(good)), True),
]

TABLES = [
    *ANYTHING,
    *SAME,
    Kind("Fortran order", lambda good: np.asfortranarray(good), True),
    Kind("float16", lambda good: np.asarray(good, dtype=np.float16), True),
    Kind("float32", lambda good: np.asarray(good, dtype=np.float32), True),
    Kind("longdouble", lambda good: np.asarray(good, dtype=np.longdouble), True),
    Kind("bfloat16 tensor", lambda good: torch.tensor(good).bfloat16(), True),
    Kind("tensor with grad", lambda good: torch.tensor(good, requires_grad=True), True),
    Kind("sparse tensor", lambda good: torch.tensor(good).to_sparse(), True),
    Kind("data set", lambda good: TensorDataset(torch.tensor(good).float()), True),
    Kind("tuple of rows", lambda good: tuple(np.asarray(good)), True),
    Kind("list of arrays", lambda good: list(np.asarray(good)), True),
    Kind("list of tensors", lambda good: list(torch.tensor(good)), True),
    Kind("list of masked rows", lambda good: list(_masked(good)), False, True),
    Kind("list of dates", lambda good: list(_dates(good)), False, True),
    Kind("ragged", lambda good: [[1.0, 2.0], [3.0]] * (len(good) // 2)),
    Kind("0 rows", lambda good: good[:0]),
    Kind("1 row", lambda good: good[:1]),
    Kind("0 columns", lambda good: good[:, :0]),
    Kind("1-d", lambda good: good[:, 0]),
    Kind("3-d", lambda good: good[:, None]),
    Kind("5-d", lambda good: good[:, None, None, None]),
    Kind("list of texts", lambda good: ["a"] * len(good)),
    Kind("table of texts", lambda good: np.full(good.shape, "a")),
    Kind("texts of numbers", lambda good: good.astype(str)),
    Kind("objects with text", lambda good: np.where(good > 0, "a", _objects(good))),
    Kind("objects with None", lambda good: np.where(good > 0, None, _objects(good))),
    Kind("objects with lists", lambda good: np.array([[[], 1]] * len(good), dtype=object)),
    Kind("NaN", _set(np.nan, 1, 0)),
    Kind("inf", _set(np.inf, 1, 0)),
    Kind("-inf", _set(-np.inf, 1, 0)),
    Kind("1e200", lambda good: good * 1e200),
    Kind("one 1e300", _set(1e300, 1, 0)),
    Kind("1e-200", lambda good: good * 1e-200),
    Kind("constant", lambda good: np.ones_like(good)),
    Kind("zeros", lambda good: np.zeros_like(good)),
    Kind("bool", lambda good: good > 0),
    Kind("uint8", lambda good: np.abs(good * 20).astype(np.uint8)),
    Kind("int64", lambda good: (good * 100).astype(np.int64)),
    Kind("csr", sparse.csr_matrix, True),
    Kind("csc", sparse.csc_array, True),
    Kind("coo", sparse.coo_array, True),
    Kind("masked", _masked, False, True),
    Kind("np.matrix", np.asmatrix),
    Kind("one column more", lambda good: np.hstack([good, good[:, :1]])),
    Kind("one column less", lambda good: good[:, 1:]),
    Kind("list of one table", lambda good: [good]),
    Kind("tuple of one table", lambda good: (good,)),
    Kind("list of two tables", lambda good: [good, good]),
]

LABELS = [
    *ANYTHING,
    *SAME,
    Kind("tuple", lambda good: tuple(np.asarray(good).tolist()), True),
    Kind("int8", lambda good: good.astype(np.int8), True),
    Kind("uint8", lambda good: good.astype(np.uint8), True),
    Kind("floats", lambda good: good.astype(float), True),
    Kind("texts", lambda good: np.array(list("abcdef"))[good]),
    Kind("objects with text", lambda good: np.array(list("abcdef"), dtype=object)[good]),
    Kind("array of bytes", lambda good: np.array([b"a", b"b", b"c", b"d"])[good]),
    Kind("bool", lambda good: good > 0),
    Kind("continuous", lambda good: good + 0.25),
    Kind("NaN", _set(np.nan, 1), False, True),
    Kind("inf", _set(np.inf, 1), False, True),
    Kind("objects with None", lambda good: np.where(good > 0, None, _objects(good)), False, True),
    Kind("text and numbers", lambda good: np.where(good > 0, "a", _objects(good)), False, True),
    Kind("one class", lambda good: np.zeros_like(good)),
    Kind("every row a class", lambda good: np.arange(len(good))),
    Kind("negative", lambda good: good - 1),
    Kind("huge", lambda good: good + 2**40),
    Kind("one too many", lambda good: np.append(good, 0), False, True),
    Kind("one too few", lambda good: good[1:], False, True),
    Kind("0 rows", lambda good: good[:0], False, True),
    Kind("a column", lambda good: good[:, None], True),
    Kind("one-hot", lambda good: np.eye(good.max() + 1)[good]),
    Kind("3-d", lambda good: good[:, None, None]),
    Kind("ragged", lambda good: [[0, 1], [1]] * (len(good) // 2)),
    Kind("lists of lists", lambda good: [[label] for label in good.tolist()], True),
    Kind("float tensor with grad", lambda good: torch.tensor(good * 1.0, requires_grad=True), True),
    Kind("bfloat16 tensor", lambda good: torch.tensor(good).bfloat16(), True),
    Kind("sparse", lambda good: sparse.csr_matrix(good[:, None])),
    Kind("masked", _masked, False, True),
    Kind("np.matrix", lambda good: np.asmatrix(good).T),
    Kind("tuple of one", lambda good: (good,)),
    Kind("list of one", lambda good: [good]),
]

DOMAINS = [
    *ANYTHING,
    *SAME,
    Kind("int8", lambda good: good.astype(np.int8), True),
    Kind("floats", lambda good: good.astype(float), True),
    Kind("all positive", np.abs),
    Kind("all negative", lambda good: -np.abs(good)),
    Kind("zeros", np.zeros_like),
    Kind("one zero", _set(0, 1)),
    Kind("NaN", _set(np.nan, 1), False, True),
    Kind("inf", _set(np.inf, 1), False, True),
    Kind("texts", lambda good: np.where(good > 0, "source", "target"), False, True),
    Kind("bool", lambda good: good > 0),
    Kind("uint64", lambda good: good.astype(np.uint64)),
    Kind("fractions", lambda good: good * 0.5),
    Kind("one too many", lambda good: np.append(good, 1), False, True),
    Kind("one too few", lambda good: good[1:], False, True),
    Kind("a column", lambda good: good[:, None], True),
    Kind("two columns", lambda good: np.stack([good, good], axis=1), False, True),
    Kind("objects with None", lambda good: np.where(good > 0, None, _objects(good)), False, True),
    Kind("scalar 1", lambda good: 1),
    Kind("scalar -1", lambda good: -1),
    Kind("tensor with grad", lambda good: torch.tensor(good * 1.0, requires_grad=True), True),
    Kind("masked", _masked, False, True),
    Kind("np.matrix", lambda good: np.asmatrix(good).T),
    Kind("a row", lambda good: good[None]),
    Kind("ragged", lambda good: [[1, -1], [1]] * (len(good) // 2)),
    Kind("texts of numbers", lambda good: good.astype(str)),
]

# What a parameter that is a number may be given.
NUMBERS = [
    *(kind for kind in ANYTHING if kind.name not in ("datetimes", "a structured array")),
    Kind("zero", lambda good: 0),
    Kind("minus one", lambda good: -1),
    Kind("minus a half", lambda good: -0.5),
    Kind("a half", lambda good: 0.5),
    Kind("two", lambda good: 2),
    Kind("NaN", lambda good: float("nan"), False, True),
    Kind("inf", lambda good: float("inf")),
    Kind("1e300", lambda good: 1e300),
    Kind("1e-300", lambda good: 1e-300),
    Kind("10**400", lambda good: 10**400),
    Kind("True", lambda good: True),
    Kind("False", lambda good: False),
    Kind("list", lambda good: [good]),
    Kind("tuple of two", lambda good: (good, good)),
    Kind("an array", lambda good: np.array([1.0, 2.0])),
    Kind("NumPy number", lambda good: np.float32(2)),
    Kind("NumPy integer", lambda good: np.int64(2)),
    Kind("a complex number", lambda good: 1 + 2j, False, True),
    Kind("text of a number", lambda good: "2"),
]
# In these there is nothing to shift or to scale.
NUMBERS = [
    kind._replace(make=(lambda good: torch.empty((), device="meta")))
    if kind.name == "meta tensor"
    else kind._replace(make=lambda good: (x for x in (1.0,)))
    if kind.name == "a generator"
    else kind._replace(make=lambda good: np.array([1 + 1j]))
    if kind.name == "complex"
    else kind
    for kind in NUMBERS
]


def _frame(good):
    return pd.DataFrame(np.asarray(good), columns=[f"c{k}" for k in range(np.shape(good)[1])])


if pd is not None:

    def _assigned(**columns):
        return lambda good: _frame(good).assign(**{k: make(good) for k, make in columns.items()})

    TABLES += [
        Kind("DataFrame", _frame, True),
        Kind("DataFrame without names", lambda good: pd.DataFrame(np.asarray(good)), True),
        Kind("DataFrame, nullable", lambda good: _frame(good).astype("Float64"), True),
        Kind("DataFrame, categorical", _assigned(c0=lambda g: pd.Categorical(["u"] * len(g)))),
        Kind("DataFrame, text", _assigned(c0=lambda g: ["u"] * len(g))),
        Kind("DataFrame, dates", _assigned(c0=lambda g: pd.Timestamp("2020-01-01"))),
        Kind("DataFrame, complex", _assigned(c0=lambda g: 1j), False, True),
        Kind("DataFrame, pd.NA", lambda good: _frame(good).astype("Float64").mask(good > 0)),
        Kind("DataFrame, twice a name", lambda good: _frame(good).rename(columns={"c1": "c0"})),
        Kind("DataFrame, other names", lambda good: _frame(good).add_suffix("x")),
        Kind("DataFrame, other order", lambda good: _frame(good).iloc[:, ::-1]),
        Kind("DataFrame, names of numbers", lambda good: _frame(good).rename(columns={"c0": 0})),
        Kind("DataFrame, sparse", lambda good: pd.DataFrame(good).astype("Sparse[float]"), True),
        Kind("Series", lambda good: pd.Series(good[:, 0])),
        Kind("Index", lambda good: pd.Index(good[:, 0])),
    ]
    LABELS += [
        Kind("Series", lambda good: pd.Series(good), True),
        Kind("Series with an index", lambda good: pd.Series(good, index=good[::-1]), True),
        Kind("Series, categorical", lambda good: pd.Series(good).astype("category"), True),
        Kind("Series, nullable", lambda good: pd.Series(good, dtype="Int64"), True),
        Kind(
            "Series, text", lambda good: pd.Series(np.array(list("abcdef"))[good], dtype="string")
        ),
        Kind(
            "Series, pd.NA", lambda good: pd.Series(good, dtype="Int64").mask(good > 0), False, True
        ),
        Kind("DataFrame of one column", lambda good: pd.DataFrame({"y": good}), True),
        Kind("DataFrame of two", lambda good: pd.DataFrame({"y": good, "z": good}), False, True),
    ]
    DOMAINS += [
        Kind("Series", lambda good: pd.Series(good), True),
        Kind("Series, nullable", lambda good: pd.Series(good, dtype="Int64"), True),
        Kind(
            "Series, pd.NA", lambda good: pd.Series(good, dtype="Int64").mask(good > 0), False, True
        ),
        Kind("DataFrame of one column", lambda good: pd.DataFrame({"d": good})),
        Kind("Series, categorical", lambda good: pd.Series(good).astype("category")),
    ]
if pl is not None:
    TABLES += [Kind("polars", lambda good: pl.DataFrame(np.asarray(good)), True)]
    LABELS += [Kind("polars Series", lambda good: pl.Series(np.asarray(good)), True)]
    DOMAINS += [Kind("polars Series", lambda good: pl.Series(np.asarray(good)), True)]
if pa is not None and pd is not None:
    TABLES += [Kind("pyarrow", lambda good: pa.Table.from_pandas(_frame(good)), True)]
    LABELS += [Kind("pyarrow array", lambda good: pa.array(np.asarray(good)), True)]
    DOMAINS += [Kind("pyarrow array", lambda good: pa.array(np.asarray(good)), True)]


def rows(n, d=4, seed=0):
    """Return normal rows that half precision holds exactly."""
    return np.round(np.random.RandomState(seed).normal(size=(n, d)) * 8) / 8


def labels(n, n_classes=3):
    """Return labels of classes in turn."""
    return np.arange(n) % n_classes


def domains(n_source, n_target):
    """Return the domains of stacked rows."""
    return np.repeat([1, -1], [n_source, n_target])
