"""What a training step changes beside tensors: a recording would not change it again."""

import functools
import random
import types
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import torch
from skorch import NeuralNet
from skorch.history import History
from torch import nn

from skda._torch import StepValues

_PLAIN = (bool, int, float, complex, str, bytes, type(None))
_CONTAINERS = (dict, list, tuple, deque, set, frozenset)
# What is told apart by identity alone, and not entered.
_OPAQUE = (
    type,
    types.ModuleType,
    types.BuiltinFunctionType,
    torch.device,
    torch.dtype,
    StepValues,
    NeuralNet,
    History,
)


# What every module has and no step changes, half of what there is.
_OF_ALL_MODULES = frozenset(
    name for name in vars(nn.Module()) if "hook" in name or "persistent" in name
) - {"_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"}


class PythonState:
    """The values and objects that modules and functions hold, to be compared later on.

    A number that a step counts up, a list that it appends to, a tensor that it puts in the place
    of another, a global generator of random numbers that it draws from: all this happens once when
    a step is recorded, and never again when the recording is replayed. Values within tensors are
    not looked at: a recording changes them as the step does.

    Parameters
    ----------
    roots : iterable
        Modules, functions, containers, or objects that have attributes.

    settings : dict, default=None
        Of which plain values count, but for names that begin with an underscore.

    Examples
    --------
    >>> import torch
    >>> from skda.training._python_state import PythonState
    >>> layer = torch.nn.Linear(2, 1)
    >>> layer.n_calls = 0
    >>> state = PythonState([layer])
    >>> state.find_change()
    >>> layer.n_calls += 1
    >>> state.find_change()
    'n_calls of Linear'
    """

    def __init__(self, roots: Iterable[Any], settings: dict[str, Any] | None = None):
        # Container, key, value and owner's name; strong references keep identities apart.
        self._entries: list[tuple[Any, Any, Any, str]] = []
        self._lengths: list[tuple[Any, int, str]] = []
        self._cells: list[tuple[types.CellType, Any, str]] = []
        self._tensors: list[tuple[str, torch.Tensor, int, bool]] = []
        self._generators: list[tuple[str, Any, Any]] = []
        self._seen: set[int] = set()
        for root in roots:
            self._enter(root, type(root).__name__)
        for key, value in (settings or {}).items():
            if isinstance(value, _PLAIN) and not key.startswith("_"):
                self._entries.append((settings, key, value, "the net"))
        for name, library in (("random", random), ("numpy.random", np.random)):
            self._generators.append((f"the generator of {name}", library, _state_of(library)))

    def find_change(self) -> str | None:
        """Return what is no longer what it was, None if all is."""
        for container, length, name in self._lengths:
            if len(container) != length:
                return f"the entries of {name}"
        for container, key, value, name in self._entries:  # many: this costs 60 ns for each
            try:
                now = container[key]
            except (KeyError, IndexError):
                now = _GONE
            if now is not value and not _is_equal(now, value):
                return f"{key} of {name}" if isinstance(key, str) else f"an entry of {name}"
        for cell, value, name in self._cells:
            if cell.cell_contents is not value and not _is_equal(cell.cell_contents, value):
                return f"what {name} refers to"
        for name, tensor, place, learns in self._tensors:
            if tensor.data_ptr() != place or tensor.requires_grad != learns:
                return f"the memory of {name}, or whether it learns"
        for name, generator, state in self._generators:
            if not _equal_states(_state_of(generator), state):
                return name
        return None

    def _enter(self, value, name):
        """Note what a value holds, and what is held by that."""
        if isinstance(value, _PLAIN) or isinstance(value, _OPAQUE) or id(value) in self._seen:
            return
        self._seen.add(id(value))
        if isinstance(value, torch.Tensor):
            is_plain = value.layout is torch.strided
            self._tensors += [(name, value, value.data_ptr(), value.requires_grad)] * is_plain
        elif isinstance(value, (np.random.Generator, np.random.RandomState, random.Random)):
            self._generators.append((f"a generator of {name}", value, _state_of(value)))
        elif isinstance(value, _CONTAINERS):
            self._enter_container(value, name)
        elif isinstance(value, functools.partial):
            for part in (value.func, value.args, value.keywords):
                self._enter(part, name)
        elif isinstance(value, types.MethodType):
            self._enter(value.__self__, type(value.__self__).__name__)
            self._enter(value.__func__, name)
        elif isinstance(value, types.FunctionType):
            self._enter_function(value)
        elif isinstance(getattr(value, "__dict__", None), dict):
            self._enter_container(vars(value), type(value).__name__)
            if isinstance(value, nn.Module) and not _is_of_torch(type(value)):
                self._enter(type(value).forward, type(value).__name__)

    def _enter_container(self, container, name):
        if not isinstance(container, tuple):
            self._lengths.append((container, len(container), name))
        for key, value in _items(container):
            if key in _OF_ALL_MODULES:
                continue
            if not isinstance(container, tuple | set | frozenset):
                self._entries.append((container, key, value, name))
            self._enter(value, _path(name, key, value))

    def _enter_function(self, function):
        if _is_of_torch(function):
            return
        name = function.__qualname__
        self._enter_container(vars(function), name)
        self._enter(function.__defaults__, name)
        for cell in function.__closure__ or ():
            try:
                value = cell.cell_contents
            except ValueError:  # not filled yet
                continue
            self._cells.append((cell, value, name))
            self._enter(value, f"what {name} refers to")
        names = function.__code__.co_names
        scope = function.__globals__
        for key in names:
            value = scope.get(key)
            if key in scope and (isinstance(value, _PLAIN) or isinstance(value, _CONTAINERS)):
                self._entries.append((scope, key, value, f"the globals of {name}"))
                self._enter(value, f"{key}, a global of {name}")


def _path(name, key, value):
    return f"{key} of {name}" if isinstance(value, _CONTAINERS) and isinstance(key, str) else name


def _items(container) -> Iterator[tuple[Any, Any]]:
    return iter(container.items() if isinstance(container, dict) else enumerate(container))


_GONE = object()


def _is_equal(now, before):
    return type(now) is type(before) and isinstance(now, _PLAIN) and now == before


def _is_of_torch(piece):
    return str(getattr(piece, "__module__", "")).partition(".")[0] == "torch"


def _state_of(generator):
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    if generator is np.random or isinstance(generator, np.random.RandomState):
        return generator.get_state(legacy=False)
    return generator.getstate()


def _equal_states(now, before):
    if isinstance(now, dict):
        return all(_equal_states(now[name], before[name]) for name in now)
    if isinstance(now, np.ndarray):
        return np.array_equal(now, before)
    return now == before
