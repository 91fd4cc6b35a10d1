"""One discriminator of domains per class, all of them at once."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import nn

from skda.nn._networks import widths_of

# Of more classes a step trains those that its rows are most predicted to be of: with all of 1000
# it takes 100 times as long as one of DANN, most of it in the optimiser.
CLASSES_OF_A_STEP = 32


def busiest_classes(
    source_probabilities: torch.Tensor,
    target_probabilities: torch.Tensor,
    n_classes: int = CLASSES_OF_A_STEP,
) -> tuple[torch.Tensor | None, float | torch.Tensor]:
    """Return the classes that the rows of two domains are most predicted to be of.

    Parameters
    ----------
    source_probabilities : torch.Tensor of shape (n_source, n_all)
        Predictions of a batch, which may be weighed by class.

    target_probabilities : torch.Tensor of shape (n_target, n_all)
        The same of the target.

    n_classes : int, default=32
        How many.

    Returns
    -------
    classes : torch.Tensor of int64 of shape (n_classes,) or None
        In ascending order; None, for all of them, if there are no more.

    coverage : torch.Tensor of shape () or float
        Share of the predictions that is theirs, both domains counting the same; at least the
        share of the classes that they are.

    Examples
    --------
    >>> import torch
    >>> from skda.nn import busiest_classes
    >>> source, target = torch.tensor([[0.5, 0.5, 0.0]]), torch.tensor([[0.1, 0.2, 0.7]])
    >>> classes, coverage = busiest_classes(source, target, 2)
    >>> classes.tolist(), round(coverage.item(), 2)
    ([1, 2], 0.7)
    """
    if source_probabilities.shape[1] <= n_classes:
        return None, 1.0
    shares = source_probabilities.detach().mean(dim=0) + target_probabilities.detach().mean(dim=0)
    classes = shares.topk(n_classes).indices.sort().values
    return classes, shares[classes].sum() / shares.sum()


class _ClasswiseLinear(nn.Module):
    """One linear map per class."""

    def __init__(self, n_classes, in_features, out_features):
        super().__init__()
        # As nn.Linear starts.
        bound = 1 / math.sqrt(in_features)
        weight = torch.empty(n_classes, in_features, out_features).uniform_(-bound, bound)
        self.weight = nn.Parameter(weight)
        self.bias = nn.Parameter(torch.empty(n_classes, 1, out_features).uniform_(-bound, bound))

    def of(self, classes):
        """Return weights of shape (n, in_features, out_features) and biases."""
        if classes is None:
            return self.weight, self.bias
        return self.weight[classes], self.bias[classes]


class _ManyNetworks(nn.ModuleList):
    """The maps of many classes: a parameter per class, so that those without a gradient rest."""

    def __init__(self, n_classes, shapes):
        super().__init__()
        self.shapes = shapes
        self.networks = nn.ParameterList(self._start() for _ in range(n_classes))

    def _start(self):
        parts = [
            torch.empty((n_in + 1) * n_out).uniform_(-1 / math.sqrt(n_in), 1 / math.sqrt(n_in))
            for n_in, n_out in self.shapes
        ]
        return nn.Parameter(torch.cat(parts))

    def of(self, classes):
        """Return weights of shape (n, in_features, out_features) and biases of every layer."""
        numbers = range(len(self.networks)) if classes is None else classes.tolist()
        chosen = torch.stack([self.networks[number] for number in numbers])
        # Weights and bias of a layer after those of the one before it.
        sizes = [size for n_in, n_out in self.shapes for size in (n_in * n_out, n_out)]
        parts = iter(chosen.split(sizes, dim=1))
        return [
            (next(parts).view(-1, n_in, n_out), next(parts).view(-1, 1, n_out))
            for n_in, n_out in self.shapes
        ]


class ClasswiseDiscriminator(nn.Module):
    """As many networks as classes, each of which tells source from target features.

    They are evaluated by batched products. Hidden layers are linear maps with ReLU and dropout. Of
    more than 32 classes every network is a parameter of its own, at which an optimiser does not
    look in a step without it.

    Parameters
    ----------
    in_features : int
        Width of the features.

    n_classes : int
        How many discriminators there are.

    hidden_layer_sizes : tuple of int or int, default=(100, 100)
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
        hidden_layer_sizes: Sequence[int] | int = (100, 100),
        dropout: float = 0.0,
    ):
        super().__init__()
        self.n_classes = n_classes
        sizes = [in_features, *widths_of("hidden_layer_sizes", hidden_layer_sizes), 1]
        shapes = list(pairwise(sizes))
        self.layers: nn.ModuleList
        if n_classes > CLASSES_OF_A_STEP:
            self.layers = _ManyNetworks(n_classes, shapes)
        else:
            self.layers = nn.ModuleList(_ClasswiseLinear(n_classes, *pair) for pair in shapes)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        features: torch.Tensor,
        scale: torch.Tensor | None = None,
        classes: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return logits of the target domain.

        Parameters
        ----------
        features : torch.Tensor of shape (n, in_features)
            Features.

        scale : torch.Tensor of shape (n, n_classes), default=None
            By what the features are multiplied for the discriminator of every class, one column
            for each of `classes` if these are given.

        classes : torch.Tensor of int64 of shape (n_chosen,), default=None
            Whose discriminators are asked; None is all.

        Returns
        -------
        logits : torch.Tensor of shape (n, n_classes) or (n, n_chosen)
            One of every discriminator.
        """
        layers: Any = self.layers
        many = isinstance(layers, _ManyNetworks)
        maps = layers.of(classes) if many else [layer.of(classes) for layer in layers]
        x = features.expand(len(maps[0][0]), *features.shape)
        if scale is not None:
            x = x * scale.T[:, :, None]
        for depth, (weight, bias) in enumerate(maps):
            x = torch.baddbmm(bias, self.dropout(x.relu()) if depth else x, weight)
        return x[:, :, 0].T
