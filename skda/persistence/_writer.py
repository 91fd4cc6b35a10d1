"""From an estimator to nodes: every object once, by number, and its numbers beside it."""

import collections
import math
from enum import Enum
from functools import partial
from pathlib import PurePath
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

import numpy as np
import torch
from scipy import sparse
from sklearn.base import BaseEstimator

from skda.persistence._arrays import array_to_tensor, flat_tensor
from skda.persistence._classes import attributes_of
from skda.persistence._names import Names, name_of
from skda.persistence._skops import dump_with_skops
from skda.persistence._tokens import describe_tokens

CONTAINERS = {
    dict: "dict",
    list: "list",
    tuple: "tuple",
    set: "set",
    frozenset: "frozenset",
    collections.OrderedDict: "ordered",
}


# Of these libraries what is on no list has a core in C, which bad numbers could crash.
_NUMERICAL = ("sklearn", "scipy", "numpy")
_KNOWN = Names()


class NotStorableError(TypeError):
    """Something of an estimator has no place in a file; the message says where it is."""

    def __init__(self, path, reason):
        self.reason, self.is_final = str(reason), False
        super().__init__(f"{path or 'the estimator'} cannot be saved: {reason}.")


class Writer:
    """Collects the nodes of what is stored.

    Attributes
    ----------
    nodes : list of dict
        What JSON can hold; ``{"ref": number}`` stands for another node.

    tensors : dict of str to torch.Tensor
        What nodes name in ``data``.

    attachments : dict of str to bytes
        What skops wrote.
    """

    def __init__(self):
        self.nodes: list[Any] = []
        self.tensors: dict[str, torch.Tensor] = {}
        self.attachments: dict[str, bytes] = {}
        self._numbers: dict[int, int] = {}
        self._class_names: dict[Any, str] = {}
        self._alive: list[Any] = []  # ids must not be given again

    def value(self, item: Any, path: str) -> Any:
        """Return what stands for an object: itself, or the number of its node."""
        if item is None or type(item) in (bool, int, str):
            return item
        if type(item) is float and math.isfinite(item):
            return item
        if isinstance(item, str) and not isinstance(item, np.generic | Enum):
            return str.__str__(item)  # a version that compares as one, say
        if id(item) not in self._numbers:
            self._add(item, path)
        return {"ref": self._numbers[id(item)]}

    def _add(self, item, path):
        number = self._numbers[id(item)] = len(self.nodes)
        self._alive.append(item)
        self.nodes.append(None)
        self.nodes[number] = self._node(item, path)

    def _node(self, item, path):
        kind = CONTAINERS.get(type(item))
        if kind is not None:
            return {"is": kind, **self._content(item, path)}
        for types, describe in _DESCRIBE:
            if isinstance(item, types):
                try:
                    return describe(self, item, path)
                except ValueError as error:
                    raise NotStorableError(path, error) from error
        if _is_list_of_names(item):
            return {"is": "list", **self._content(item.tolist(), path)}
        if isinstance(item, BaseEstimator):
            return self._estimator(item, path)
        if (node := describe_tokens(item)) is not None:
            return node
        return self._object(item, path)

    def _content(self, item, path):
        """Return the entries of a container, or of what derives from one."""
        if isinstance(item, dict):
            pairs = [
                [self.value(key, f"a key of {path}"), self.value(value, f"{path}[{key!r}]")]
                for key, value in dict.items(item)
            ]
            return {"items": pairs}
        if isinstance(item, set | frozenset):
            return {"values": [self.value(value, path) for value in sorted(item, key=repr)]}
        return {"values": [self.value(v, f"{path}[{n}]") for n, v in enumerate(item)]}

    def _estimator(self, item, path):
        """Return an estimator; one of scikit-learn that is more than numbers comes by skops."""
        n_nodes, numbers = len(self.nodes), dict(self._numbers)
        tensors, attachments = dict(self.tensors), dict(self.attachments)
        try:
            return self._object(item, path)
        except NotStorableError as error:
            # Of what is inside of another estimator the innermost has had its try.
            if error.is_final or not type(item).__module__.startswith("sklearn."):
                error.is_final = True
                raise
            del self.nodes[n_nodes:]
            self._numbers, self.tensors, self.attachments = numbers, tensors, attachments
            return self._by_skops(item, path, error)

    def _by_skops(self, item, path, error):
        error.is_final = True
        try:
            content = dump_with_skops(item)
        except ImportError as missing:
            error = NotStorableError(path, f"{error.reason} ({missing})")
            error.is_final = True
            raise error from missing
        except Exception:  # of what skops cannot store either
            raise error from None
        name = f"skops/{len(self.attachments)}.skops"
        self.attachments[name] = content
        return {"is": "skops", "data": name}

    def _object(self, item, path):
        if type(item).__module__.partition(".")[0] == "pandas":
            raise NotStorableError(
                path, f"it is a pandas {type(item).__name__}; set its to_dict() or to_numpy()"
            )
        try:
            name = self._class_names.get(type(item)) or name_of(type(item))
            self._class_names[type(item)] = name
        except ValueError as error:
            cls = f"{type(item).__module__}.{type(item).__qualname__}"
            raise NotStorableError(
                path, f"{cls} is the class of it, and {error}; define it at the top of a module"
            ) from error
        if name.startswith(_NUMERICAL) and _KNOWN.find(name, as_instance=True) is None:
            raise NotStorableError(path, f"a {type(item).__name__} is more than arrays and numbers")
        try:
            state = attributes_of(item)
        except (ValueError, TypeError) as error:
            raise NotStorableError(path, error) from error
        node = {"is": "object", "class": name, "state": self._state(item, state, path)}
        if isinstance(item, dict | list | tuple | set):
            node.update(self._content(item, path))
        return node

    def _state(self, item, state, path):
        is_module = isinstance(item, torch.nn.Module)
        parts = ("_modules", "_parameters", "_buffers")
        pairs = {}
        for name, value in state.items():
            if is_module and name in parts and type(value) is dict:
                pairs[name] = self._parts(value, path)
            else:
                pairs[name] = self.value(value, f"{path}.{name}" if path else name)
        return pairs

    def _parts(self, parts, path):
        """Return submodules or tensors under the paths that a state dict has for them."""
        number = len(self.nodes)
        self.nodes.append(None)
        self._alive.append(parts)
        self._numbers[id(parts)] = number
        items = [[name, self.value(part, f"{path}.{name}")] for name, part in parts.items()]
        self.nodes[number] = {"is": "dict", "items": items}
        return {"ref": number}

    def tensor(self, tensor: torch.Tensor, path: str) -> str:
        """Keep a tensor under a name of its own."""
        base = path or "tensor"
        name, number = base, 1
        while name in self.tensors:
            number += 1
            name = f"{base}#{number}"
        self.tensors[name] = tensor
        return name


