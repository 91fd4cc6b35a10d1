"""The skorch net behind fine-tuning."""

from skda.training import AdaptationNet


class FineTuningNet(AdaptationNet):
    """A skorch net that goes on training a network on rows of one domain.

    Parameters
    ----------
    module : AdaptationModule
        The network, with its frozen blocks.

    *args : arguments
        As in :class:`~skda.training.AdaptationNet`.

    **kwargs : keywords
        As in :class:`~skda.training.AdaptationNet`.

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
        step = super().train_step_single(batch, **fit_params)
        return {name: step[name] for name in ("loss", "y_pred")}
