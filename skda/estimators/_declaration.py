"""What a class declares in a way that nobody would look at is an error when it is made."""

import inspect
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from typing import Any, ClassVar

# What one could take for a hook or an attribute, and what does it.
_ALIASES = {
    "adversary": "an attribute of the net, see net_class",
    "criterion": "task_class, or the keywords criterion__*",
    "get_net_params": "net_params",
    "head": "head_class",
    "infer": "a method of the net, see net_class",
    "iterator": "iterator_class",
    "iterator_train": "iterator_class",
    "layer_names": "name_layers",
    "loss": "make_loss, or a static method alignment",
    "losses": "make_loss, or a static method alignment",
    "net": "net_class",
    "stages": "make_stages",
    "task": "task_class",
    "train_step": "a method of the net, see net_class",
    "train_step_single": "a method of the net, see net_class",
}
# Closer than this a name is taken for a slip, and not for a name of its own.
_SAME_NAME = 0.93
_SAME_HOOK = 0.85


def check_declaration(cls):
    """Raise for what would be passed over, and fix what a method or property takes the place of."""
    if "__init__" in vars(cls):
        raise TypeError(
            f"{cls.__name__} has an __init__ of its own, which its parameters would replace; "
            "declare them as annotated class attributes, such as `margin: float = 4.0`."
        )
    parents = [base for base in cls.__mro__[1:] if is_dataclass(base)]
    if not parents:
        return
    annotations = inspect.get_annotations(cls)
    for name, value in list(vars(cls).items()):
        if not name.startswith("__"):
            _check_name(cls, cls, name, value, annotations)
    for name in annotations:
        if name not in vars(cls):
            _check_new(cls, cls, name, None, is_annotated=True)
    _check_idle_hooks(cls)
    for mixin in _new_mixins(cls, parents):
        for name, value in vars(mixin).items():
            if not name.startswith("__"):
                _check_name(cls, mixin, name, value, {})
    _inherit_as_python_does(cls, parents, annotations)
    if annotations:
        cls.__annotations__ = annotations


def _new_mixins(cls, parents):
    """Return the classes without parameters that no parent derives from."""
    known = {base for parent in parents for base in parent.__mro__}
    return [base for base in cls.__mro__[1:] if base not in known]


def _inherit_as_python_does(cls, parents, annotations):
    """Take a parameter of several parents from the first that declares it, which a dataclass does
    not: to it what a parent has inherited is as good as what another one declares.
    """
    if sum(map(is_dataclass, cls.__bases__)) < 2:
        return
    for name in dict.fromkeys(name for base in parents for name in base.__dataclass_fields__):
        owner = next(base for base in cls.__mro__ if name in inspect.get_annotations(base))
        annotations.setdefault(name, inspect.get_annotations(owner)[name])


def _check_idle_hooks(cls):
    """Raise for a hook that the parent would not call."""
    idle = next(base for base in cls.__mro__ if "idle_hooks" in vars(base))
    below = cls.__mro__[: cls.__mro__.index(idle)]
    for owner in below:
        for name in set(idle.idle_hooks) & set(vars(owner)):
            useful = [hook for hook in cls._hooks if hook not in idle.idle_hooks]
            raise TypeError(
                f"{owner.__name__}.{name} would never be called: {idle.__name__} has no use for "
                f"it. It calls {', '.join(useful)}; or derive from a class that calls it."
            )


def _check_name(cls, owner, name, value, annotations):
    declared = {
        key for base in cls.__mro__[1:] for key in getattr(base, "__dataclass_fields__", ())
    }
    if name in declared and inspect.isfunction(value):
        raise TypeError(
            f"{owner.__name__}.{name} is a method, and would get the estimator as its first "
            "argument; write @staticmethod above it."
        )
    if name in annotations:
        _check_new(cls, owner, name, value, is_annotated=True)
    elif name in declared:
        _check_override(cls, owner, name, value, annotations)
    elif not any(hasattr(base, name) for base in cls.__bases__ if base is not owner):
        _check_new(cls, owner, name, value)


def _check_override(cls, owner, name, value, annotations):
    """Raise unless a parameter of the parent is overridden by what can take its place."""
    is_parameter = name in {
        field.name for base in cls.__mro__[1:] if is_dataclass(base) for field in fields(base)
    }
    if owner is not cls and is_parameter:
        raise TypeError(
            f"{owner.__name__}.{name} stands in a class that is no estimator, and {cls.__name__} "
            f"would not look at it; declare it in {cls.__name__}, or derive {owner.__name__} from "
            "the estimator."
        )
    if isinstance(value, staticmethod | classmethod | property):
        annotations[name] = ClassVar[Any]  # no parameter any more
    elif is_parameter:
        raise TypeError(
            f"{owner.__name__}.{name} has no annotation, so that the parent's default would train "
            f"in its place; write `{name}: {_kind(value)} = ...` for a parameter with another "
            f"default, or `{name}: ClassVar = ...` for a value that is fixed."
        )


def _check_new(cls, owner, name, value, is_annotated=False):
    """Raise for an attribute that was meant to be a parameter, and for a misspelt name."""
    bases = cls.__mro__[1:] if owner is cls else cls.__mro__
    known = {key for base in bases for key in vars(base) if base is not owner}
    seams = {*cls._hooks, *(key for key in known if key.endswith(("_class", "_prefixes")))}
    params = {key for base in bases for key in getattr(base, "__dataclass_fields__", ())}
    if name in seams | params:
        return
    near = get_close_matches(name.strip("_"), seams, n=1, cutoff=_SAME_HOOK)
    near = near or get_close_matches(name, params, n=1, cutoff=_SAME_NAME)
    meant = repr(near[0]) if near else None
    if meant is None and not is_annotated:  # a parameter may be called so
        meant = _ALIASES.get(name)
    is_function = inspect.isfunction(value) or isinstance(value, staticmethod | classmethod)
    if meant is None and is_function and name.startswith("make_"):
        meant = "one of them? A helper of your own begins with an underscore"
    if meant is not None:
        raise TypeError(
            f"{owner.__name__}.{name} is nothing that skda looks at; did you mean {meant}? The "
            f"hooks are {', '.join(cls._hooks)}; skda.base lists the class attributes."
        )
    is_data = not (callable(value) or hasattr(value, "__get__"))
    if is_data and not is_annotated and not name.startswith("_"):
        raise TypeError(
            f"{owner.__name__}.{name} has no annotation, so that it is no parameter; write "
            f"`{name}: {_kind(value)} = ...` for a parameter (a list as a tuple), or "
            f"`{name}: ClassVar = ...` for a constant."
        )


def _kind(value):
    """Return the annotation of a value."""
    if value is None:
        return "Any"
    return "tuple" if isinstance(value, list) else type(value).__name__
