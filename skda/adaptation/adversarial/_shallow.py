"""What DANN's shallow solver takes, and the network that it trains."""

import reprlib
from numbers import Integral

from torch import nn

from skda.nn import MLP
from skda.training import AdaptationModule

_SHARED = {
    "solver",
    "trade_off",
    "standardize",
    "lr",
    "max_epochs",
    "early_stopping",
    "validation_fraction",
    "n_iter_no_change",
    "device",
    "callbacks",
    "verbose",
    "random_state",
    "module__hidden_layer_sizes",
}
_SHARED_PREFIXES = ("callbacks__", "iterator_valid__")


def check_shallow_params(estimator):
    """Raise if a parameter was changed that only the deep solver knows.

    Parameters
    ----------
    estimator : estimator
        With ``solver="shallow"``.

    Raises
    ------
    ValueError
        That names the parameter and its value.
    """
    defaults = type(estimator)().get_params(deep=False)
    for name, value in estimator.get_params(deep=False).items():
        if name in _SHARED or name.startswith(_SHARED_PREFIXES):
            continue
        if name in defaults and (value is defaults[name] or value == defaults[name]):
            continue
        unset = f"leave it at {defaults[name]!r}" if name in defaults else "leave it out"
        raise ValueError(
            f"{name}={reprlib.repr(value)} is of no use to solver='shallow', which trains one "
            f"layer of sigmoid units row by row; {unset}, or take solver='deep'. The shallow "
            "solver knows "
            f"{', '.join(sorted(_SHARED))}."
        )


def make_shallow_network(input_shape, n_classes, *, hidden_layer_sizes=(64,), **module_params):
    """Build a network with one layer of sigmoid units.

    Parameters
    ----------
    input_shape : tuple of int
        Of a row.

    n_classes : int
        Number of classes.

    hidden_layer_sizes : tuple of int, default=(64,)
        The width of the layer.

    **module_params : keywords
        Of :class:`skda.training.AdaptationModule`.

    Returns
    -------
    module : AdaptationModule
        With uniform weights of Glorot's width, and biases of 0.

    widths : dict of str to int
        Of the features and logits.

    Raises
    ------
    ValueError
        If rows are images, or if there is not one layer.
    """
    if len(input_shape) != 1:
        raise ValueError(
            f"solver='shallow' takes tables, but X holds images of shape {input_shape}; take "
            "solver='deep', or features of the images."
        )
    sizes = tuple(hidden_layer_sizes) if isinstance(hidden_layer_sizes, tuple | list) else ()
    if len(sizes) != 1 or not isinstance(sizes[0], Integral) or sizes[0] < 1:
        raise ValueError(
            f"module__hidden_layer_sizes={hidden_layer_sizes!r}: solver='shallow' has one hidden "
            "layer; give a tuple of one width, such as (64,)."
        )
    backbone = MLP(
        input_shape[0], hidden_layer_sizes=sizes, batch_norm=False, activation=nn.Sigmoid
    )
    head = nn.Linear(sizes[0], n_classes)
    for layer in (*backbone.modules(), head):
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    module = AdaptationModule(backbone, head, layers=("features", "logits"), **module_params)
    return module, {"features": sizes[0], "logits": n_classes}


def make_domain_unit(n_features):
    """Return a logistic unit on features that starts undecided.

    Parameters
    ----------
    n_features : int
        Number of features.

    Returns
    -------
    unit : torch.nn.Linear
        With all weights 0.
    """
    unit = nn.Linear(n_features, 1)
    nn.init.zeros_(unit.weight)
    nn.init.zeros_(unit.bias)
    return unit
