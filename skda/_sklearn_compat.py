"""What skda uses of scikit-learn and joblib that is private, or whose inferred types are wrong."""

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, signature
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
    from sklearn.base import _fit_context, clone
    from sklearn.utils import _safe_indexing as safe_indexing
    from sklearn.utils import check_array, column_or_1d
    from sklearn.utils.validation import validate_data

    try:
        import cloudpickle
    except ImportError:  # before joblib 1.6, which has it as a dependency
        from joblib.externals import cloudpickle

    def fit_context(*, prefer_skip_nested_validation):
        # scikit-learn's, with words for those who give the target by position.
        def decorate(fit):
            method = _fit_context(prefer_skip_nested_validation=prefer_skip_nested_validation)(fit)
            parameters = list(signature(fit).parameters.values())
            takes_any = any(p.kind is Parameter.VAR_KEYWORD for p in parameters)
            by_position = [p.name for p in parameters if p.kind is Parameter.POSITIONAL_OR_KEYWORD]
            names = signature(fit).parameters
            takes_target = "X_target" in names

            @wraps(method)
            def checked(self, *args, **kwargs):
                if takes_target and len(args) >= len(by_position):
                    given = ", ".join(by_position[1:])
                    raise TypeError(
                        f"{fit.__name__}: {len(args)} arguments were given by position, but only "
                        f"{given} may be; name the others, as in {fit.__name__}({given}, "
                        "X_target=X_target)."
                    )
                unknown = [name for name in kwargs if name not in names]
                if takes_target and unknown and not takes_any:
                    raise TypeError(
                        f"{fit.__name__} of {type(self).__name__} takes no {unknown[0]!r}; the "
                        f"target is X_target, and the parameters are {', '.join(list(names)[1:])}."
                    )
                return method(self, *args, **kwargs)

            return checked

        return decorate


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
