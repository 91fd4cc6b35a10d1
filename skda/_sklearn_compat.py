"""What skda uses of scikit-learn and joblib that is private, or whose inferred types are wrong."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from sklearn.utils._param_validation import (
    HasMethods,
    Interval,
    StrOptions,
    validate_parameter_constraints,
)

if TYPE_CHECKING:
    import numpy as np

    T = TypeVar("T")

    cloudpickle: Any

    def clone(estimator: T, *, safe: bool = True) -> T: ...
    def fit_context(*, prefer_skip_nested_validation: bool) -> Callable[[T], T]: ...
    def check_array(array: Any, accept_sparse: Any = False, **options: Any) -> Any: ...
    def column_or_1d(y: Any, **options: Any) -> np.ndarray: ...
    def safe_indexing(X: Any, indices: Any, *, axis: int = 0) -> Any: ...
    def validate_data(estimator: Any, X: Any = None, y: Any = None, **options: Any) -> Any: ...
else:
    from sklearn.base import _fit_context as fit_context
    from sklearn.base import clone
    from sklearn.utils import _safe_indexing as safe_indexing
    from sklearn.utils import check_array, column_or_1d
    from sklearn.utils.validation import validate_data

    try:
        import cloudpickle
    except ImportError:  # before joblib 1.6, which has it as a dependency
        from joblib.externals import cloudpickle

__all__ = [
    "HasMethods",
    "Interval",
    "StrOptions",
    "check_array",
    "clone",
    "cloudpickle",
    "column_or_1d",
    "fit_context",
    "safe_indexing",
    "validate_data",
    "validate_parameter_constraints",
]
