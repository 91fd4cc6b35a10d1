"""Parameters that are declared once: dataclass fields, and skorch's ``prefix__name`` keywords."""

import inspect
from dataclasses import dataclass, field, is_dataclass
from difflib import get_close_matches
from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from sklearn.base import BaseEstimator

from skda.estimators._declaration import check_declaration
from skda.estimators._docs import inherit_entries

if TYPE_CHECKING:
    from typing_extensions import Self, dataclass_transform
else:

    def dataclass_transform(**_):  # of Python 3.11; only type checkers look at it
        return lambda cls: cls


T = TypeVar("T")

# What other libraries call a parameter of ours.
_OUR_NAMES = {
    "accumulate_grad_batches": "gradient_accumulation_steps",
    "activation_checkpointing": "gradient_checkpointing",
    "alpha": "optimizer__weight_decay",
    "backbone": "module",
    "dropout": "module__dropout",
    "epochs": "max_epochs",
    "grad_checkpointing": "gradient_checkpointing",
    "hidden_layer_sizes": "module__hidden_layer_sizes",
    "lambda_": "trade_off",
    "learning_rate": "lr",
    "learning_rate_init": "lr",
    "max_iter": "max_epochs",
    "n_epochs": "max_epochs",
    "num_epochs": "max_epochs",
    "random_seed": "random_state",
    "seed": "random_state",
    "solver": "optimizer",
    "weight_decay": "optimizer__weight_decay",
}
_ADVICE = {
    "learning_rate": "and lr_schedule says how it changes",
}


@dataclass_transform(eq_default=False, kw_only_default=True, field_specifiers=(field,))
def estimator(cls: type[T]) -> type[T]:
    """Turn annotated class attributes into the keyword-only parameters of an estimator.

    Subclasses inherit the parameters, may add some, change defaults, and drop one by declaring it
    a ``ClassVar``. The signature shows all of them, and the docstring takes over the parent's
    entries for what it does not describe itself. Subclasses of
    :class:`skda.base.DeepAdaptationClassifier` are turned by themselves: there the decorator says
    what is so already.

    Parameters
    ----------
    cls : type
        A subclass of :class:`sklearn.base.BaseEstimator`.

    Returns
    -------
    cls : type
        The same class with an ``__init__``.

    Examples
    --------
    >>> from skda.base import DeepAdaptationClassifier, estimator
    >>> @estimator
    ... class MeanDistanceClassifier(DeepAdaptationClassifier):
    ...     @staticmethod
    ...     def alignment(source, target, power=2):
    ...         return (source.mean(dim=0) - target.mean(dim=0)).norm() ** power
    ...     trade_off: float = 0.5
    >>> MeanDistanceClassifier().trade_off
    0.5
    >>> MeanDistanceClassifier(alignment__power=1, max_epochs=20)
    MeanDistanceClassifier(alignment__power=1, max_epochs=20)
    """
    if not issubclass(cls, PrefixedParams):  # which does so by itself
        _declare(cls)
    return cls


def _declare(cls):
    """Give a class the ``__init__``, the signature and the docstring of its parameters."""
    own_doc = cls.__doc__
    parent = next(filter(is_dataclass, cls.__mro__[1:]), None)
    dataclass(kw_only=True, repr=False, eq=False)(cls)
    cls.__doc__ = own_doc  # a dataclass without one gets its signature
    names = list(inspect.signature(cls).parameters)
    if issubclass(cls, PrefixedParams):
        names = [*names, _take_prefixed_params(cls, names)]
    if own_doc and parent and parent.__doc__:
        cls.__doc__ = inherit_entries(own_doc, parent.__doc__, names)
    constraints = [vars(part).get("_parameter_constraints", {}) for part in reversed(cls.__mro__)]
    cls._parameter_constraints = {name: c for part in constraints for name, c in part.items()}


def _take_prefixed_params(cls, names):
    """Let the constructor take keywords of any name; return what the signature calls them."""
    init = cls.__init__
    explicit = inspect.signature(init).parameters.values()

    @wraps(init)
    def __init__(self, *args, **params):
        init(self, *args, **{name: params.pop(name) for name in names if name in params})
        unknown = {name: params.pop(name) for name in [*params] if not self._is_prefixed(name)}
        vars(self).update(params)
        if unknown:  # an error of fit, as scikit-learn wants it
            self._unknown_params = unknown

    more = inspect.Parameter("prefixed_params", inspect.Parameter.VAR_KEYWORD)
    vars(__init__)["__signature__"] = inspect.Signature([*explicit, more])
    cls.__init__ = __init__
    return more.name


