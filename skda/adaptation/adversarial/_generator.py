"""A generator of corresponding rows of two domains."""

import math

import torch
from torch import nn

from skda.nn import widths_of

# Maps of this size or less, in pixels a side, are made from noise, and doubled from there on.
_LARGEST_START = 8
_FEWEST_CHANNELS = 16


class CoupledGenerator(nn.Module):
    """Makes a row of the source and one of the target from the same noise.

    All layers but the last are shared, so that both rows show the same. They have batch norms and
    PReLUs; for tables they are linear, for images a linear one and transposed convolutions of
    stride 2, as many as it takes from a map of at most 8 x 8 pixels to the size of the images. The
    last layer, of the same kind, is private, and that of the target starts as a copy of that of the
    source; a sigmoid takes it to the range of the domain.

    Parameters
    ----------
    latent_size : int
        Number of noise variables.

    row_shape : tuple of int
        (n_features,) or (n_channels, height, width).

    hidden_layer_sizes : tuple of int, default=(128, 128)
        Width of every shared layer, for tables.

    channels : int, default=128
        Number of maps of the first layer, for images; every later one has half as many, and at
        least 16.

    Examples
    --------
    >>> import torch
    >>> from skda.adaptation.adversarial import CoupledGenerator
    >>> source, target = CoupledGenerator(10, (1, 28, 20))(torch.randn(5, 10))
    >>> source.shape, target.shape
    (torch.Size([5, 1, 28, 20]), torch.Size([5, 1, 28, 20]))
    """

    last: nn.ModuleList
    low: torch.Tensor
    width: torch.Tensor

    def __init__(self, latent_size, row_shape, *, hidden_layer_sizes=(128, 128), channels=128):
        super().__init__()
        self.latent_size, self.row_shape = latent_size, tuple(row_shape)
        if len(row_shape) == 1:
            sizes = widths_of("hidden_layer_sizes", hidden_layer_sizes)
            self.shared = nn.Sequential(*_linear_layers(latent_size, sizes))
            widths = [latent_size, *sizes]
            last = [nn.Linear(widths[-1], *row_shape) for _ in range(2)]
        else:
            n_channels, *size = row_shape
            layers, channels = _image_layers(latent_size, size, channels)
            self.shared = nn.Sequential(*layers)
            last = [_doubling(channels, n_channels) for _ in range(2)]
        # Alike, so that both rows of a pair show the same before the game begins.
        last[1].load_state_dict(last[0].state_dict())
        self.last = nn.ModuleList(last)
        by_column = (row_shape[0], *(1 for _ in row_shape[1:]))
        self.register_buffer("low", torch.zeros(2, *by_column))
        self.register_buffer("width", torch.ones(2, *by_column))

    def set_ranges(self, *ranges):
        """Say where the rows of each domain lie; until then it is from 0 to 1.

        Parameters
        ----------
        *ranges : pairs of torch.Tensor of shape (n_columns,)
            Of the source and of the target the smallest and the largest value of every column,
            or channel.
        """
        for number, (low, high) in enumerate(ranges):
            self.low[number] = low.view_as(self.low[number])
            self.width[number] = (high - low).view_as(self.low[number])

    def forward(self, noise):
        """Return rows of the source and of the target.

        Parameters
        ----------
        noise : torch.Tensor of shape (n, latent_size)
            Standard normal.

        Returns
        -------
        source, target : torch.Tensor of shape (n, n_features) or (n, C, H, W)
            Row by row of the same noise.
        """
        hidden = self.shared(noise)
        return tuple(
            low + width * self._crop(last(hidden)).sigmoid()
            for last, low, width in zip(self.last, self.low, self.width, strict=True)
        )

    def _crop(self, rows):
        """Cut images whose size is no multiple of what doubling makes."""
        if len(self.row_shape) == 1:
            return rows
        _, height, width = self.row_shape
        return rows[..., :height, :width]


def _linear_layers(width, hidden_layer_sizes):
    layers = []
    for size in hidden_layer_sizes:
        layers += [nn.Linear(width, size, bias=False), nn.BatchNorm1d(size), nn.PReLU()]
        width = size
    return layers


def _image_layers(latent_size, size, channels):
    """Return layers up to half of the size of the images, and how many maps they give."""
    n_doublings = max(1, math.ceil(math.log2(max(size) / _LARGEST_START)))
    start = [-(-side // 2**n_doublings) for side in size]
    layers = [
        nn.Linear(latent_size, channels * math.prod(start), bias=False),
        nn.Unflatten(1, (channels, *start)),
        nn.BatchNorm2d(channels),
        nn.PReLU(),
    ]
    for _ in range(n_doublings - 1):
        fewer = max(channels // 2, _FEWEST_CHANNELS)
        layers += [_doubling(channels, fewer, bias=False), nn.BatchNorm2d(fewer), nn.PReLU()]
        channels = fewer
    return layers, channels


def _doubling(in_channels, out_channels, *, bias=True):
    return nn.ConvTranspose2d(in_channels, out_channels, 4, stride=2, padding=1, bias=bias)
