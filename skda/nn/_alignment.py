"""Applying one loss at several layers."""

from torch import nn


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

    def __init__(self, losses):
        super().__init__()
        self._losses = dict(losses)
        # A name like "conv1.0" cannot name a submodule, hence a list.
        self.modules_with_state = nn.ModuleList(
            loss for loss in losses.values() if isinstance(loss, nn.Module)
        )

    @property
    def adversarial(self):
        """Whether the features are trained against the loss, by gradient reversal."""
        return any(getattr(loss, "adversarial", False) for loss in self._losses.values())

    def forward(self, source, target):
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
        return sum(
            loss(source[layer].flatten(1), target[layer].flatten(1))
            for layer, loss in self._losses.items()
        )
