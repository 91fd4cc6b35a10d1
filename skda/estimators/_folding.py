"""A trained network as torch has networks: for one domain, without what tells domains apart."""

import copy
from collections import OrderedDict
from typing import Any

import torch
from torch import nn

from skda.nn import (
    DomainBatchNorm,
    DomainLayer,
    DomainStandardizer,
    SharedBatchNorm,
    forget_recorders,
    record_activations,
)
from skda.rows import forward_batch
from skda.training import AdaptationModule

OUTPUTS = ("logits", "features", "probabilities")
_BATCH_NORMS = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d}


def fold_network(
    module: AdaptationModule, output: str, domain: Any, *, n_dims: int, by_name: bool = False
) -> nn.Module:
    """Return a copy of a network with the statistics of one domain in their places.

    Parameters
    ----------
    module : AdaptationModule
        Trained; it stays as it is.

    output : {"logits", "features", "probabilities"}
        What the copy returns.

    domain : {"target", "source"} or int
        Whose statistics and layers it has.

    n_dims : int
        Of a batch of inputs.

    by_name : bool, default=False
        Whether inputs come as keywords.

    Returns
    -------
    network : torch.nn.Module
        On the CPU, in eval mode.

    Raises
    ------
    ValueError
        If there is no such output or domain.
    """
    if output not in OUTPUTS:
        raise ValueError(f"output must be one of {', '.join(map(repr, OUTPUTS))}; got {output!r}.")
    number = _number_of(domain, module.n_targets)
    module = copy.deepcopy(module).cpu().eval().requires_grad_(True)
    forget_recorders(module.backbone)
    parts: dict[str, Any] = {}
    if module.standardizer is not None:
        parts["standardizer"] = _as_batch_norm(module.standardizer, number, n_dims)
    parts["backbone"] = _of_domain(module.backbone, number)
    if module.bottleneck is not None:
        parts["bottleneck"] = _of_domain(module.bottleneck, number)
    if output != "features":
        parts["head"] = _of_domain(module.head, number)
    if output == "probabilities":
        parts["softmax"] = nn.Softmax(dim=1)
    if by_name or module.feature_layer != "features":
        return FoldedNetwork(parts, module.feature_layer).eval()
    return nn.Sequential(OrderedDict(parts)).eval()


def _number_of(domain, n_targets):
    """Return which set of statistics is that of a domain; -1 is the last one."""
    if domain == "source":
        return 0
    if domain == "target":
        return -1
    if type(domain) is int and 0 <= domain < n_targets:
        return domain + 1
    known = "'target', 'source'" + (f" or a number below {n_targets}" if n_targets > 1 else "")
    raise ValueError(f"domain must be {known}; got {domain!r}.")


def _of_domain(module, number):
    """Return a network with the layers of a domain in the place of those of all, in place."""
    if isinstance(module, DomainBatchNorm):
        return module.norms[number]
    if isinstance(module, SharedBatchNorm):
        return module.norm
    if isinstance(module, DomainLayer):
        return module.target if number else module.source
    for part in list(module.modules()):
        for name, child in part._modules.items():
            if isinstance(child, DomainBatchNorm | DomainLayer | SharedBatchNorm):
                part._modules[name] = _of_domain(child, number)
    return module


def _as_batch_norm(standardizer: DomainStandardizer, number: int, n_dims: int) -> nn.Module:
    """Return the standardisation of a domain as the layer of torch that computes the same."""
    affine: Any = standardizer.affines[number]
    mean, scale = affine.mean.flatten(), affine.scale.flatten()
    norm = _BATCH_NORMS[n_dims](len(mean), eps=0.0, affine=False)
    norm.running_mean, norm.running_var = mean.clone(), scale.square()
    return norm


class FoldedNetwork(nn.Module):
    """A network that takes keywords, or whose features are those of a layer within it.

    Parameters
    ----------
    parts : dict of str to torch.nn.Module
        In order; the backbone among them.

    feature_layer : str, default="features"
        Path of the submodule of the backbone whose output is taken for that of the backbone.
    """

    def __init__(self, parts: dict[str, nn.Module], feature_layer: str = "features"):
        super().__init__()
        for name, part in parts.items():
            self.add_module(name, part)
        self._names, self._feature_layer = tuple(parts), feature_layer
        self._recorded: dict[str, torch.Tensor] = {}
        if feature_layer != "features":
            record_activations(self.get_submodule("backbone"), [feature_layer], self._recorded)

    def forward(self, *inputs: torch.Tensor, **named: torch.Tensor) -> torch.Tensor:
        """Return the output for a batch of inputs."""
        x: Any = named or inputs[0]
        for name in self._names:
            x = (
                forward_batch(getattr(self, name), x)
                if name == "backbone"
                else getattr(self, name)(x)
            )
            if name == "backbone" and self._recorded:
                x = self._recorded.pop(self._feature_layer).flatten(1)
        return x
