"""Networks that a class or function makes for rows of one shape."""

import functools
import inspect
import types
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import nn

from skda.nn import MLP, ConvNet, SeriesNet

# What a class or function can learn of the rows.
_SIZES = ("in_features", "in_channels", "image_size", "length")


def asks_for_rows(factory: Any) -> bool:
    """Return whether a class or factory has to know the rows before it is called.

    A library's own classes and functions, and every function, that take no size need not; what
    they make can say how images become its inputs. Other classes are always called late.

    Parameters
    ----------
    factory : callable or None
        A class or function.

    Returns
    -------
    asks : bool
        Whether it has to.

    Examples
    --------
    >>> from skda.backbones._factories import asks_for_rows
    >>> from skda.nn import MLP
    >>> asks_for_rows(MLP), asks_for_rows(lambda: MLP(8))
    (True, False)
    """
    is_function = isinstance(_target(factory), types.FunctionType | types.MethodType)
    if not is_function and not is_library_function(factory):
        return True
    return bool(set(inspect.signature(factory).parameters) & set(_SIZES))


def _target(factory):
    while isinstance(factory, functools.partial):
        factory = factory.func
    return factory


def is_library_function(factory: Any) -> bool:
    """Return whether a class or function, or what a partial calls, is of a library of networks."""
    owner = (getattr(_target(factory), "__module__", None) or "").partition(".")[0]
    return owner in ("timm", "torchvision", "transformers")


def gives_weights(factory: Any, keywords: Mapping[str, Any]) -> bool:
    """Return whether a function of a library, called with keywords, is asked for weights.

    Parameters
    ----------
    factory : callable
        A function, or a partial of one.

    keywords : dict
        Those given as ``module__*``.

    Returns
    -------
    gives : bool
        Whether trained weights come with what it returns.

    Examples
    --------
    >>> from functools import partial
    >>> from skda.backbones._factories import gives_weights
    >>> from skda.nn import MLP
    >>> gives_weights(partial(MLP, 8), {})
    False
    """
    if not is_library_function(factory):
        return False
    if getattr(_target(factory), "__name__", "") == "from_pretrained":
        return True
    if isinstance(factory, functools.partial):  # nested ones are one
        keywords = {**factory.keywords, **keywords}
    return bool(keywords.get("pretrained")) or keywords.get("weights") is not None


def build_backbone(
    factory: Any, input_shape: Sequence[int], keywords: Mapping[str, Any]
) -> nn.Module:
    """Build a network for rows of one shape.

    Parameters
    ----------
    factory : callable or None
        A class or function; it gets ``in_features`` (tables), ``in_channels`` and ``image_size``
        (images), ``in_channels`` and ``length`` (series) where it has parameters of these names.
        None is :class:`skda.nn.MLP`, :class:`skda.nn.ConvNet` or :class:`skda.nn.SeriesNet`.

    input_shape : tuple of int
        (n_features,), (n_channels, height, width) or (n_channels, length).

    keywords : dict
        Those given as ``module__*``.

    Returns
    -------
    module : torch.nn.Module
        The network.

    Raises
    ------
    TypeError
        If the factory does not take a keyword, or returns no module.
    """
    default, sizes = _for_shape(input_shape)
    factory = factory or default
    check_keywords("module", factory, keywords)
    taken = inspect.signature(factory).parameters
    sizes = {name: size for name, size in sizes.items() if name in taken}
    module = factory(**{**sizes, **keywords})
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"module: {factory!r} returned {type(module).__name__}, no torch.nn.Module."
        )
    return module


def _for_shape(input_shape):
    """Return the default network for rows of one shape, and what is said of it to a factory."""
    if isinstance(input_shape, Mapping):  # inputs by name
        return None, {}
    if len(input_shape) == 1:
        return MLP, {"in_features": input_shape[0]}
    n_channels, *sides = input_shape
    if len(sides) == 1:
        return SeriesNet, {"in_channels": n_channels, "length": sides[0]}
    return ConvNet, {"in_channels": n_channels, "image_size": tuple(sides)}


def check_keywords(
    prefix: str, function: Any, keywords: Mapping[str, Any], also: Iterable[str] = ()
) -> None:
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
