"""The private parts of scikit-learn that skda uses, imported here and nowhere else."""

from sklearn.base import _fit_context as fit_context
from sklearn.utils._param_validation import (
    Interval,
    StrOptions,
)

__all__ = ["Interval", "StrOptions", "fit_context"]
