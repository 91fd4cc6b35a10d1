"""The skorch net of two players that learn in turns."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from skda.training._module import AdaptationModule
from skda.training._net import AdaptationNet


class TwoPlayerNet(AdaptationNet):
    r"""A skorch net whose alignment is a player with an optimiser and steps of its own.

    In every step of training the alignment's parameters first descend `n_adversary_steps` times
    on ``alignment.adversary_loss(source, target)`` of the detached activations; then the network
    descends on classification loss plus `trade_off` times ``alignment(source, target)``, with
    the alignment's parameters as they are.

    Parameters
    ----------
    module : AdaptationModule
        The network.

    *args : arguments
        As in :class:`~skda.training.AdaptationNet`.

    n_adversary_steps : int, default=1
        Steps of the alignment for one of the network.

    adversary_optimizer : class, default=torch.optim.Adam
        The alignment's optimiser; ``adversary_optimizer__*`` keywords reach it, and its learning
        rate falls with the network's.

    **kwargs : keywords
        As in :class:`~skda.training.AdaptationNet`.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from skda.nn import MLP, JointAlignment
    >>> from skda.training import AdaptationModule, DomainDataset, TwoPlayerNet
    >>> class Critic(torch.nn.Linear):
    ...     def forward(self, source, target):
    ...         f = super().forward
    ...         return f(source["features"]).mean() - f(target["features"]).mean()
    ...     def adversary_loss(self, source, target):
    ...         return self.weight.square().sum() - self(source, target)
    >>> module = AdaptationModule(MLP(3), torch.nn.Linear(64, 2), n_targets=1)
    >>> net = TwoPlayerNet(
    ...     module, alignment=JointAlignment(Critic(64, 1), ()), max_epochs=2, verbose=0,
    ...     adversary_optimizer__lr=1e-2,
    ... )
    >>> X = np.random.default_rng(0).standard_normal((40, 3)).astype("float32")
    >>> net = net.fit(DomainDataset(X, (X[:, 0] > 0).astype("int64"), (X + 1,)), None)
    >>> len(net.history[:, "adversary_loss"])
    2
    """

    adversary = ("alignment",)
    accumulates = False

    def __init__(
        self,
        module: AdaptationModule,
        *args: Any,
        n_adversary_steps: int = 1,
        adversary_optimizer: Any = torch.optim.Adam,
        **kwargs: Any,
    ):
        self.n_adversary_steps = n_adversary_steps
        self.adversary_optimizer = adversary_optimizer
        super().__init__(module, *args, **kwargs)

    def initialize_optimizer(self, triggered_directly=None):
        """Initialise the optimisers of both players."""
        super().initialize_optimizer(triggered_directly)
        if self.alignment is not None:
            self.adversary_optimizer_ = self._make_optimizer(
                "adversary_optimizer", self.adversary_parameters()
            )
        return self

    def _learning(self, named_parameters):
        adversary = {parameter for _, parameter in self.adversary_parameters()}
        named = super()._learning(named_parameters)
        return [(name, parameter) for name, parameter in named if parameter not in adversary]

    @contextmanager
    def fixed_adversary(self) -> Iterator[None]:
        """Within this context a forward leaves no way for a gradient to the second player.

        Yields
        ------
        None
            While the second player is fixed.
        """
        learning = [p for _, p in self.adversary_parameters() if p.requires_grad]
        for parameter in learning:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in learning:
                parameter.requires_grad_(True)

    def get_alignment_loss(self, activations, labels):
        """Return the alignment loss, with the adversary as it is."""
        with self.fixed_adversary():
            return super().get_alignment_loss(activations, labels)

    def train_adversary(self, activations, labels):
        fixed = {name: value.detach() for name, value in activations.items()}
        domains = self.by_domain(fixed, labels)
        for _ in range(self.n_adversary_steps):
            loss = self.alignment_.adversary_loss(*domains)
            self.descend(loss, self.adversary_optimizer_)
        return {"adversary_loss": loss}
