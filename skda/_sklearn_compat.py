"""The private parts of scikit-learn and joblib that skda uses, imported here and nowhere else."""

from sklearn.base import _fit_context as fit_context
from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    StrOptions,
    validate_parameter_constraints,
)

try:
    import cloudpickle
except ImportError:  # before joblib 1.6, which has it as a dependency
    from joblib.externals import cloudpickle

__all__ = [
    "HasMethods",
    "Interval",
    "StrOptions",
    "cloudpickle",
    "fit_context",
    "validate_parameter_constraints",
]
