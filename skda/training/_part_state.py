"""What a part of a training is at a moment: its tensors, its plain attributes, its generators."""

import functools
import os
import types
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from skda.training._packing import is_packable

# What every module of torch has, beside what its class gives it.
_OF_TORCH = frozenset(vars(nn.Module()))
_GENERATORS = (torch.Generator, np.random.Generator, np.random.RandomState)
# What has no state of its own, or none that training changes.
_SETTINGS = (
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.ModuleType,
    functools.partial,
    type,
    torch.device,
    os.PathLike,
)
# Predictions of an epoch that is over.
_CACHES = ("y_preds_", "y_trues_")


# -- modules ---------------------------------------------------------------------------------


def module_tensors(part: nn.Module) -> Iterator[tuple[str, dict, str]]:
    """Yield of every parameter and buffer its path, where it stands, and under which name.

    A buffer may be None, and one that is shared comes once.
    """
    seen = set()
    for path, module in part.named_modules():
        for owner in (module._parameters, module._buffers):
            for name, tensor in owner.items():
                if tensor is None or id(tensor) not in seen:
                    seen.add(id(tensor))
                    yield f"{path}.{name}", owner, name


def get_module_state(part: nn.Module) -> dict[str, Any]:
    """Return parameters, buffers, and what else the module and its parts keep as plain values."""
    tensors = {path: owner[name] for path, owner, name in module_tensors(part)}
    return {
        "tensors": {path: None if t is None else t.detach() for path, t in tensors.items()},
        "attributes": get_attributes(part),
    }


def get_attributes(part: nn.Module) -> dict[str, Any]:
    """Return what a module and its parts keep as plain values, by path and name."""
    return {
        path: {name: vars(holder)[name] for name in _plain_names(holder)}
        for path, holder in _holders(part)
    }


def set_module_state(part: nn.Module, state: dict[str, Any]) -> None:
    """Put back what :func:`get_module_state` returned, in place where that is possible."""
    places = {path: (owner, name) for path, owner, name in module_tensors(part)}
    holders = dict(_holders(part))
    if missing := [p for p in state["tensors"] if p not in places]:
        raise ValueError(f"the network has no {missing[0]!r}")
    if missing := [p for p in state["attributes"] if p not in holders]:
        raise ValueError(f"what the network keeps at {missing[0]!r} is not there")
    with torch.no_grad():
        for path, value in state["tensors"].items():
            owner, name = places[path]
            put_tensor(owner, name, value, path)
    for path, values in state["attributes"].items():
        for name, value in values.items():
            _put_value(vars(holders[path]), name, value)


def put_tensor(owner: dict, name: str, value: Any, path: str) -> None:
    """Put a tensor in its place: into the memory that is there, unless a buffer has grown."""
    there = owner[name]
    if value is None or there is None:
        owner[name] = value
    elif there.shape == value.shape and there.dtype == value.dtype:
        there.copy_(value)
    elif isinstance(there, nn.Parameter):
        raise ValueError(f"{path!r} has shape {tuple(there.shape)}, not {tuple(value.shape)}")
    else:  # a buffer that has grown
        owner[name] = value.to(there.device)


def _put_value(values, name, value):
    """Set an entry; what a container is shared with, such as a hook, goes on sharing it."""
    there = values.get(name)
    if type(there) is type(value) and isinstance(there, dict | set):
        there.clear()
        there.update(value)
    elif type(there) is type(value) and isinstance(there, list | deque):
        there.clear()
        there.extend(value)
    else:
        values[name] = value


def _plain_names(holder):
    ignored = _OF_TORCH if isinstance(holder, nn.Module) else ()
    return [name for name, v in vars(holder).items() if name not in ignored and is_packable(v)]


def _holders(part):
    """Yield the path of every module, and of objects of Python that modules keep, with them."""
    seen: set[int] = set()
    for path, module in part.named_modules():
        yield from _held(path, module, seen)


def _held(path, holder, seen):
    if id(holder) in seen:
        return
    seen.add(id(holder))
    yield path, holder
    ignored = _OF_TORCH if isinstance(holder, nn.Module) else ()
    for name, value in [*vars(holder).items()]:
        if name not in ignored and not is_packable(value):
            for place, object_ in _objects(f"{path}:{name}", value):
                yield from _held(place, object_, seen)


