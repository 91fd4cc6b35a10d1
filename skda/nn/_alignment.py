"""From losses between two batches of features to a loss between two domains."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import torch
from torch import nn

A = TypeVar("A", bound=Callable)


class Activations(dict[str, torch.Tensor]):
    """Activations of one domain's rows by layer: what a joint alignment gets of each domain.

    Beside the chosen layers there are always ``"features"``, the output of the module, and
    ``"logits"``.

    Parameters
    ----------
    activations : dict of str to torch.Tensor of shape (n, ...)
        By layer.

    layers : sequence of str
        The chosen layers, in order.

    labels : torch.Tensor of int64 of shape (n,), default=None
        Class numbers, -100 for unlabeled rows; None if no row is labelled.

    Examples
    --------
    >>> import torch
    >>> from skda.nn import Activations
    >>> source = Activations({"logits": torch.zeros(3, 2)}, ("logits",), torch.tensor([0, 1, 1]))
    >>> source["logits"].shape, source.labels
    (torch.Size([3, 2]), tensor([0, 1, 1]))
    """

    layers: tuple[str, ...]
    labels: Any

    def __init__(
        self,
        activations: Mapping[str, torch.Tensor],
        layers: Iterable[str],
        labels: torch.Tensor | None = None,
    ):
        super().__init__(activations)
        self.layers, self.labels = tuple(layers), labels

    def side_by_side(self) -> torch.Tensor:
        """Return the chosen layers as one batch of features.

        Returns
        -------
        features : torch.Tensor of shape (n, n_features)
            The layers, flattened, in order.
        """
        return torch.cat([self[layer].flatten(1) for layer in self.layers], dim=1)


def joint(alignment: A) -> A:
    """Mark a function or module class as an alignment that sees all layers at once.

    Other alignments are called for every layer, with the features of the domains. A joint one is
    called once, with two :class:`Activations`, and may look at labels and predictions too.

    Parameters
    ----------
    alignment : callable
        From `source` and `target` to a scalar tensor. A module class is built with `layers`, the
        names of the chosen layers, and `widths`, a dict of the widths of all known layers.

    Returns
    -------
    alignment : callable
        The same, with an attribute ``joint = True``.

    Examples
    --------
    >>> from skda.base import DeepAdaptationClassifier
    >>> from skda.nn import joint
    >>> @joint
    ... def target_confidence(source, target):
    ...     return -target["logits"].softmax(dim=1).square().sum(dim=1).mean()
    >>> clf = DeepAdaptationClassifier(alignment=target_confidence)
    """
    alignment.joint = True
    return alignment


class JointAlignment(nn.Module):
    """A joint alignment of chosen layers, as a module.

    Parameters
    ----------
    loss : callable
        A joint alignment, see :func:`joint`.

    layers : sequence of str
        The layers that it is to align.

    Examples
    --------
    >>> import torch
    >>> from skda.nn import Activations, JointAlignment, joint
    >>> @joint
    ... def n_layers(source, target):
    ...     return torch.tensor(float(len(source.layers)))
    >>> domain = Activations({"logits": torch.eye(3)}, ())
    >>> JointAlignment(n_layers, ("logits",))(domain, domain).item()
    1.0
    """

    def __init__(self, loss: Callable, layers: Iterable[str]):
        super().__init__()
        self.loss, self.layers = loss, tuple(layers)

    @property
    def adversarial(self) -> bool:
        """Whether the features are trained against the loss, by gradient reversal."""
        return getattr(self.loss, "adversarial", False)

    def forward(self, source: Activations, target: Activations) -> Any:
        """Return the loss.

        Parameters
        ----------
        source, target : Activations
            Of the rows of a batch.

        Returns
        -------
        loss : torch.Tensor of shape ()
            Of this batch.
        """
        return self.loss(*self._at_layers(source, target))

    def adversary_loss(self, source: Activations, target: Activations) -> Any:
        """Return the loss of an adversary that learns in steps of its own.

        Parameters
        ----------
        source, target : Activations
            Of the rows of a batch, without gradient.

        Returns
        -------
        loss : torch.Tensor of shape ()
            What ``loss.adversary_loss`` returns.
        """
        return self.loss.adversary_loss(*self._at_layers(source, target))

    def _at_layers(self, *domains):
        return [Activations(domain, self.layers, domain.labels) for domain in domains]


class WeightedAlignments(nn.ModuleList):
    """Several alignments, each with a weight.

    Parameters
    ----------
    alignments : list of torch.nn.Module
        The alignments.

    weights : list of float
        One each.

    Examples
    --------
    >>> from skda.losses import coral
    >>> from skda.nn import LayerwiseAlignment, WeightedAlignments
    >>> alignments = WeightedAlignments([LayerwiseAlignment({"logits": coral})], [10.0])
    >>> [weight for _, weight in alignments.parts()]
    [10.0]
    """

    def __init__(self, alignments: Iterable[nn.Module], weights: Iterable[float]):
        super().__init__(alignments)
        self.weights = list(weights)

    def parts(self) -> Iterator[tuple[nn.Module, float]]:
        """Return pairs of an alignment and its weight.

        Returns
        -------
        parts : iterator of (torch.nn.Module, float)
            In the order in which they were given.
        """
        return zip(self, self.weights, strict=True)


class LayerwiseAlignment(nn.Module):
    """Sum of a loss over named layers.

    Parameters
    ----------
    losses : dict of str to callable
        For every layer, a function or module from source and target features, both of shape
        (n, n_features), to a scalar. Modules are registered, so that their parameters learn.

    Examples
    --------
    >>> import torch
    >>> from skda.losses import coral
    >>> from skda.nn import LayerwiseAlignment
    >>> alignment = LayerwiseAlignment({"logits": coral})
    >>> alignment({"logits": torch.eye(3)}, {"logits": torch.eye(3)}).item()
    0.0
    """

    def __init__(self, losses: Mapping[str, Callable]):
        super().__init__()
        self.losses = dict(losses)
        # A name like "conv1.0" cannot name a submodule, hence a list.
        self.modules_with_state = nn.ModuleList(
            loss for loss in losses.values() if isinstance(loss, nn.Module)
        )

    @property
    def adversarial(self) -> bool:
        """Whether the features are trained against the loss, by gradient reversal."""
        return any(getattr(loss, "adversarial", False) for loss in self.losses.values())

    def forward(self, source: Activations, target: Activations) -> Any:
        """Return the sum of the losses.

        Parameters
        ----------
        source, target : dict of str to torch.Tensor
            Activations by layer.

        Returns
        -------
        loss : torch.Tensor of shape ()
            The sum.
        """
        return self._sum(self.losses, source, target)

    def adversary_loss(self, source: Activations, target: Activations) -> Any:
        """Return the sum of the losses of adversaries that learn in steps of their own.

        Parameters
        ----------
        source, target : dict of str to torch.Tensor
            Activations by layer, without gradient.

        Returns
        -------
        loss : torch.Tensor of shape ()
            Of what ``loss.adversary_loss`` returns at every layer.
        """
        losses = {layer: loss.adversary_loss for layer, loss in self.losses.items()}
        return self._sum(losses, source, target)

    @staticmethod
    def _sum(losses, source, target):
        return sum(
            loss(source[layer].flatten(1), target[layer].flatten(1))
            for layer, loss in losses.items()
        )
