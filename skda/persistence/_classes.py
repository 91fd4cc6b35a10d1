"""Whose attributes are not simply what ``vars`` says: networks, nets and estimators."""

from typing import Any

import torch
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline
from skorch import NeuralNet
from torch import nn
from torch.utils.hooks import RemovableHandle

from skda.estimators import DeepEstimator
from skda.feature_extraction import DeepFeatureExtractor

# Compiled code, weak references to what is stored anyway, and what is only for publishing.
_OF_MODULES = ("_compiled_call_impl", "_flat_weights", "_flat_weight_refs", "model_card_data")
_OF_NETS = ("virtual_params_",)  # functions of skorch, which are made again
# Places on the disk of one machine: a file must not say where another one is written.
_LOCAL = ((DeepFeatureExtractor, "cache", None), (Pipeline, "memory", None))
_HOOK_DICTS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def attributes_of(item: Any) -> dict[str, Any]:
    """Return the attributes of an object that are stored.

    Parameters
    ----------
    item : object
        Any but a container, an array or a class.

    Returns
    -------
    attributes : dict
        By name.

    Raises
    ------
    ValueError
        If attributes are not all that it consists of.
    """
    if isinstance(item, nn.Module):
        return _of_module(item)
    if isinstance(item, NeuralNet):
        # The network first, so that tensors are called by its name.
        state = {"module_": None, **vars(item)} if hasattr(item, "module_") else dict(vars(item))
        return {name: value for name, value in state.items() if name not in _OF_NETS}
    if isinstance(item, BaseEstimator):
        return _of_estimator(item)
    if isinstance(item, dict | list | tuple | set | frozenset):
        return dict(getattr(item, "__dict__", {}))
    for name in ("__reduce__", "__reduce_ex__"):
        if getattr(type(item), name) is not getattr(object, name):
            raise ValueError(f"{type(item).__name__} has a __reduce__ of its own")
    get_state = getattr(type(item), "__getstate__", None)
    if get_state is not None and get_state is not getattr(object, "__getstate__", None):
        state = item.__getstate__()
    else:
        state = getattr(item, "__dict__", None)
    if not isinstance(state, dict) or _slots(type(item)) or not _is_of_python(type(item)):
        raise ValueError(f"{type(item).__name__} consists of more than attributes in a dict")
    return dict(state)


def _is_of_python(cls):
    """Whether an object is made of nothing but what Python knows of it: no file, no socket."""
    if hasattr(cls, "__del__"):
        return False
    try:
        object.__new__(cls)
    except TypeError:
        return False
    return True


def _slots(cls):
    slots = [name for base in cls.__mro__ for name in _as_tuple(vars(base).get("__slots__", ()))]
    return [name for name in slots if name not in ("__dict__", "__weakref__")]


def _as_tuple(names):
    return (names,) if isinstance(names, str) else tuple(names)


def _of_module(module):
    """What a module has beside what every module has: of that much is empty."""
    usual = vars(nn.Module())
    return {
        name: value
        for name, value in vars(module).items()
        if name not in _OF_MODULES
        and not (name in usual and type(value) is type(usual[name]) and value == usual[name])
    }


def _of_estimator(estimator):
    if isinstance(estimator, DeepEstimator):
        state = estimator.slim_state(dict(vars(estimator)))
    else:
        state = dict(estimator.__getstate__())
    return _without_places(estimator, state)


def _without_places(estimator, state):
    for cls, name, value in _LOCAL:
        if isinstance(estimator, cls) and name in state:
            state[name] = value
    if isinstance(estimator, DeepEstimator) and state.get("image_store") not in (None, "auto"):
        state["image_store"] = "auto"
    return state


def set_attributes(item: Any, state: dict[str, Any], *, is_trusted: bool) -> None:
    """Give a new object the attributes that :func:`attributes_of` told.

    Parameters
    ----------
    item : object
        Made without a call of its class.

    state : dict
        Attributes by name.

    is_trusted : bool
        Whether code of its own class may run; otherwise only what is known here does.
    """
    if not all(isinstance(name, str) for name in state):
        raise ValueError("attributes have names that are no strings")
    if isinstance(item, nn.Module):
        nn.Module.__init__(item)
        if is_trusted and type(item).__setstate__ is not nn.Module.__setstate__:
            item.__setstate__({**vars(item), **state})
        else:
            vars(item).update(state)
        if isinstance(item, nn.RNNBase):
            item._init_flat_weights()
    elif isinstance(item, NeuralNet):
        vars(item).update(state)
        item._initialize_virtual_params()
    elif isinstance(item, BaseEstimator):
        _set_estimator(item, _without_places(item, state))
    elif is_trusted and hasattr(type(item), "__setstate__"):
        item.__setstate__(state)
    else:
        vars(item).update(state)


def _set_estimator(estimator, state):
    module = type(estimator).__module__
    if module.startswith(("skda.", "sklearn.")):
        BaseEstimator.__setstate__(estimator, state)  # warns of other versions of scikit-learn
    else:
        estimator.__setstate__(state)  # trusted, or it would not be made


def finish(item: Any) -> None:
    """Bring a loaded net to its device, and let new hooks not take the numbers of loaded ones."""
    if isinstance(item, NeuralNet) and hasattr(item, "module_"):
        item.device = _usable(item.device)
        for name in ("module_", "alignment_", "criterion_"):
            part = vars(item).get(name)
            if isinstance(part, nn.Module):
                part.to(item.device)
    if isinstance(item, nn.Module):
        for name in _HOOK_DICTS:
            highest = max((key for key in vars(item)[name] if type(key) is int), default=-1)
            RemovableHandle.next_id = max(RemovableHandle.next_id, highest + 1)


def _usable(device):
    """Return the device on which a net was trained, or the CPU where there is none like it."""
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, ValueError, TypeError):
        return "cpu"
    return device