def _objects(path, value):
    """Yield the objects with attributes of their own that a value is or holds."""
    if isinstance(value, dict):
        value = [*value.values()]
    if isinstance(value, list | tuple | deque):
        for number, part in enumerate(value):
            yield from _objects(f"{path}:{number}", part)
    elif isinstance(value, functools.partial):
        yield from _objects(path, [value.func, *value.args, *value.keywords.values()])
    elif not isinstance(value, _SETTINGS) and hasattr(value, "__dict__"):
        # Modules of torch come by their own paths.
        if not isinstance(value, nn.Module) and not type(value).__module__.startswith("torch"):
            yield path, value


# -- batches ---------------------------------------------------------------------------------


def get_order_state(iterator: Any) -> Any:
    """Return what decides which rows the next epoch takes, and in which order."""
    if hasattr(iterator, "state_dict"):
        return iterator.state_dict()
    return {name: vars(holder)[name] for name, holder in _ordering(iterator)}


def set_order_state(iterator: Any, state: Any) -> None:
    """Let batches go on where others stopped; generators of domains that are new begin anew."""
    if hasattr(iterator, "load_state_dict"):
        iterator.load_state_dict(state)
        return
    for name, holder in _ordering(iterator):
        if name in state:
            _put_generators(vars(holder), name, state[name])


def _put_generators(values, name, value):
    there = values[name]
    if isinstance(there, list):
        for number in range(min(len(there), len(value))):
            _put_generators(there, number, value[number])
    elif isinstance(there, torch.Generator):
        there.set_state(value.get_state())  # in place: a sampler may have the same one
    else:
        values[name] = value


def _ordering(iterator):
    """Yield the names, and the holders, of generators and of what a subclass counts."""
    own = getattr(iterator, "SETTINGS", None)
    for name, value in [*getattr(iterator, "__dict__", {}).items()]:
        is_drawing = isinstance(value, _GENERATORS) or (
            isinstance(value, list) and value and all(isinstance(v, _GENERATORS) for v in value)
        )
        if is_drawing or (own is not None and name not in own and is_packable(value)):
            yield name, iterator


# -- callbacks -------------------------------------------------------------------------------


def get_callback_state(callback: Any, net: Any) -> dict[str, Any]:
    """Return what a callback has come to.

    Raises
    ------
    TypeError
        If it keeps something that cannot be stored, and has no ``state_dict`` to say what of it
        is to be.
    """
    if hasattr(callback, "state_dict"):
        return {"state": callback.state_dict()}
    values, states = {}, {}
    is_skorch = type(callback).__module__.startswith("skorch.")
    for name, value in vars(callback).items():
        if name in _CACHES or value is net or isinstance(value, _SETTINGS):
            continue
        if is_packable(value):
            values[name] = value
        elif hasattr(value, "load_state_dict"):
            states[name] = value.state_dict()
        elif not is_skorch and not _is_settings(value):
            raise TypeError(
                f"callbacks: {type(callback).__name__} keeps {name!r}, an object of type "
                f"{type(value).__name__}, which a checkpoint cannot hold; give the callback the "
                "methods state_dict() and load_state_dict(state), of numbers, strings, arrays and "
                "tensors, or leave out checkpoint."
            )
    return {"values": values, "states": states}


def set_callback_state(callback: Any, state: dict[str, Any]) -> None:
    """Put back what :func:`get_callback_state` returned."""
    if "state" in state:
        callback.load_state_dict(state["state"])
        return
    for name, value in state["values"].items():
        _put_value(vars(callback), name, value)
    for name, value in state["states"].items():
        if not hasattr(vars(callback).get(name), "load_state_dict"):
            if type(callback).__module__.startswith("skorch."):
                continue  # a scheduler of a training that is over
            raise ValueError(
                f"callbacks: {name!r} of {type(callback).__name__} cannot be put back, since it "
                "is not there when training begins; make it in on_train_begin."
            )
        vars(callback)[name].load_state_dict(value)


def _is_settings(value):
    """Whether a container holds nothing but functions, classes and plain values."""
    if isinstance(value, dict):
        value = [*value.values()]
    if isinstance(value, list | tuple):
        return all(map(_is_settings, value))
    return isinstance(value, _SETTINGS) or is_packable(value)
