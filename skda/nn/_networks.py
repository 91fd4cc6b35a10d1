"""The networks that are used where the user gives none."""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from numbers import Integral
from typing import Any, ClassVar

import torch
from torch import nn

# Of a layer: 400 MB, and four times that in training.
_MOST_WEIGHTS = 1e8

_NARROW, _WIDE = (128, 64), (512, 128)
# Numbers of columns that get the wider network.
_WIDE_TABLES = range(128, 1025)


def widths_of(name: str, value: Any) -> tuple[int, ...]:
    """Return the widths of layers, of which one may come without a tuple, as in scikit-learn.

    Parameters
    ----------
    name : str
        Of the parameter.

    value : int or sequence of int
        Each 1 or more.

    Returns
    -------
    widths : tuple of int
        Of every layer.

    Raises
    ------
    ValueError
        If it is something else.
    """
    is_scalar = not isinstance(value, Iterable) or getattr(value, "ndim", 1) == 0
    widths: tuple[Any, ...] = (value,) if is_scalar else tuple(value)
    are_whole = all(isinstance(w, Integral) and not isinstance(w, bool) for w in widths)
    if not are_whole or any(w < 1 for w in widths):
        raise ValueError(
            f"{name} must be whole numbers of 1 or more, such as (128, 64) for two layers, got "
            f"{value!r}."
        )
    return tuple(int(w) for w in widths)


def _dense(in_features, out_features, dropout, batch_norm, activation):
    layers: list[nn.Module] = [nn.Linear(in_features, out_features, bias=not batch_norm)]
    if batch_norm:
        layers.append(nn.BatchNorm1d(out_features))
    layers.append(activation())
    if dropout:
        layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers)


def _dense_stack(in_features, hidden_layer_sizes, dropout, batch_norm, activation: Any = nn.ReLU):
    layers = OrderedDict()
    widths = widths_of("hidden_layer_sizes", hidden_layer_sizes)
    for number, width in enumerate(widths, start=1):
        layers[f"hidden{number}"] = _dense(in_features, width, dropout, batch_norm, activation)
        in_features = width
    return layers


class MLP(nn.Sequential):
    """Multi-layer perceptron from a table to features.

    Every hidden layer is a linear map, batch normalisation, activation and dropout. The layers are
    called ``hidden1``, ``hidden2``, ...; the last one gives the features.

    Parameters
    ----------
    in_features : int
        Number of input features.

    hidden_layer_sizes : tuple of int, int or "auto", default="auto"
        Width of every hidden layer; an int is one layer. ``"auto"`` is (512, 128) for 128 to 1,024
        input features, such as pixels or visual words, and (128, 64) for fewer and for more: with
        more the first layer has more weights than the wide one here, and each step takes longer.

    dropout : float, default=0.0
        Probability that a hidden unit is dropped during training.

    batch_norm : bool, default=True
        Whether hidden layers are batch-normalised.

    activation : class or factory, default=torch.nn.ReLU
        Makes the activation of every hidden layer.

    Examples
    --------
    >>> import torch
    >>> from skda.nn import MLP
    >>> MLP(8, hidden_layer_sizes=(16, 4))(torch.zeros(5, 8)).shape
    torch.Size([5, 4])
    >>> MLP(256)(torch.zeros(5, 256)).shape
    torch.Size([5, 128])
    """

    def __init__(
        self,
        in_features: int,
        *,
        hidden_layer_sizes: Sequence[int] | int | str = "auto",
        dropout: float = 0.0,
        batch_norm: bool = True,
        activation: Callable[[], nn.Module] = nn.ReLU,
    ):
        if isinstance(hidden_layer_sizes, str):
            hidden_layer_sizes = _sizes_by_rule(hidden_layer_sizes, in_features)
        super().__init__(
            _dense_stack(in_features, hidden_layer_sizes, dropout, batch_norm, activation)
        )

    __jit_unused_properties__: ClassVar = ["hidden_layer_sizes"]  # torch.jit.script reads it else

    @property
    def hidden_layer_sizes(self) -> tuple[int, ...]:
        """Width of every hidden layer, by its weights."""
        # By block: a layer that every domain has for itself is several ones.
        found = [[p for p in block.modules() if isinstance(p, nn.Linear)] for block in self]
        return tuple(linear[0].out_features for linear in found if linear)


