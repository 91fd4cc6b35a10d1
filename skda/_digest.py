"""Digests of networks, weights and settings, the same in every process."""

import enum
import functools
import logging
import os
import re
import sys
import types
from hashlib import blake2b
from threading import Lock, RLock
from typing import Any

import numpy as np
import torch
from torch import nn

from skda._code import class_parts, function_parts, library_version

# Parts of a module that do not change what it returns in eval mode, or hold numbers of a process.
_IGNORED = {"training", *(name for name in vars(nn.Module()) if "hook" in name)}
_LOCKS = type(Lock()), type(RLock())


def digest(*parts):
    """Return a digest of networks, weights and settings, the same in every process.

    Parameters
    ----------
    *parts : object
        Numbers, strings, arrays, tensors and containers of these; functions and classes, which
        count with their code and with all that it reads, and those of libraries with the
        version; modules and other objects, which count with their class and their attributes.

    Returns
    -------
    digest : bytes
        Of length 16.

    Raises
    ------
    TypeError
        If a part holds an object that has neither attributes nor a value of its own.

    Examples
    --------
    >>> from torch import nn
    >>> from skda._digest import digest
    >>> relu, gelu = digest(nn.ReLU(), "avg"), digest(nn.GELU(), "avg")
    >>> relu == gelu, relu == digest(nn.ReLU(), "avg")
    (False, True)
    """
    state = blake2b(digest_size=16)
    _feed(state, parts, {})
    return state.digest()


def _feed(state, value, seen):
    """Add a value to a digest; `seen` numbers the objects that have been met."""
    state.update(f"<{type(value).__module__}.{type(value).__qualname__}>".encode())
    if value is None or isinstance(value, bool | int | float | complex | str | bytes | range):
        state.update(repr(value).encode())
    elif isinstance(value, torch.dtype | torch.device | torch.Size | slice | np.dtype):
        state.update(repr(value).encode())
    elif isinstance(value, enum.Enum):
        state.update(value.name.encode())
    elif isinstance(value, torch.Tensor):
        array = value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
        state.update(f"{value.dtype} {tuple(value.shape)}".encode())
        state.update(array)
    elif isinstance(value, np.ndarray | np.generic) and value.dtype != object:
        state.update(f"{value.dtype.str} {value.shape}".encode())
        state.update(np.ascontiguousarray(value).tobytes())
    elif id(value) in seen:
        state.update(f"#{seen[id(value)][0]}".encode())
    else:
        # Kept with the object, whose id may not be taken by another one meanwhile.
        seen[id(value)] = len(seen), value
        for part in _parts(value):
            _feed(state, part, seen)
    state.update(b";")


def _parts(value):
    """Return what an object consists of."""
    if isinstance(value, set | frozenset):
        return sorted(digest(part) for part in value)
    if isinstance(value, dict):
        return [len(value), *(part for pair in value.items() for part in pair)]
    if isinstance(value, list | tuple | np.ndarray):
        return [len(value), *value]
    if isinstance(value, functools.partial):
        return [value.func, value.args, value.keywords]
    if isinstance(value, types.FunctionType):
        return function_parts(value)
    if isinstance(value, types.MethodType):
        return [value.__func__, value.__self__]
    if isinstance(value, types.CodeType):
        # Names and constants, but not where in a file the code stands.
        return [value.co_code, value.co_names, value.co_varnames, value.co_consts]
    if isinstance(value, types.BuiltinFunctionType | types.ModuleType):
        name = value.__name__
        of = name if isinstance(value, types.ModuleType) else value.__module__
        bound_to = getattr(value, "__self__", None)  # such as the dict whose ``get`` it is
        is_bound = not isinstance(bound_to, types.ModuleType | type)
        return [name, of, library_version(of), bound_to if is_bound else None]
    if isinstance(value, type):
        return class_parts(value)
    if isinstance(value, re.Pattern):
        return [value.pattern, value.flags]
    if isinstance(value, logging.Logger):  # what it writes are no features
        return [value.name]
    if callable(value) and isinstance(getattr(value, "__wrapped__", None), types.FunctionType):
        return [value.__wrapped__]  # of functools.cache
    if isinstance(value, np.ufunc):  # which has no module before numpy 2
        return [value.__name__, np.__version__]
    if _is_of_library(value):
        return [value.__name__, value.__module__, library_version(value.__module__)]
    if isinstance(value, os.PathLike):
        return [os.fspath(value)]
    config: Any = getattr(value, "config", None)
    if isinstance(value, nn.Module) and hasattr(config, "to_dict"):
        # Of transformers: the configuration makes the network, together with the library's code.
        version = getattr(sys.modules.get("transformers"), "__version__", None)
        name = f"{type(value).__module__}.{type(value).__qualname__}"
        return [name, version, repr(config.to_dict()), dict(value.state_dict())]
    if not hasattr(value, "__dict__"):
        raise TypeError(f"{type(value).__name__} objects have no digest.")
    ignored = _IGNORED if isinstance(value, nn.Module) else ()
    attributes = {
        key: part
        for key, part in vars(value).items()
        if key not in ignored and not isinstance(part, _LOCKS)
    }
    return [type(value), attributes]


def _is_of_library(value):
    """Whether an object is a function of a library that is not written in Python."""
    names = [getattr(value, name, None) for name in ("__name__", "__module__")]
    has_names = all(isinstance(name, str) for name in names) and callable(value)
    return has_names and not isinstance(value, nn.Module) and library_version(names[1]) is not None
