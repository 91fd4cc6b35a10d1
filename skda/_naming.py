"""Errors of other libraries, as errors that name the parameter."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sklearn.exceptions import NotFittedError

# What NumPy, pandas, torch and scikit-learn raise where an argument cannot be used.
_ABOUT_INPUT = (ValueError, TypeError, RuntimeError, LookupError, ArithmeticError, AttributeError)
_NO_FAULT_OF_INPUT = ("OutOfMemoryError", "DivergenceError")
_LONGEST = 300


@contextmanager
def naming(name: str, wanted: str) -> Iterator[None]:
    """Turn errors about an argument into such that name it and say what would work.

    Parameters
    ----------
    name : str
        Of the parameter.

    wanted : str
        What it must be.

    Raises
    ------
    TypeError
        For a TypeError.

    ValueError
        For all other errors that input can cause, but for a NotFittedError and a ValueError or
        TypeError that begins with the name, which pass.
    """
    try:
        yield
    except NotFittedError:
        raise
    except _ABOUT_INPUT as error:
        is_clear = isinstance(error, ValueError | TypeError) and begins_with(str(error), name)
        if is_clear or type(error).__name__ in _NO_FAULT_OF_INPUT:
            raise
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{name} must be {wanted}: {shortened(error)}") from error


def begins_with(message: str, name: str) -> bool:
    """Tell whether a message begins with the name of a parameter, and not of a longer one."""
    return re.match(rf"{re.escape(name)}(?!\w)", message) is not None


def shortened(value: Any, longest: int = _LONGEST) -> str:
    """Return the beginning of a text, in one line."""
    shown = " ".join(str(value).split())
    return shown if len(shown) <= longest else f"{shown[: longest - 3]}..."
