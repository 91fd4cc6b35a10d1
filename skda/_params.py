"""Parameters declared once: dataclass fields, and skorch's ``prefix__name`` keywords."""

import inspect
from dataclasses import dataclass, is_dataclass
from difflib import get_close_matches
from functools import wraps

from sklearn.base import BaseEstimator

from skda._docs import inherit_entries


def estimator(cls):
    """Turn annotated class attributes into the keyword-only parameters of an estimator.

    Subclasses inherit the parameters, may add some, change defaults, and drop one by declaring it
    a ``ClassVar``. The signature shows all of them, and the docstring takes over the parent's
    entries for what it does not describe itself. A subclass of :class:`PrefixedParams` also takes
    keywords such as ``module__dropout``, whose prefixes it names in ``_prefixes``.

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
    >>> from typing import ClassVar
    >>> from skda.base import DeepAdaptationClassifier, estimator
    >>> def mean_distance(source, target, power=2):
    ...     return (source.mean(dim=0) - target.mean(dim=0)).norm() ** power
    >>> @estimator
    ... class MeanDistanceClassifier(DeepAdaptationClassifier):
    ...     alignment: ClassVar[object] = staticmethod(mean_distance)
    ...     trade_off: float = 0.5
    >>> MeanDistanceClassifier().trade_off
    0.5
    >>> MeanDistanceClassifier(alignment__power=1, max_epochs=20)
    MeanDistanceClassifier(alignment__power=1, max_epochs=20)
    """
    own_doc = cls.__doc__
    cls = dataclass(kw_only=True, repr=False, eq=False)(cls)
    cls.__doc__ = own_doc  # a dataclass without one gets its signature
    names = list(inspect.signature(cls).parameters)
    if issubclass(cls, PrefixedParams):
        names = [*names, _take_prefixed_params(cls, names)]
    parent = next(filter(is_dataclass, cls.__mro__[1:]), None)
    if own_doc and parent:
        cls.__doc__ = inherit_entries(own_doc, inspect.getdoc(parent), names)
    return cls


def _take_prefixed_params(cls, names):
    """Let the constructor take keywords of any name; return what the signature calls them."""
    init = cls.__init__
    explicit = inspect.signature(init).parameters.values()

    @wraps(init)
    def __init__(self, *args, **params):
        init(self, *args, **{name: params.pop(name) for name in names if name in params})
        vars(self).update(params)  # checked in fit, as scikit-learn wants it

    more = inspect.Parameter("prefixed_params", inspect.Parameter.VAR_KEYWORD)
    __init__.__signature__ = inspect.Signature([*explicit, more])
    cls.__init__ = __init__
    return more.name


class PrefixedParams(BaseEstimator):
    """get_params and set_params that know keywords such as ``module__dropout``."""

    _prefixes = ()

    def _own_prefixed_params(self):
        declared = set(self._get_param_names())
        return {
            name: value
            for name, value in vars(self).items()
            if name not in declared and not name.endswith("_") and not name.startswith("_")
        }

    def _params_for(self, prefix):
        """Return the keywords given as ``prefix__name``, by name."""
        start = f"{prefix}__"
        return {
            name.removeprefix(start): value
            for name, value in self._own_prefixed_params().items()
            if name.startswith(start)
        }

    def get_params(self, deep=True):
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

    def set_params(self, **params):
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
        prefixed = {
            name: params.pop(name)
            for name in list(params)
            if any(name.startswith(f"{prefix}__") for prefix in self._prefixes)
        }
        super().set_params(**params)
        vars(self).update(prefixed)
        return self

    def _check_param_names(self):
        """Raise for a keyword that the constructor took but nobody knows."""
        for name in self._own_prefixed_params():
            if any(name.startswith(f"{prefix}__") for prefix in self._prefixes):
                continue
            valid = sorted(self._get_param_names())
            near = get_close_matches(name.partition("__")[0], valid, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise TypeError(
                f"{type(self).__name__} has no parameter {name!r}{hint} Valid parameters are "
                f"{', '.join(valid)}, and keywords that start with "
                f"{', '.join(f'{prefix}__' for prefix in self._prefixes)}."
            )


def check_keywords(prefix, function, keywords, also=()):
    """Raise if `function` does not take one of the keywords given as ``prefix__name``.

    Parameters
    ----------
    prefix : str
        Of the parameters, for the message.

    function : callable
        A class or factory.

    keywords : iterable of str
        Names without the prefix.

    also : iterable of str, default=()
        Names that are valid beside the signature.

    Raises
    ------
    TypeError
        With the list of the names that are valid.
    """
    parameters = inspect.signature(function).parameters.values()
    if any(parameter.kind == parameter.VAR_KEYWORD for parameter in parameters):
        return
    valid = [p.name for p in parameters if p.kind != p.VAR_POSITIONAL] + list(also)
    for keyword in keywords:
        if keyword not in valid:
            raise TypeError(
                f"{prefix}__{keyword}: {getattr(function, '__name__', function)!s} takes no "
                f"parameter {keyword!r}; valid are "
                f"{', '.join(f'{prefix}__{name}' for name in valid)}."
            )