def _is_list_of_names(item):
    """Whether something is an index of pandas whose entries are plain: columns chosen by name."""
    if type(item).__module__.partition(".")[0] != "pandas" or not hasattr(item, "tolist"):
        return False
    # Before pandas 2 numbers had an index of their own.
    is_index = type(item).__name__ in ("Index", "RangeIndex", "Int64Index")
    return is_index and all(type(entry) in (str, int, bool) for entry in item.tolist())


# -- what is more than its attributes --------------------------------------------------------------


def _describe_tensor(writer, item, path):
    is_parameter = type(item) is torch.nn.Parameter
    if type(item) is not torch.Tensor and not is_parameter:
        raise ValueError(f"it is a {type(item).__name__}, and no plain tensor")
    if item.layout != torch.strided or item.is_quantized or item.is_meta:
        raise ValueError("it is a tensor that is sparse, quantized or without memory")
    stored, entries = flat_tensor(item)
    entries["requires_grad"] = item.requires_grad and (is_parameter or item.is_leaf)
    if extra := {key: value for key, value in vars(item).items() if not key.startswith("_")}:
        entries["state"] = {key: writer.value(v, f"{path}.{key}") for key, v in extra.items()}
    kind = "parameter" if is_parameter else "tensor"
    return {"is": kind, "data": writer.tensor(stored, path), **entries}