@dataclass_transform(eq_default=False, kw_only_default=True, field_specifiers=(field,))
class PrefixedParams(BaseEstimator):
    """Base of estimators with parameters that are declared, and keywords that have a prefix.

    A subclass declares parameters as annotated attributes, see :func:`estimator`, and names in
    ``keyword_prefixes`` which keywords it takes beside those of its parents. Whatever is declared
    in a way that would be passed over is an error when the class is made.
    """

    # Keywords such as module__dropout.
    keyword_prefixes: ClassVar[tuple[str, ...]] = ()
    net_prefixes: ClassVar[tuple[str, ...]] = ()

    # What scikit-learn checks; a class has those of its parents too.
    _parameter_constraints: ClassVar[dict[str, Any]]

    # Methods that a subclass may write, beside those of scikit-learn.
    _hooks: ClassVar[tuple[str, ...]] = ()
    # Those that a method has no use for, so that a subclass would write them in vain.
    idle_hooks: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        check_declaration(cls)
        _declare(cls)

    @classmethod
    def _prefixes(cls):
        return (*cls.keyword_prefixes, *cls.net_prefixes)

    @classmethod
    def _is_prefixed(cls, name):
        # Asked of every attribute, a dozen times a fit: most have no two underscores.
        if "__" not in name:
            return False
        return name.startswith(tuple(f"{prefix}__" for prefix in cls._prefixes()))

    def _own_prefixed_params(self):
        given = {name: value for name, value in vars(self).items() if self._is_prefixed(name)}
        return {**given, **vars(self).get("_unknown_params", {})}

    def params_for(self, prefix: str) -> dict[str, Any]:
        """Return the keywords given as ``prefix__name``, by name.

        Parameters
        ----------
        prefix : str
            Without the two underscores.

        Returns
        -------
        params : dict
            Values by the rest of the name.
        """
        start = f"{prefix}__"
        return {
            name.removeprefix(start): value
            for name, value in self._own_prefixed_params().items()
            if name.startswith(start)
        }

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters, with the ``prefix__name`` keywords that were given.

        Parameters
        ----------
        deep : bool, default=True
            Whether parameters of nested estimators are returned too.

        Returns
        -------
        params : dict
            Value by name.
        """
        return {**super().get_params(deep=deep), **self._own_prefixed_params()}

    def set_params(self, **params: Any) -> "Self":
        """Set parameters, ``prefix__name`` keywords among them.

        Parameters
        ----------
        **params : dict
            Value by name.

        Returns
        -------
        self : estimator
            This estimator.

        Raises
        ------
        ValueError
            If a name is not known.
        """
        prefixed = {name: params.pop(name) for name in list(params) if self._is_prefixed(name)}
        super().set_params(**params)
        vars(self).update(prefixed)
        return self

    def _check_param_names(self):
        """Raise for a keyword that the constructor took but nobody knows."""
        for name in vars(self).get("_unknown_params", ()):
            valid = sorted(self._get_param_names())
            raise TypeError(
                f"{type(self).__name__} has no parameter {name!r}{self._hint(name, valid)} Valid "
                f"parameters are {', '.join(valid)}, and keywords that start with "
                f"{', '.join(f'{prefix}__' for prefix in self._prefixes())}."
            )

    def _hint(self, name, valid):
        """Return what to write instead of an unknown name."""
        ours = _OUR_NAMES.get(name)
        if ours in valid or (ours is not None and self._is_prefixed(ours)):
            advice = f", {_ADVICE[name]}" if name in _ADVICE else ""
            return f"; here it is {ours!r}{advice}."
        prefixes = [f"{prefix}__" for prefix in self._prefixes()]
        prefix, separator, rest = name.partition("__")
        near = get_close_matches(prefix + separator, prefixes, n=1) if separator else ()
        if near:
            return f"; did you mean {near[0] + rest!r}?"
        near = get_close_matches(prefix, valid, n=1)
        return f"; did you mean {near[0]!r}?" if near else "."
