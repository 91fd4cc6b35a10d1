"""The network that is used for series and sound where the user gives none."""

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

# Defaults by accuracy in %, on held-out source rows / on the target with DANN, with 400 rows a
# domain, 30 epochs and 2 random states each; machine faults at other speeds and resonances than
# the defaults, activity with another mounting and tempo (less than 10 apart may be chance):
#                                    faults         activity
#     as they are                    99.1 / 83.3    98.9 / 67.0
#     kernels of 3                   92.9 / 67.7    98.2 / 57.7
#     the same, 64 features          -              99.4 / 64.4
#     2 blocks of 32 and 64          -              99.1 / 63.1
#     stem of twice the stride       99.0 / 66.7    (is not strided)
#     the same, kernels of 7         99.2 / 69.0    -
_SHORTEST = 4
# The stem leaves at least so many positions, unless its stride is at its limit: 1 ms of sound at
# 16 kHz.
_POSITIONS, _LONGEST_STRIDE = 256, 16
_KERNEL_OF_STEM = 7  # at a stride of 1


def _convolution(in_channels, out_channels, kernel_size, batch_norm, stride=1):
    """A convolution that keeps all positions but for its stride, and its batch norm."""
    layers: list[nn.Module] = [
        nn.Conv1d(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=kernel_size // 2,
            bias=not batch_norm,
        )
    ]
    if batch_norm:
        layers.append(nn.BatchNorm1d(out_channels))
    return layers


class _ResidualBlock(nn.Module):
    """Two convolutions, and a shortcut past them that sees one position at a time."""

    def __init__(self, in_channels, out_channels, kernel_size, batch_norm, stride):
        super().__init__()
        self.residual = nn.Sequential(
            *_convolution(in_channels, out_channels, kernel_size, batch_norm, stride),
            nn.ReLU(),
            *_convolution(out_channels, out_channels, kernel_size, batch_norm),
        )
        self.shortcut = nn.Sequential(
            *_convolution(in_channels, out_channels, 1, batch_norm, stride)
        )

    def forward(self, X):
        return torch.relu(self.residual(X) + self.shortcut(X))


class SeriesNet(nn.Sequential):
    """Residual convolutional network from series to features.

    In the spirit of the residual network of [1]_, and smaller: a convolution ``stem``, blocks
    ``block1``, ``block2``, ... of two convolutions each with a shortcut past them, all
    batch-normalised, and the mean over time, so that it matters little when something happens.

    What is long is shortened first. The stride of the stem doubles from 1 to at most 16 as long as
    256 positions are left, and its filters are then four strides and one wide, 7 at a stride of 1.
    Every block halves what still has 16 positions or more.

    Parameters
    ----------
    in_channels : int
        Number of channels of the series.

    length : int
        Values per channel of a series, at least 4.

    channels : tuple of int, default=(16, 16, 32, 32)
        Channels of the stem and of the blocks; the last are the features.

    kernel_size : int, default=5
        Width of the convolutions in the blocks, odd.

    dropout : float, default=0.0
        Probability that a feature is dropped during training.

    batch_norm : bool, default=True
        Whether layers are batch-normalised.

    Raises
    ------
    ValueError
        If series are too short, the kernel is even or there are no channels.

    References
    ----------
    .. [1] Z. Wang, W. Yan, T. Oates. Time Series Classification from Scratch with Deep Neural
       Networks: A Strong Baseline. IJCNN 2017.

    Examples
    --------
    >>> import torch
    >>> from skda.nn import SeriesNet
    >>> SeriesNet(3, 128)(torch.zeros(5, 3, 128)).shape
    torch.Size([5, 32])
    """

    def __init__(
        self,
        in_channels: int,
        length: int,
        *,
        channels: Sequence[int] = (16, 16, 32, 32),
        kernel_size: int = 5,
        dropout: float = 0.0,
        batch_norm: bool = True,
    ):
        _check(length, channels, kernel_size)
        stride = _stride_of_stem(length)
        width = 4 * stride + 1 if stride > 1 else _KERNEL_OF_STEM
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["stem"] = nn.Sequential(
            *_convolution(in_channels, channels[0], width, batch_norm, stride), nn.ReLU()
        )
        positions = -(-length // stride)
        for number, (before, after) in enumerate(pairwise(channels), start=1):
            stride = 2 if positions >= 16 else 1
            layers[f"block{number}"] = _ResidualBlock(
                before, after, kernel_size, batch_norm, stride
            )
            positions = -(-positions // stride)
        layers["pool"] = nn.AdaptiveAvgPool1d(1)
        layers["flatten"] = nn.Flatten()
        if dropout:
            layers["dropout"] = nn.Dropout(dropout)
        super().__init__(layers)


def _check(length, channels, kernel_size):
    if length < _SHORTEST:
        raise ValueError(
            f"SeriesNet needs series of at least {_SHORTEST} values, got length={length}; pass "
            "them as the columns of a table, or give a module of your own."
        )
    if len(channels) == 0:
        raise ValueError(f"channels={channels!r} must hold at least one width, that of the stem.")
    if kernel_size % 2 == 0:
        raise ValueError(f"kernel_size={kernel_size!r} must be odd, to have a middle.")


def _stride_of_stem(length):
    stride = 1
    while stride < _LONGEST_STRIDE and length >= 2 * stride * _POSITIONS:
        stride *= 2
    return stride
