"""The skorch net behind fine-tuning."""

import torch

from skda.training._blocks import list_blocks
from skda.training._module import AdaptationModule
from skda.training._net import AdaptationNet


class FineTuningNet(AdaptationNet):
    """A skorch net that goes on training a network on rows of one domain.

    Parameters
    ----------
    module : AdaptationModule
        The network, with its frozen blocks.

    *args : arguments
        As in :class:`AdaptationNet`.

    augment : callable, default=None
        From a training row, a tensor as the backbone takes it, to another of the same shape.

    n_transfer : int, default=None
        How many leading blocks come from an earlier training; None is all. The others learn as
        fast as the head.

    layer_decay : float, default=1.0
        Factor of the learning rate from every transferred block to the one below it; the last
        block has it once.

    unfreeze_every : int, default=None
        After how many epochs the last frozen block begins to learn, and so on downwards.

    **kwargs : keywords
        As in :class:`AdaptationNet`.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from skda.nn import MLP
    >>> from skda.training import AdaptationModule, DomainDataset, FineTuningNet
    >>> module = AdaptationModule(MLP(3), torch.nn.Linear(64, 2))
    >>> net = FineTuningNet(module, layer_decay=0.5, max_epochs=1, verbose=0)
    >>> X = np.random.default_rng(0).standard_normal((40, 3)).astype("float32")
    >>> net = net.fit(DomainDataset(X, (X[:, 0] > 0).astype("int64")), None)
    >>> [group["lr"] for group in net.optimizer_.param_groups]
    [0.00025, 0.0005, 0.001]
    """

    def __init__(
        self,
        module,
        *args,
        augment=None,
        n_transfer=None,
        layer_decay=1.0,
        unfreeze_every=None,
        **kwargs,
    ):
        self.augment = augment
        self.n_transfer = n_transfer
        self.layer_decay = layer_decay
        self.unfreeze_every = unfreeze_every
        super().__init__(module, *args, **kwargs)

    def _learns(self, parameter):
        # The optimiser passes over parameters without a gradient, and keeps no state for them.
        return parameter.requires_grad or self.unfreeze_every is not None

    def _lr_multipliers(self):
        multipliers = super()._lr_multipliers()
        backbone = self.module_.backbone
        blocks = list_blocks(backbone)
        n_transfer = len(blocks) if self.n_transfer is None else self.n_transfer
        for number, block in enumerate(blocks):
            factor = self.head_lr_multiplier
            if number < n_transfer:
                factor = self.layer_decay ** (n_transfer - number)
            multipliers.update(dict.fromkeys(block.get_parameters(backbone), factor))
        return multipliers

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        """Begin an entry of the history, and unfreeze a block when it is time."""
        super().on_epoch_begin(net, dataset_train, dataset_valid, **kwargs)
        n_before = len(self.history) - 1
        is_time = self.unfreeze_every and n_before and n_before % self.unfreeze_every == 0
        if is_time and self.module_.frozen:
            self.module_.unfreeze()

    def train_step_single(self, batch, **fit_params):
        """Forward and backward one batch.

        Parameters
        ----------
        batch : tuple of (torch.Tensor, torch.Tensor)
            Rows and labels.

        **fit_params : dict
            Passed on by skorch; not used.

        Returns
        -------
        step : dict
            ``loss`` and the logits ``y_pred``.
        """
        X, y = batch
        if self.augment is not None:
            X = AdaptationModule.as_input(X)
            rows = [self.augment(row) for row in X]
            for row in rows:
                if getattr(row, "shape", None) != X.shape[1:]:
                    raise ValueError(
                        f"augment must return a tensor of the shape of its row, "
                        f"{tuple(X.shape[1:])}, got {getattr(row, 'shape', type(row).__name__)}."
                    )
            X = torch.stack(rows)
        step = super().train_step_single((X, y), **fit_params)
        return {name: step[name] for name in ("loss", "y_pred")}
