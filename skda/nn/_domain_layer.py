"""A layer of which source and targets have one each."""

import copy
from typing import Any

import torch
from torch import nn

from skda.nn._domain_norm import DomainRows


class DomainLayer(nn.Module):
    """A layer that the source has for itself, and another one for all targets.

    Parameters
    ----------
    layer : torch.nn.Module
        The source's layer. The targets' is a copy, so that both start alike.

    rows : DomainRows
        Tells which rows of a batch belong to which domain.

    Examples
    --------
    >>> import torch
    >>> from skda.nn import DomainLayer, DomainRows
    >>> layer = DomainLayer(torch.nn.Linear(1, 1, bias=False), DomainRows((1, 2)))
    >>> _ = torch.nn.init.ones_(layer.source.weight), torch.nn.init.zeros_(layer.target.weight)
    >>> layer(torch.ones(3, 1)).flatten().tolist()
    [1.0, 0.0, 0.0]
    """

    source: nn.Module
    target: nn.Module
    rows: DomainRows

    def __init__(self, layer: nn.Module, rows: DomainRows):
        super().__init__()
        self.source, self.target = layer, copy.deepcopy(layer)
        self.rows = rows

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply to the rows of every domain the layer that is theirs."""
        n_targets = len(self.rows.sizes or ()) - 1
        return self.rows.per_domain(x, [self.source, *[self.target] * max(n_targets, 1)])

    @classmethod
    def split_first(cls, module: nn.Module, rows: DomainRows) -> None:
        """Give the domains first layers of their own, in place.

        The first layer is, in the order in which the module registers its parts, the first one
        that has no parts itself, and weights of two or more dimensions that learn.

        Parameters
        ----------
        module : torch.nn.Module
            The network. If none of its layers learns, it stays as it is.

        rows : DomainRows
            Tells which rows of a batch belong to which domain.
        """
        first = next(filter(_is_layer_that_learns, module.modules()), None)
        if first is not None:
            _replace(module, {first: cls(first, rows)})

    @classmethod
    def keep_target(cls, module: nn.Module) -> nn.Module:
        """Put the targets' layer in the place of every domain layer.

        Parameters
        ----------
        module : torch.nn.Module
            The network; it is changed inside.

        Returns
        -------
        module : torch.nn.Module
            The same network, or the targets' layer if it is a domain layer itself.
        """
        targets: dict[Any, nn.Module] = {
            part: part.target for part in module.modules() if isinstance(part, cls)
        }
        _replace(module, targets)
        return targets.get(module, module)


def _is_layer_that_learns(module):
    has_parts = next(module.children(), None) is not None
    return not has_parts and any(p.ndim > 1 and p.requires_grad for p in module.parameters())


def _replace(module, replacements):
    for part in list(module.modules()):
        for name, child in part._modules.items():
            if child in replacements:
                part._modules[name] = replacements[child]
