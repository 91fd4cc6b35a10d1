"""Gradient reversal and the domain discriminator."""

from collections.abc import Sequence

import torch
from torch import nn

from skda._torch import StepValues
from skda.losses import domain_cross_entropy
from skda.nn._networks import MLP, widths_of


class _ReverseGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, strength):
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad):
        return grad * -ctx.strength, None


def reverse_gradient(x: torch.Tensor, strength: float = 1.0) -> torch.Tensor:
    """Return `x` unchanged; its gradient comes back multiplied by ``-strength``.

    Parameters
    ----------
    x : torch.Tensor
        Features.

    strength : float, default=1.0
        Factor of the reversed gradient.

    Returns
    -------
    x : torch.Tensor
        The same values.

    References
    ----------
    Y. Ganin et al. Domain-Adversarial Training of Neural Networks. JMLR 17(59), 2016, section 4.2.

    Examples
    --------
    >>> import torch
    >>> from skda.nn import reverse_gradient
    >>> x = torch.ones(2, requires_grad=True)
    >>> reverse_gradient(x, 0.3).sum().backward()
    >>> x.grad
    tensor([-0.3000, -0.3000])
    """
    return _ReverseGradient.apply(x, strength)


class DomainAccuracy(nn.Module):
    """How often a discriminator tells the domains apart, over an epoch.

    A part of an alignment: the net asks it at the end of every epoch, and writes
    ``domain_accuracy`` into its history.

    Examples
    --------
    >>> import torch
    >>> from skda.nn import DomainAccuracy
    >>> accuracy = DomainAccuracy()
    >>> accuracy.add(torch.tensor([[-1.0], [-2.0]]), torch.tensor([[1.0], [-1.0]]))
    >>> accuracy.end_epoch()
    {'domain_accuracy': 0.75}
    """

    def __init__(self):
        super().__init__()
        self._signs = StepValues()

    def add(self, source_logits: torch.Tensor, target_logits: torch.Tensor) -> None:
        """Count a batch in.

        Parameters
        ----------
        source_logits : torch.Tensor of shape (n_source, ...)
            Logits of the target domain for the source rows; positive ones are wrong.

        target_logits : torch.Tensor of shape (n_target, ...)
            The same for the target rows; negative ones are wrong.
        """
        if self.training:
            # A logit of zero is half right.
            signs = target_logits.detach().sign().mean() - source_logits.detach().sign().mean()
            if not hasattr(self, "_signs"):  # from a pickle of version 0.1.0
                self._signs = StepValues()
            self._signs.add(signs)

    def end_epoch(self) -> dict[str, float]:
        """Return the accuracy, each domain counting one half, and start anew.

        Returns
        -------
        figures : dict
            ``domain_accuracy``; empty without a batch.
        """
        if not getattr(self, "_signs", None):
            return {}
        accuracy = self.value()
        self._signs.clear()
        return {"domain_accuracy": accuracy}

    def value(self) -> float:
        """Return the accuracy since the last epoch, each domain counting one half.

        Returns
        -------
        accuracy : float
            0.5 where the domains cannot be told apart.
        """
        return 0.5 + self._signs.values().mean().item() / 4


class DomainDiscriminator(nn.Sequential):
    """A network that tells source features from target features.

    Hidden layers are linear maps with ReLU and dropout. They have no batch norm, which would mix
    the domains that are to be told apart.

    Parameters
    ----------
    in_features : int
        Width of the features.

    hidden_layer_sizes : tuple of int or int, default=(500, 500)
        Width of every hidden layer.

    dropout : float, default=0.0
        Probability that a hidden unit is dropped during training.

    Examples
    --------
    >>> import torch
    >>> from skda.nn import DomainDiscriminator
    >>> DomainDiscriminator(4)(torch.zeros(8, 4)).shape
    torch.Size([8, 1])
    """

    def __init__(
        self,
        in_features: int,
        *,
        hidden_layer_sizes: Sequence[int] | int = (500, 500),
        dropout: float = 0.0,
    ):
        sizes = widths_of("hidden_layer_sizes", hidden_layer_sizes)
        super().__init__(
            MLP(
                in_features,
                hidden_layer_sizes=sizes,
                dropout=dropout,
                batch_norm=False,
            ),
            nn.Linear((in_features, *sizes)[-1], 1),
        )


def one_output_per_row(name: str, network: nn.Module, rows: torch.Tensor) -> torch.Tensor:
    """Return what a network gives for rows, and raise unless that is one number each."""
    outputs = network(rows)
    if outputs.numel() != len(rows):
        raise ValueError(
            f"{name}: {type(network).__name__} must return one logit per row, but {len(rows)} "
            f"rows gave shape {tuple(outputs.shape)}; end it with torch.nn.Linear(..., 1)."
        )
    return outputs


class DomainAdversary(nn.Module):
    """The loss of a discriminator of domains, as an alignment that the features learn to defeat.

    The estimator reverses the gradient between features and discriminator, scaled by the
    trade-off; the discriminator itself learns at full strength.

    Parameters
    ----------
    in_features : int
        Width of the features.

    discriminator : torch.nn.Module, default=None
        From features of shape (n, in_features) to logits of the target domain, of shape (n, 1).
        None makes a :class:`DomainDiscriminator`.

    hidden_layer_sizes : tuple of int or int, default=(500, 500)
        Hidden layers of the :class:`DomainDiscriminator`.

    dropout : float, default=0.0
        Of the :class:`DomainDiscriminator`.

    Examples
    --------
    >>> import torch
    >>> from skda.nn import DomainAdversary
    >>> adversary = DomainAdversary(4)
    >>> adversary(torch.zeros(8, 4), torch.ones(6, 4)).shape
    torch.Size([])
    """

    adversarial = True

    def __init__(
        self,
        in_features: int,
        discriminator: nn.Module | None = None,
        *,
        hidden_layer_sizes: Sequence[int] | int = (500, 500),
        dropout: float = 0.0,
    ):
        super().__init__()
        if discriminator is None:
            discriminator = DomainDiscriminator(
                in_features, hidden_layer_sizes=hidden_layer_sizes, dropout=dropout
            )
        self.discriminator = discriminator
        self.accuracy = DomainAccuracy()

    def forward(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the discriminator's loss on two batches of features.

        Parameters
        ----------
        source : torch.Tensor of shape (n_source, n_features)
            Features of the source rows.

        target : torch.Tensor of shape (n_target, n_features)
            Features of the target rows.

        Returns
        -------
        loss : torch.Tensor of shape ()
            Cross-entropy, each domain counting one half.
        """
        rows = torch.cat([source, target])
        logits = one_output_per_row("discriminator", self.discriminator, rows)
        logits = logits.split([len(source), len(target)])
        self.accuracy.add(*logits)
        return domain_cross_entropy(*logits)
