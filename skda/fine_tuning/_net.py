"""The skorch net behind fine-tuning."""

from collections.abc import Callable
from typing import Any

import torch

from skda.training import AdaptationModule, AdaptationNet


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

    **kwargs : keywords
        As in :class:`AdaptationNet`.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from skda.fine_tuning import FineTuningNet
    >>> from skda.nn import MLP
    >>> from skda.training import AdaptationModule, DomainDataset
    >>> module = AdaptationModule(MLP(3), torch.nn.Linear(64, 2))
    >>> net = FineTuningNet(module, layer_decay=0.5, max_epochs=1, verbose=0)
    >>> X = np.random.default_rng(0).standard_normal((40, 3)).astype("float32")
    >>> net = net.fit(DomainDataset(X, (X[:, 0] > 0).astype("int64")), None)
    >>> [group["lr"] for group in net.optimizer_.param_groups]
    [0.00025, 0.0005, 0.001]
    """

    def __init__(
        self,
        module: AdaptationModule,
        *args: Any,
        augment: Callable | None = None,
        **kwargs: Any,
    ):
        self.augment = augment
        super().__init__(module, *args, **kwargs)

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
