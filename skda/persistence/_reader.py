"""From nodes to an estimator, without calling anything that the file names."""

import collections
import functools
import re
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
import torch

from skda.persistence._arrays import as_dtype, as_shape, tensor_to_array, unflattened
from skda.persistence._classes import finish, set_attributes
from skda.persistence._names import Names
from skda.persistence._skops import UntrustedError, load_with_skops
from skda.persistence._tokens import make_tokens

_GENERATORS = {"MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"}
_SPARSE = ("csr_matrix", "csc_matrix", "csr_array", "csc_array")
_UNDER_WAY = object()
_NUMBER = re.compile(r"[-+()\w.]{1,100}")


class Reader:
    """Makes objects of nodes.

    Parameters
    ----------
    nodes : list of dict
        As :class:`Writer` makes them.

    tensors : dict of str to torch.Tensor
        What nodes name.

    attachments : dict of str to bytes
        Parts of skops.

    names : Names
        What they may name.
    """

    def __init__(
        self,
        nodes: list[Any],
        tensors: dict[str, torch.Tensor],
        attachments: dict[str, bytes],
        names: Names,
    ):
        self._nodes, self._tensors, self._attachments = nodes, tensors, attachments
        self._names = names
        self._made: dict[int, Any] = {}
        self._found: dict[tuple[str, bool], Any] = {}
        self._last: list[Any] = []

    def check_names(self) -> None:
        """Raise with all names that are not to be trusted, before anything is made."""
        unknown = set()
        for node in self._nodes:
            kind = node["is"]
            if kind in ("object", "enum"):
                name = node["class"], True
            elif kind == "name":
                name = node["name"], False
            else:
                continue
            if name not in self._found:
                found = self._names.find(name[0], as_instance=name[1])
                if found is None:
                    unknown.add(name[0].replace(":", "."))
                self._found[name] = found
        if unknown:
            raise UntrustedError(sorted(unknown))

    def make(self, value: Any) -> Any:
        """Return what a value of the file stands for, and all that it is made of."""
        made = self.value(value)
        for item in self._last:
            finish(item)
        return made

    def value(self, value: Any) -> Any:
        """Return an object: a value itself, or what its node describes."""
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if not isinstance(value, dict) or set(value) != {"ref"} or type(value["ref"]) is not int:
            raise ValueError(f"{str(value)[:80]} is neither a value nor a reference")
        number = value["ref"]
        if not 0 <= number < len(self._nodes):
            raise ValueError(f"there is no object {number}")
        if number not in self._made:
            self._made[number] = _UNDER_WAY
            node = self._nodes[number]
            self._made[number] = _MAKERS[node["is"]](self, node, number)
        made = self._made[number]
        if made is _UNDER_WAY:
            raise ValueError(f"object {number} would have to contain itself")
        return made

    def values(self, values: Any) -> list[Any]:
        """Return the objects of a list of values."""
        if not isinstance(values, list):
            raise ValueError("entries are no list")
        return [self.value(value) for value in values]

    def begin(self, number: int, item: Any) -> Any:
        """Let what an object consists of refer to it."""
        self._made[number] = item
        return item

    def fill(self, item: dict, pairs: Any, set_item: Any = dict.__setitem__) -> None:
        """Put entries into a dict, past what its class makes of that."""
        for key, value in pairs:
            set_item(item, self.value(key), self.value(value))

    def tensor(self, name: Any) -> torch.Tensor:
        """Return a tensor of the file."""
        return self._tensors[name]

    def class_of(self, name: str) -> Any:
        """Return a class that may have instances."""
        return self._found[name, True]


def _make_dict(reader, node, number):
    item = reader.begin(number, {})
    reader.fill(item, node["items"])
    return item


def _make_ordered(reader, node, number):
    item = reader.begin(number, collections.OrderedDict())
    reader.fill(item, node["items"], collections.OrderedDict.__setitem__)
    return item


def _make_default_dict(reader, node, number):
    factory = reader.value(node["factory"])
    if factory not in (None, dict, list, set, int, float):
        raise ValueError("a default is made by other things than a builtin type")
    item = reader.begin(number, collections.defaultdict(factory))
    reader.fill(item, node["items"])
    return item


def _make_list(reader, node, number):
    item = reader.begin(number, [])
    item.extend(reader.values(node["values"]))
    return item


def _make_deque(reader, node, number):
    maxlen = node["maxlen"]
    if maxlen is not None and (type(maxlen) is not int or not 0 <= maxlen < 2**31):
        raise ValueError(f"a deque has maxlen {str(maxlen)[:40]}")
    return collections.deque(reader.values(node["values"]), maxlen)


def _make_object(reader, node, number):
    cls, name = reader.class_of(node["class"]), node["class"]
    kinds = (dict, list, tuple, set, frozenset)
    base: Any = next((kind for kind in kinds if issubclass(cls, kind)), object)
    if base in (tuple, set, frozenset):
        return _make_immutable(reader, node, cls, base)
    item = reader.begin(number, base.__new__(cls))
    if base is dict:
        reader.fill(item, node["items"])
    elif base is list:
        list.extend(item, reader.values(node["values"]))
    state = {key: reader.value(value) for key, value in node["state"].items()}
    if state or base is object:
        set_attributes(item, state, is_trusted=reader._names.is_trusted(name))
    reader._last.append(item)
    return item


