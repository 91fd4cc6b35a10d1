"""The optimisers of a net, and how fast its parts learn."""

import contextlib

import torch

from skda.backbones import list_blocks
from skda.training._slim import SlimMixin

OPTIMIZERS = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
}


def _split_by_rate(groups, multipliers, default_lr):
    """Yield groups of parameters with one learning rate each."""
    for group in groups:
        lr = group.get("lr", default_lr)
        factors = [multipliers.get(parameter, 1) for parameter in group["params"]]
        for factor in dict.fromkeys(factors):
            pairs = zip(group["params"], factors, strict=True)
            yield {**group, "params": [p for p, f in pairs if f == factor], "lr": lr * factor}


def _fused_if_possible(optimizer, groups, kwargs):
    has_fused = optimizer in (torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD)
    if has_fused and not {"fused", "foreach", "differentiable"} & set(kwargs):
        with contextlib.suppress(RuntimeError):  # no fused form on this device
            return optimizer(groups, fused=True, **kwargs)
    return optimizer(groups, **kwargs)


class OptimizationMixin(SlimMixin):
    """Optimisers with a learning rate for every part of a net."""

    def initialize_optimizer(self, triggered_directly=None):
        """Initialise the optimiser, with its fused form where torch has one."""
        named = [(f"backbone.{k}", p) for k, p in self.module_.backbone.named_parameters()]
        named = self._learning(named + self._new_parameters())
        self.optimizer_ = self._make_optimizer("optimizer", named)
        return self

    def _learning(self, named_parameters):
        """Return those that the optimiser is to know, also if they learn only later."""
        later = self._unfrozen_later()
        return [(name, p) for name, p in named_parameters if p.requires_grad or p in later]

    def _make_optimizer(self, name, named_parameters):
        """Return the optimiser of this name, whose keywords are ``name__*``."""
        (groups,), kwargs = self.get_params_for_optimizer(name, named_parameters)
        multipliers = self._lr_multipliers()
        if any(multiplier != 1 for multiplier in multipliers.values()):
            groups = list(_split_by_rate(groups, multipliers, kwargs["lr"]))
        return _fused_if_possible(getattr(self, name), groups, kwargs)

    def _param_groups(self):
        """Return the groups of all optimisers, of which skorch keeps the names."""
        optimizers = [getattr(self, f"{name}_") for name in self._optimizers]
        return [group for optimizer in optimizers for group in optimizer.param_groups]

    def _new_parameters(self):
        """Return the named parameters of all but the backbone."""
        new = [
            (name, parameter)
            for name, parameter in self.module_.named_parameters()
            if not name.startswith("backbone.")
        ]
        new += self.alignment_.named_parameters(prefix="alignment")
        new += self.criterion_.named_parameters(prefix="criterion")
        return new

    def _lr_multipliers(self):
        """Return by parameter the factors of the learning rate, 1 for what is left out."""
        multipliers = {p: self.head_lr_multiplier for _, p in self._new_parameters()}
        if self.layer_decay == 1 and self.n_transfer is None:
            return multipliers
        backbone = self.module_.backbone
        blocks = list_blocks(backbone)
        n_transfer = len(blocks) if self.n_transfer is None else self.n_transfer
        for number, block in enumerate(blocks):
            factor = self.head_lr_multiplier
            if number < n_transfer:
                factor = self.layer_decay ** (n_transfer - number)
            multipliers.update(dict.fromkeys(block.get_parameters(backbone), factor))
        return multipliers
