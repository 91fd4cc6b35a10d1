"""What functions and classes consist of: their code, and all that it reads."""

import dis
import functools
import sys
import sysconfig
import types
from importlib import metadata
from pathlib import Path
from typing import Any

_LIBRARIES = tuple(
    Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "purelib", "platlib")
)
# Of a class: what no method reads, or what Python makes of the rest.
_NO_CONTENT = {
    "__module__",
    "__qualname__",
    "__dict__",
    "__weakref__",
    "__doc__",
    "__annotations__",
    "__annotate__",
    "__annotate_func__",
    "__annotations_cache__",
    "__conditional_annotations__",
    "__abstractmethods__",
    "_abc_impl",
    "__parameters__",
    "__orig_bases__",
    "__firstlineno__",
    "__static_attributes__",
    "__dataclass_fields__",
    "__dataclass_params__",
    "__match_args__",
    "__hash__",
}


def library_version(name: str | None) -> str | None:
    """Return the version of the installed library that a module belongs to.

    Parameters
    ----------
    name : str or None
        Of the module.

    Returns
    -------
    version : str or None
        None for modules of the user, whose code has to be looked at.
    """
    return _version_of((name or "").partition(".")[0])


@functools.cache
def _version_of(top):
    if top in sys.builtin_module_names or top in sys.stdlib_module_names:
        return f"python {sys.version_info[:2]}"
    if top == "skda":  # wherever it is checked out
        return str(getattr(sys.modules.get(top), "__version__", ""))
    module = sys.modules.get(top)
    file = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), None)
    if file is None or not any(Path(file).resolve().is_relative_to(at) for at in _LIBRARIES):
        return None
    version = getattr(module, "__version__", None)
    return str(version) if version is not None else installed_version(top)


def installed_version(distribution: str) -> str:
    """Return the version of a distribution, without importing it; empty if there is none."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return ""


def function_parts(function: types.FunctionType) -> list:
    """Return the code of a function, its defaults, and what it reads outside of itself.

    That are the variables that it closes over, the globals that it or a function inside of it
    names, and the attributes of modules among them. A function of a library is its name, with the
    library's version.

    Parameters
    ----------
    function : function
        Written in Python.

    Returns
    -------
    parts : list
        Digested one after the other.
    """
    version = library_version(function.__module__)
    if version is not None and not function.__closure__ and "<" not in function.__qualname__:
        return [function.__module__, function.__qualname__, version]
    cells = [_content_of(cell) for cell in function.__closure__ or ()]
    read = _globals_read(function) if version is None else {}
    return [
        function.__code__,
        function.__defaults__,
        function.__kwdefaults__,
        cells,
        [part for name in sorted(read) for part in (name, read[name])],
        version,
    ]


def _content_of(cell):
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return None


def _globals_read(function):
    """Return what the code of a function gets from its module, by name."""
    found: dict[str, Any] = {}
    for code in _codes(function.__code__):
        path, value, is_module = "", None, False
        for step in dis.get_instructions(code):
            if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                path, value = str(step.argval), function.__globals__.get(step.argval)
            elif is_module and step.opname in ("LOAD_ATTR", "LOAD_METHOD"):
                path, value = f"{path}.{step.argval}", getattr(value, step.argval, None)
            else:
                path, value = "", None
            is_module = isinstance(value, types.ModuleType)
            if path and value is not None:
                found[path] = value
    return found


def _codes(code):
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def class_parts(cls: type) -> list:
    """Return what a class and its bases hold: functions, properties and attributes.

    Parameters
    ----------
    cls : type
        Any class. One of a library is its name, with the library's version.

    Returns
    -------
    parts : list
        Digested one after the other.
    """
    parts: list = [cls.__module__, cls.__qualname__]
    for base in cls.__mro__:
        version = library_version(base.__module__)
        parts += [base.__qualname__, version]
        if version is not None:
            continue
        for name, value in vars(base).items():
            if name in _NO_CONTENT or isinstance(value, _DESCRIPTORS):
                continue
            parts += [name, _unwrapped(value)]
    return parts


_DESCRIPTORS = (types.MemberDescriptorType, types.GetSetDescriptorType)


def _unwrapped(value):
    """Return the functions inside of what makes properties and methods of classes."""
    if isinstance(value, property):
        return [value.fget, value.fset, value.fdel]
    if isinstance(value, staticmethod | classmethod):
        return value.__func__
    if isinstance(value, functools.cached_property):
        return value.func
    return value