def _sizes_by_rule(name, in_features):
    if name != "auto":
        raise ValueError(
            "hidden_layer_sizes must be 'auto' or a tuple of widths such as (128, 64), got "
            f"{name!r}."
        )
    return _WIDE if in_features in _WIDE_TABLES else _NARROW


class ConvNet(nn.Sequential):
    """Convolutional network of LeNet's size from images to features.

    Blocks ``conv1``, ``conv2``, ... of convolution, batch normalisation, 2x2 maximum pooling and
    ReLU, then hidden layers ``hidden1``, ... as in :class:`MLP`. Convolutions are 5x5; images
    below 16 pixels get 3x3 ones with padding.

    Parameters
    ----------
    in_channels : int
        Number of channels of the images.

    image_size : tuple of int
        Height and width of the images in pixels, at least 4.

    channels : tuple of int or int, default=(32, 48)
        Channels of the convolutions.

    hidden_layer_sizes : tuple of int or int, default=(100,)
        Width of every hidden layer.

    dropout : float, default=0.0
        Probability that a hidden unit is dropped during training.

    batch_norm : bool, default=True
        Whether layers are batch-normalised.

    Examples
    --------
    >>> import torch
    >>> from skda.nn import ConvNet
    >>> ConvNet(1, (28, 28))(torch.zeros(5, 1, 28, 28)).shape
    torch.Size([5, 100])
    """

    def __init__(
        self,
        in_channels: int,
        image_size: Sequence[int],
        *,
        channels: Sequence[int] | int = (32, 48),
        hidden_layer_sizes: Sequence[int] | int = (100,),
        dropout: float = 0.0,
        batch_norm: bool = True,
    ):
        height, width = image_size
        channels = widths_of("channels", channels)
        sizes = widths_of("hidden_layer_sizes", hidden_layer_sizes)
        if min(height, width) < 2 ** len(channels):
            raise ValueError(
                f"ConvNet pools {len(channels)} times and needs images of at least "
                f"{2 ** len(channels)} pixels a side, got {height} x {width}; "
                "give fewer channels or a module of your own."
            )
        kernel, padding = (5, 0) if min(height, width) >= 16 else (3, 1)
        layers = OrderedDict()
        for number, out_channels in enumerate(channels, start=1):
            block: list[nn.Module] = [
                nn.Conv2d(in_channels, out_channels, kernel, padding=padding, bias=not batch_norm)
            ]
            if batch_norm:
                block.append(nn.BatchNorm2d(out_channels))
            # Pooling first leaves ReLU a quarter of the work and the result as it is.
            layers[f"conv{number}"] = nn.Sequential(*block, nn.MaxPool2d(2), nn.ReLU())
            height, width = ((side - kernel + 1 + 2 * padding) // 2 for side in (height, width))
            in_channels = out_channels
        layers["flatten"] = nn.Flatten()
        n_weights = in_channels * height * width * (*sizes, 0)[0]
        if n_weights > _MOST_WEIGHTS:
            raise ValueError(
                f"ConvNet would need {n_weights:.2g} weights for images of {image_size[0]} x "
                f"{image_size[1]} pixels; make them smaller, with preprocess=dict(size=64) where "
                "they are whole numbers or files, or give more channels or a module of your own."
            )
        layers.update(_dense_stack(in_channels * height * width, sizes, dropout, batch_norm))
        super().__init__(layers)
        # Half of the time of the usual layout on a CPU.
        self.to(memory_format=torch.channels_last)

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Return features of shape (n, n_features)."""
        return super().forward(X.contiguous(memory_format=torch.channels_last))
