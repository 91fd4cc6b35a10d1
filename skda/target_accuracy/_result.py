"""Results that print as short tables."""

from typing import Any

import numpy as np
from sklearn.utils import Bunch

_MOST_VALUES = 8


class AccuracyResult(Bunch):
    """A :class:`sklearn.utils.Bunch` of figures that prints as a table, a line for each.

    Parameters
    ----------
    **entries : objects
        Numbers, arrays and words, of which None is not shown.
    """

    def __repr__(self):
        shown = {name: _text(value) for name, value in self.items() if value is not None}
        width = max(map(len, shown), default=0)
        return "\n".join(f"{name.ljust(width)}  {text}" for name, text in shown.items())

    # A Bunch prints as a dict.
    __str__ = __repr__


def _text(value: Any) -> str:
    if np.ndim(value) == 0:
        return f"{value:.3f}" if isinstance(value, float | np.floating) else str(value)
    values = np.asarray(value)
    if values.ndim > 1:
        return "\n".join(_text(row) for row in values).replace("\n", "; ")
    more = ", ..." if len(values) > _MOST_VALUES else ""
    return ", ".join(map(_text, values[:_MOST_VALUES])) + more
