"""Networks that a class or function makes for rows of one shape."""

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import nn

from skda.nn import MLP, ConvNet


def build_backbone(
    factory: Any, input_shape: Sequence[int], keywords: Mapping[str, Any]
) -> nn.Module:
    """Build a network for rows of one shape.

    Parameters
    ----------
    factory : callable or None
        A class or function; it gets ``in_features`` (tables), ``in_channels`` and ``image_size``
        (images) where it has parameters of these names. None is :class:`skda.nn.MLP` or
        :class:`skda.nn.ConvNet`.

    input_shape : tuple of int
        (n_features,) or (n_channels, height, width).

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
    is_table = len(input_shape) == 1
    factory = factory or (MLP if is_table else ConvNet)
    check_keywords("module", factory, keywords)
    if is_table:
        sizes = {"in_features": input_shape[0]}
    else:
        sizes = {"in_channels": input_shape[0], "image_size": input_shape[1:]}
    taken = inspect.signature(factory).parameters
    sizes = {name: size for name, size in sizes.items() if name in taken}
    module = factory(**{**sizes, **keywords})
    if not isinstance(module, nn.Module):
        raise TypeError(
            f"module: {factory!r} returned {type(module).__name__}, no torch.nn.Module."
        )
    return module


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
