"""One discriminator of domains per class, all of them at once."""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn


class _ClasswiseLinear(nn.Module):
    """One linear map per class."""

    def __init__(self, n_classes, in_features, out_features):
        super().__init__()
        # As nn.Linear starts.
        bound = 1 / math.sqrt(in_features)
        weight = torch.empty(n_classes, in_features, out_features).uniform_(-bound, bound)
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.empty(n_classes, 1, out_features).uniform_(-bound, bound))

    def forward(self, x):
        """Map x of shape (n_classes, n, in_features)."""
        return torch.baddbmm(self.bias, x, self.weight)


class ClasswiseDiscriminator(nn.Module):
    """As many networks as classes, each of which tells source from target features.

    All are evaluated by batched products. Hidden layers are linear maps with ReLU and dropout.

    Parameters
    ----------
    in_features : int
        Width of the features.

    n_classes : int
        How many discriminators there are.

    hidden_layer_sizes : tuple of int, default=(100, 100)
        Width of every hidden layer of each.

    dropout : float, default=0.0
        Probability that a hidden unit is dropped during training.

    Examples
    --------
    >>> import torch
    >>> from skda.nn import ClasswiseDiscriminator
    >>> discriminate = ClasswiseDiscriminator(4, n_classes=3)
    >>> discriminate(torch.zeros(8, 4)).shape
    torch.Size([8, 3])
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        *,
        hidden_layer_sizes: Sequence[int] = (100, 100),
        dropout: float = 0.0,
    ):
        super().__init__()
        self.n_classes = n_classes
        sizes = [in_features, *hidden_layer_sizes, 1]
        self.layers = nn.ModuleList(_ClasswiseLinear(n_classes, *pair) for pair in pairwise(sizes))
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: torch.Tensor, scale: torch.Tensor | None = None) -> torch.Tensor:
        """Return logits of the target domain.

        Parameters
        ----------
        features : torch.Tensor of shape (n, in_features)
            Features.

        scale : torch.Tensor of shape (n, n_classes), default=None
            By what the features are multiplied for the discriminator of every class.

        Returns
        -------
        logits : torch.Tensor of shape (n, n_classes)
            One of every discriminator.
        """
        x = features.expand(self.n_classes, *features.shape)
        if scale is not None:
            x = x * scale.T[:, :, None]
        for depth, layer in enumerate(self.layers):
            x = layer(self.dropout(x.relu()) if depth else x)
        return x[:, :, 0].T
