"""Values of Python as JSON and tensors, and back: what a checkpoint holds beside weights."""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

_SCALARS = (type(None), bool, int, float, str)
_SEQUENCES: dict[type, str] = {
    list: "list",
    tuple: "tuple",
    torch.Size: "tuple",
    set: "set",
    frozenset: "frozenset",
}
_MAPPINGS: dict[type, str] = {dict: "dict", OrderedDict: "ordered", Counter: "counter"}
_GENERATORS = (torch.Generator, np.random.Generator, np.random.RandomState)
_MAKERS: dict[str, Callable] = {
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "dict": dict,
    "ordered": OrderedDict,
    "counter": Counter,
}


class Unpackable(TypeError):
    """A value that has no place in a checkpoint."""


def is_packable(value: Any) -> bool:
    """Return whether a value consists of numbers, strings, arrays, tensors and generators."""
    try:
        pack(value, {})
    except Unpackable:
        return False
    return True


def pack(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """Return a value as JSON knows it; its tensors are put under numbers beside it.

    Parameters
    ----------
    value : object
        None, numbers, strings, arrays, tensors, random generators, and lists, tuples, sets,
        deques and dicts of them.

    tensors : dict of str to torch.Tensor
        Where the tensors go.

    Returns
    -------
    packed : object
        What :func:`unpack` makes the value of again.

    Raises
    ------
    Unpackable
        If there is something else in it.
    """
    kind: Any = type(value)
    if kind in _SCALARS:
        return value
    if kind in _SEQUENCES:
        packed = [pack(part, tensors) for part in value]
        return packed if kind is list else {_SEQUENCES[kind]: packed}
    if kind in _MAPPINGS:
        pairs = [[pack(key, tensors), pack(part, tensors)] for key, part in value.items()]
        return {_MAPPINGS[kind]: pairs}
    if kind is deque:
        return {"deque": [value.maxlen, [pack(part, tensors) for part in value]]}
    if isinstance(value, torch.Tensor) and not isinstance(value, nn.Parameter):
        return {"tensor": [_put(value.detach(), tensors), str(value.device)]}
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind not in "OV":
        content = np.frombuffer(np.ascontiguousarray(value).tobytes(), np.uint8).copy()
        name = _put(torch.from_numpy(content), tensors)
        shape = None if isinstance(value, np.generic) else list(value.shape)
        return {"array": [name, value.dtype.str, shape]}
    if kind in _GENERATORS:
        return _pack_generator(value, tensors)
    if kind is torch.dtype:
        return {"dtype": str(value).removeprefix("torch.")}
    raise Unpackable(f"{kind.__module__}.{kind.__qualname__}")


def _pack_generator(value: Any, tensors):
    if isinstance(value, torch.Generator):
        return {"generator": _put(value.get_state(), tensors)}
    if isinstance(value, np.random.Generator):
        return {"numpy generator": pack(value.bit_generator.state, tensors)}
    return {"random state": pack(value.get_state(legacy=False), tensors)}


def _put(tensor, tensors):
    name = str(len(tensors))
    tensors[name] = tensor
    return name


def unpack(packed: Any, tensors: dict[str, torch.Tensor]) -> Any:
    """Return the value that :func:`pack` was given."""
    if isinstance(packed, list):
        return [unpack(part, tensors) for part in packed]
    if not isinstance(packed, dict):
        return packed
    ((kind, content),) = packed.items()
    if kind == "tensor":
        name, device = content
        return tensors[name].to(device)
    if kind == "array":
        return _unpack_array(content, tensors)
    if kind == "dtype":
        return getattr(torch, content)
    if kind == "deque":
        return deque(unpack(content[1], tensors), maxlen=content[0])
    if kind == "generator":
        state = tensors[content]
        generator = torch.Generator()
        generator.set_state(state)
        return generator
    if kind == "numpy generator":
        state = unpack(content, tensors)
        bits = getattr(np.random, state["bit_generator"])()
        bits.state = state
        return np.random.Generator(bits)
    if kind == "random state":
        random_state = np.random.RandomState()
        random_state.set_state(unpack(content, tensors))
        return random_state
    if kind in _MAPPINGS.values():
        pairs = [(unpack(key, tensors), unpack(part, tensors)) for key, part in content]
        return _MAKERS[kind](OrderedDict(pairs) if kind == "counter" else pairs)
    return _MAKERS[kind](unpack(part, tensors) for part in content)


def _unpack_array(content, tensors):
    name, dtype, shape = content
    values = np.frombuffer(tensors[name].numpy().tobytes(), np.dtype(dtype)).copy()
    return values[0] if shape is None else values.reshape(shape)
