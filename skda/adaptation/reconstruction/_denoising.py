"""The skorch net that trains one layer of a denoising auto-encoder."""

import torch
from torch import nn

from skda._random import drawing
from skda.losses import reconstruction_error
from skda.training import AdaptationModule, AdaptationNet, DomainDataset


class _ReconstructionError(nn.Module):
    def forward(self, reconstruction, inputs):
        return reconstruction_error(reconstruction, inputs)


class DenoisingNet(AdaptationNet):
    r"""A skorch net that learns to undo the masking of rows, and to align their codes.

    .. math:: \ell = \ell_r(\text{decoded codes of masked rows}, \text{rows})
              + \lambda \, \ell_A(\text{source codes}, \text{target codes})

    with :func:`skda.losses.reconstruction_error` over the rows of all domains. The history holds
    ``reconstruction_loss`` in the place of ``classification_loss``.

    Parameters
    ----------
    module : AdaptationModule
        The encoder as its backbone, and as its head the decoder: from codes to rows, flattened.

    corruption : float, default=0.5
        Probability that an input is set to zero.

    **kwargs : keywords
        As in :class:`~skda.training.AdaptationNet`.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> from skda.adaptation.reconstruction import DenoisingNet
    >>> from skda.training import AdaptationModule, DomainDataset
    >>> module = AdaptationModule(torch.nn.Linear(3, 2), torch.nn.Linear(2, 3), n_targets=1)
    >>> net = DenoisingNet(module, corruption=0.2, max_epochs=2, verbose=0)
    >>> X = np.random.default_rng(0).standard_normal((40, 3)).astype("float32")
    >>> net = net.fit(DomainDataset(X, np.zeros(40, dtype="int64"), (X + 1,)), None)
    >>> losses = net.history[:, "reconstruction_loss"]
    >>> codes = net.encode(DomainDataset(X, np.zeros(40, dtype="int64"), (X + 1,)))
    >>> [rows.shape for rows in codes.domains]
    [torch.Size([40, 2]), torch.Size([40, 2])]
    """

    classifies = False

    def __init__(self, module, *, corruption=0.5, **kwargs):
        self.corruption = corruption
        super().__init__(module, _ReconstructionError, **kwargs)

    def target_share(self):
        """Return nothing: rows of all domains are reconstructed alike."""
        return None

    def train_step_single(self, batch, **fit_params):
        """Mask a batch, and forward and backward it.

        Parameters
        ----------
        batch : tuple of (torch.Tensor, torch.Tensor)
            Rows of all domains, source first, and labels, which are not used.

        **fit_params : dict
            Passed on by skorch; not used.

        Returns
        -------
        step : dict
            As in :class:`~skda.training.AdaptationNet`, with ``reconstruction_loss`` for the
            classification's.
        """
        X = AdaptationModule.as_input(batch[0])
        with drawing():
            kept = torch.rand(X.shape, device=X.device) >= self.corruption
        step = super().train_step_single((X * kept, X.flatten(1)), **fit_params)
        step["reconstruction_loss"] = step.pop("classification_loss")
        return step

    def encode(self, dataset):
        """Return the codes of the rows of every domain, under that domain's statistics.

        Parameters
        ----------
        dataset : DomainDataset
            The rows, which are not masked.

        Returns
        -------
        codes : DomainDataset
            Tensors of shape (n, ...) on the CPU, with the labels of the source.
        """
        codes = [
            self.activations_of(rows, domain="source" if number < 0 else number)["features"]
            for number, rows in enumerate(dataset.domains, start=-1)
        ]
        return DomainDataset(codes[0], dataset.y, codes[1:])