def _describe_array(writer, item, path):
    if isinstance(item, np.ma.MaskedArray):
        parts = {"data": item.data, "mask": np.ma.getmaskarray(item), "fill": item.fill_value}
        return {"is": "masked", **{k: writer.value(v, f"{path}.{k}") for k, v in parts.items()}}
    if type(item) not in (np.ndarray, np.memmap):
        raise ValueError(f"it is a {type(item).__name__}, and no plain array")
    if item.dtype == object:
        values = [writer.value(v, f"{path}[{n}]") for n, v in enumerate(item.ravel())]
        return {"is": "objects", "shape": list(item.shape), "values": values}
    tensor, entries = array_to_tensor(item)
    return {"is": "array", "data": writer.tensor(tensor, path), **entries}


def _describe_scalar(writer, item, path):
    _, entries = array_to_tensor(np.asarray(item))
    return {"is": "scalar", "dtype": entries["dtype"], "bytes": np.asarray(item).tobytes().hex()}


def _describe_sparse(writer, item, path):
    if item.format not in ("csr", "csc"):
        raise ValueError(f"it is sparse in the format {item.format!r}; csr and csc can be stored")
    parts = {name: np.asarray(getattr(item, name)) for name in ("data", "indices", "indptr")}
    kind = type(item).__name__
    if kind not in ("csr_matrix", "csc_matrix", "csr_array", "csc_array"):
        raise ValueError(f"it is a {kind}, and no plain sparse matrix")
    stored = {name: writer.value(part, f"{path}.{name}") for name, part in parts.items()}
    return {"is": "sparse", "kind": kind, "shape": [int(n) for n in item.shape], **stored}


def _describe_reference(writer, item, path):
    return {"is": "name", "name": name_of(item)}


def _describe_method(writer, item, path):
    raise ValueError(f"it is the method {item.__name__} of an object; pass a function or an object")


def _describe_partial(writer, item, path):
    return {
        "is": "partial",
        "function": writer.value(item.func, f"{path}.func"),
        "args": [writer.value(v, f"{path}.args[{n}]") for n, v in enumerate(item.args)],
        "keywords": {k: writer.value(v, f"{path}.{k}") for k, v in item.keywords.items()},
    }


def _describe_enum(writer, item, path):
    return {"is": "enum", "class": name_of(type(item)), "name": item.name}


def _describe_random_state(writer, item, path):
    state = item.get_state(legacy=False)
    return {"is": "random state", "state": writer.value(state, path)}


def _describe_generator(writer, item, path):
    return {"is": "generator", "state": writer.value(item.bit_generator.state, path)}


def _describe_deque(writer, item, path):
    return {"is": "deque", "maxlen": item.maxlen, **writer._content(item, path)}


def _describe_default_dict(writer, item, path):
    factory = writer.value(item.default_factory, f"{path}.default_factory")
    return {"is": "default dict", "factory": factory, **writer._content(item, path)}


def _describe_slice(writer, item, path):
    ends = [writer.value(end, path) for end in (item.start, item.stop, item.step)]
    return {"is": type(item).__name__, "values": ends}


_DESCRIBE = (
    (torch.Tensor, _describe_tensor),
    (np.ndarray, _describe_array),
    (np.generic, _describe_scalar),
    ((sparse.spmatrix, getattr(sparse, "sparray", sparse.spmatrix)), _describe_sparse),
    ((type, FunctionType, BuiltinFunctionType), _describe_reference),
    (MethodType, _describe_method),
    (partial, _describe_partial),
    (Enum, _describe_enum),
    (np.random.RandomState, _describe_random_state),
    (np.random.Generator, _describe_generator),
    (collections.deque, _describe_deque),
    (collections.defaultdict, _describe_default_dict),
    ((slice, range), _describe_slice),
    (float, lambda writer, item, path: {"is": "float", "text": repr(float(item))}),
    (complex, lambda writer, item, path: {"is": "complex", "text": repr(item)}),
    (bytes, lambda writer, item, path: {"is": "bytes", "hex": item.hex()}),
    (np.dtype, lambda writer, item, path: {"is": "dtype", "text": item.str}),
    (torch.dtype, lambda writer, item, path: {"is": "torch dtype", "text": str(item)[6:]}),
    (torch.device, lambda writer, item, path: {"is": "device", "text": str(item)}),
    (torch.Size, lambda writer, item, path: {"is": "size", "values": list(item)}),
    (PurePath, lambda writer, item, path: {"is": "path", "text": str(item)}),
    (type(Ellipsis), lambda writer, item, path: {"is": "ellipsis"}),
)
