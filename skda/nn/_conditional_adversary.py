"""A discriminator of domains that sees the predictions along with the features."""

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import nn

from skda.losses import domain_cross_entropy
from skda.nn._adversary import DomainAccuracy, DomainDiscriminator, one_output_per_row
from skda.nn._alignment import Activations


class MultilinearMap(nn.Module):
    r"""Outer product of features and probabilities, or a random map that replaces it.

    .. math:: T(f, p) = f \otimes p \quad \text{or} \quad
              T(f, p) = \frac{1}{\sqrt d} (R_f f) \odot (R_p p)

    with matrices of `d` rows drawn once from the standard normal distribution, so that
    :math:`\langle T, T' \rangle` is on average that of the outer products.

    Parameters
    ----------
    n_features : int
        Width of the features.

    n_classes : int
        Number of classes.

    max_width : int, default=4096
        The random map takes the place of an outer product that would be wider.

    random_width : int, default=1024
        `d`, the width of the random map.

    References
    ----------
    M. Long, Z. Cao, J. Wang, M. I. Jordan. Conditional Adversarial Domain Adaptation. NeurIPS
    2018, section 3.2.

    Examples
    --------
    >>> import torch
    >>> from skda.nn import MultilinearMap
    >>> MultilinearMap(3, 2)(torch.ones(5, 3), torch.tensor([[0.25, 0.75]] * 5))[0]
    tensor([0.2500, 0.2500, 0.2500, 0.7500, 0.7500, 0.7500])
    """

    feature_map: torch.Tensor
    class_map: torch.Tensor

    def __init__(
        self, n_features: int, n_classes: int, *, max_width: int = 4096, random_width: int = 1024
    ):
        super().__init__()
        self.random = n_features * n_classes > max_width
        self.width = random_width if self.random else n_features * n_classes
        if self.random:
            self.register_buffer("feature_map", torch.randn(n_features, random_width))
            self.register_buffer("class_map", torch.randn(n_classes, random_width))

    def forward(self, features: torch.Tensor, probabilities: torch.Tensor) -> torch.Tensor:
        """Return the map of every row.

        Parameters
        ----------
        features : torch.Tensor of shape (n, n_features)
            Features.

        probabilities : torch.Tensor of shape (n, n_classes)
            Probabilities of the classes.

        Returns
        -------
        mapped : torch.Tensor of shape (n, width)
            The map.
        """
        if self.random:
            product = (features @ self.feature_map) * (probabilities @ self.class_map)
            return product / math.sqrt(self.width)
        return (probabilities[:, :, None] * features[:, None, :]).flatten(1)


def certainty_weights(probabilities: torch.Tensor) -> torch.Tensor:
    """Return weights of rows with mean 1, in proportion to ``1 + exp(-entropy)``.

    Their mean is taken for a constant: otherwise no gradient could make all rows more certain.

    Parameters
    ----------
    probabilities : torch.Tensor of shape (n, n_classes)
        Probabilities of the classes.

    Returns
    -------
    weights : torch.Tensor of shape (n, 1)
        The more certain the prediction of a row, the larger; the largest ratio is 2.

    Examples
    --------
    >>> import torch
    >>> from skda.nn import certainty_weights
    >>> certainty_weights(torch.tensor([[1.0, 0.0], [0.5, 0.5]]))
    tensor([[1.1429],
            [0.8571]])
    """
    # The slope at 0 is infinite.
    above_zero = probabilities.clamp_min(torch.finfo(probabilities.dtype).tiny)
    weights = 1 + torch.exp(-torch.special.entr(above_zero).sum(dim=1, keepdim=True))
    return weights / weights.mean().detach()


class ConditionalDomainAdversary(nn.Module):
    """The loss of a discriminator that sees features together with predictions, as an alignment.

    Features and predictions learn to defeat it, as with :class:`DomainAdversary`: its gradient goes
    through both factors of the map, and through the weights, which makes predictions certain.

    Parameters
    ----------
    layers : sequence of str
        The layers that the discriminator sees, side by side.

    widths : dict of str to int
        Width of every layer, and of ``"logits"``.

    discriminator : torch.nn.Module, class or factory, default=None
        From maps of shape (n, width) to logits of the target domain, of shape (n, 1); a class or
        factory is called with the width. None is a :class:`DomainDiscriminator`.

    entropy_weighting : bool, default=True
        Whether rows with certain predictions count more, see :func:`certainty_weights`.

    max_width, random_width : int, default=4096 and 1024
        Of the :class:`MultilinearMap`.

    Examples
    --------
    >>> import torch
    >>> from skda.nn import Activations, ConditionalDomainAdversary
    >>> adversary = ConditionalDomainAdversary(("features",), {"features": 4, "logits": 3})
    >>> rows = {"features": torch.ones(5, 4), "logits": torch.zeros(5, 3)}
    >>> domain = Activations(rows, ("features",))
    >>> adversary(domain, domain).shape
    torch.Size([])
    """

    joint = True
    adversarial = True

    def __init__(
        self,
        layers: Sequence[str],
        widths: Mapping[str, int],
        discriminator: nn.Module | Callable[[int], nn.Module] | None = None,
        *,
        entropy_weighting: bool = True,
        max_width: int = 4096,
        random_width: int = 1024,
    ):
        super().__init__()
        self.entropy_weighting = entropy_weighting
        n_features = sum(widths[layer] for layer in layers)
        self.map = MultilinearMap(
            n_features, widths["logits"], max_width=max_width, random_width=random_width
        )
        if not isinstance(discriminator, nn.Module):
            discriminator = (discriminator or DomainDiscriminator)(self.map.width)
        self.discriminator = discriminator
        self.accuracy = DomainAccuracy()

    def forward(self, source: Activations, target: Activations) -> torch.Tensor:
        """Return the discriminator's loss on two batches.

        Parameters
        ----------
        source, target : Activations
            Of the rows of a batch.

        Returns
        -------
        loss : torch.Tensor of shape ()
            Cross-entropy, each domain counting one half.
        """
        maps, weights = [], []
        for domain in (source, target):
            probabilities = domain["logits"].softmax(dim=1)
            maps.append(self.map(domain.side_by_side(), probabilities))
            weights.append(certainty_weights(probabilities) if self.entropy_weighting else None)
        logits = one_output_per_row("discriminator", self.discriminator, torch.cat(maps))
        logits = logits.split([len(rows) for rows in maps])
        self.accuracy.add(*logits)
        return domain_cross_entropy(*logits, *weights)