def _make_immutable(reader, node, cls, base):
    item = base.__new__(cls, reader.values(node["values"]))
    if base is set:
        set.update(item, reader.values(node["values"]))
    if node["state"]:
        vars(item).update({key: reader.value(v) for key, v in node["state"].items()})
    return item


def _make_tensor(reader, node, number):
    tensor = unflattened(reader.tensor(node["data"]), node)
    if node["is"] == "parameter":
        tensor = torch.nn.Parameter(tensor, requires_grad=False)
    tensor.requires_grad_(node["requires_grad"] is True)
    if state := node.get("state"):
        vars(tensor).update({key: reader.value(value) for key, value in state.items()})
    return tensor


def _make_array(reader, node, number):
    return tensor_to_array(reader.tensor(node["data"]), node)


def _make_objects(reader, node, number):
    shape, values = as_shape(node["shape"]), reader.values(node["values"])
    array = np.empty(len(values), dtype=object)
    for place, value in enumerate(values):
        array[place] = value
    return array.reshape(shape)


def _make_masked(reader, node, number):
    data, mask, fill = (reader.value(node[name]) for name in ("data", "mask", "fill"))
    return np.ma.MaskedArray(data, mask, fill_value=fill)


def _make_scalar(reader, node, number):
    dtype, content = as_dtype(node["dtype"]), bytes.fromhex(node["bytes"])
    if len(content) != dtype.itemsize:
        raise ValueError(f"a number of dtype {dtype} has {len(content)} bytes")
    if not content:  # of an empty string
        return np.zeros((), dtype)[()]
    return np.frombuffer(content, dtype)[0]


def _make_sparse(reader, node, number):
    if node["kind"] not in _SPARSE:
        raise ValueError(f"{str(node['kind'])[:40]!r} is no kind of sparse matrix")
    parts = [reader.value(node[name]) for name in ("data", "indices", "indptr")]
    if not all(isinstance(part, np.ndarray) and part.ndim == 1 for part in parts):
        raise ValueError("a sparse matrix is not made of arrays")
    kind = getattr(scipy.sparse, node["kind"])
    matrix = kind(tuple(parts), shape=as_shape(node["shape"]))
    matrix.check_format(full_check=True)  # code in C trusts indices
    return matrix


def _make_name(reader, node, number):
    return reader._found[node["name"], False]


def _make_partial(reader, node, number):
    function = reader.value(node["function"])
    if not callable(function):
        raise ValueError("a partial function is made of none")
    keywords = {key: reader.value(value) for key, value in node["keywords"].items()}
    return functools.partial(function, *reader.values(node["args"]), **keywords)


def _make_enum(reader, node, number):
    cls = reader.class_of(node["class"])
    if not issubclass(cls, Enum):
        raise ValueError(f"{node['class']} is no enumeration")
    return cls.__members__[node["name"]]


def _make_random_state(reader, node, number):
    state = np.random.RandomState()
    state.set_state(reader.value(node["state"]))
    return state


def _make_generator(reader, node, number):
    state = reader.value(node["state"])
    if state["bit_generator"] not in _GENERATORS:
        raise ValueError("a generator of numpy is of no known kind")
    bits = getattr(np.random, state["bit_generator"])()
    bits.state = state
    return np.random.Generator(bits)


def _make_number(reader, node, number):
    text = node["text"]
    if not isinstance(text, str) or not _NUMBER.fullmatch(text):
        raise ValueError("a number is none")
    return {"float": float, "complex": complex}[node["is"]](text)


def _make_dtype(reader, node, number):
    # Named alone it is harmless; as the type of stored bytes it would make pointers of them.
    return np.dtype(object) if node["text"] == np.dtype(object).str else as_dtype(node["text"])


def _make_torch_dtype(reader, node, number):
    found = getattr(torch, node["text"])
    if not isinstance(found, torch.dtype):
        raise ValueError("a type of torch is none")
    return found


_MAKERS = {
    "dict": _make_dict,
    "ordered": _make_ordered,
    "default dict": _make_default_dict,
    "list": _make_list,
    "tuple": lambda reader, node, number: tuple(reader.values(node["values"])),
    "set": lambda reader, node, number: set(reader.values(node["values"])),
    "frozenset": lambda reader, node, number: frozenset(reader.values(node["values"])),
    "deque": _make_deque,
    "object": _make_object,
    "tensor": _make_tensor,
    "parameter": _make_tensor,
    "array": _make_array,
    "objects": _make_objects,
    "masked": _make_masked,
    "scalar": _make_scalar,
    "sparse": _make_sparse,
    "name": _make_name,
    "partial": _make_partial,
    "enum": _make_enum,
    "random state": _make_random_state,
    "generator": _make_generator,
    "float": _make_number,
    "complex": _make_number,
    "bytes": lambda reader, node, number: bytes.fromhex(node["hex"]),
    "dtype": _make_dtype,
    "torch dtype": _make_torch_dtype,
    "device": lambda reader, node, number: torch.device(node["text"]),
    "size": lambda reader, node, number: torch.Size(as_shape(node["values"])),
    "path": lambda reader, node, number: Path(node["text"]),
    "slice": lambda reader, node, number: slice(*reader.values(node["values"])),
    "range": lambda reader, node, number: range(*reader.values(node["values"])),
    "ellipsis": lambda reader, node, number: ...,
    "tokenizer": lambda reader, node, number: make_tokens(node),
    "token": lambda reader, node, number: make_tokens(node),
    "skops": lambda reader, node, number: load_with_skops(
        reader._attachments[node["data"]], reader._names.trusted
    ),
}
