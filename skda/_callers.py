"""Whose line a warning is to point to."""

import sys
from typing import Any

# What stands between a user's line and the one that warns: pipelines and searches of scikit-learn
# too, in any number, so that no fixed level would do.
_PASSED_OVER = ("skda", "sklearn", "joblib")


def level_of_user() -> int:
    """Return the `stacklevel` at which the caller of this function warns at the user's line.

    Examples
    --------
    >>> import warnings
    >>> from skda._callers import level_of_user
    >>> warnings.warn("Of this line.", stacklevel=level_of_user())  # doctest: +SKIP
    """
    frame: Any = sys._getframe(1)
    level = 1
    while frame is not None:
        if frame.f_globals.get("__name__", "").partition(".")[0] not in _PASSED_OVER:
            return level
        frame, level = frame.f_back, level + 1
    return 2  # a thread or a process of joblib: none of its lines is the user's
