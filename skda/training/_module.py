"""The network of every estimator: backbone, features, head, logits."""

import torch
from torch import nn

from skda.nn._activations import forget_recorders, record_activations
from skda.nn._domain_norm import DomainBatchNorm, DomainRows, DomainStandardizer

# What every network has, beside the submodules of its backbone.
OWN_LAYERS = ("inputs", "features", "logits")


class AdaptationModule(nn.Module):
    """A backbone and a linear head that also give the activations of named layers.

    Parameters
    ----------
    backbone : torch.nn.Module
        From inputs to features of shape (n, n_features).

    head : torch.nn.Module
        From features to logits.

    layers : tuple of str, default=("features",)
        What ``forward`` returns beside the logits: ``"features"``, ``"logits"``, ``"inputs"`` or
        paths of submodules of the backbone.

    n_targets : int, default=0
        Number of target domains; batch norms keep statistics for the source and each of them.

    batch_norm : {"domain", "shared"}, default="domain"
        Whether batch norms are kept per domain.

    moments : list of (torch.Tensor, torch.Tensor), default=None
        Mean and standard deviation of every domain's inputs, with which they are standardised.

    source_residual : torch.nn.Module, default=None
        From logits to what the classifier of the source adds to them.

    frozen : sequence of Block, default=()
        Blocks of the backbone that do not learn. Their batch norms, which are not kept per
        domain, and their dropouts stay in eval mode while the rest trains.

    Examples
    --------
    >>> import torch
    >>> from skda.nn import MLP
    >>> from skda.training import AdaptationModule
    >>> module = AdaptationModule(MLP(8), torch.nn.Linear(64, 3), layers=("hidden1",))
    >>> logits, activations = module(torch.zeros(5, 8))
    >>> logits.shape, activations["hidden1"].shape
    (torch.Size([5, 3]), torch.Size([5, 128]))
    """

    def __init__(
        self,
        backbone,
        head,
        *,
        layers=("features",),
        n_targets=0,
        batch_norm="domain",
        moments=None,
        source_residual=None,
        frozen=(),
    ):
        super().__init__()
        self.layers = tuple(layers)
        self.rows = DomainRows()
        self._recorded = {}
        # Several targets: one more set of statistics, their mixture, serves predictions.
        n_statistics = 1 + n_targets + (n_targets > 1)
        self.frozen = tuple(frozen)
        fixed = [part for block in self.frozen for part in block.get_modules(backbone)]
        if batch_norm == "domain" and n_targets:
            backbone = DomainBatchNorm.convert(backbone, n_statistics, self.rows, skip=fixed)
        for block in self.frozen:
            for parameter in block.get_parameters(backbone):
                parameter.requires_grad_(False)
        # After the conversion: a named batch norm is to give the rows of all domains.
        hooked = [name for name in self.layers if name not in OWN_LAYERS]
        forget_recorders(backbone)  # left by an earlier training
        record_activations(backbone, hooked, self._recorded)
        self.n_targets = n_targets
        self.standardizer = DomainStandardizer(moments, self.rows) if moments else None
        self.backbone = backbone
        self.head = head
        self.source_residual = source_residual

    def forward(self, X):
        """Return logits and activations.

        Parameters
        ----------
        X : torch.Tensor of shape (n, n_inputs), (n, C, H, W), or uint8 of shape (n, H, W, C)
            Inputs. uint8 images are brought to [0, 1].

        Returns
        -------
        logits : torch.Tensor of shape (n, n_classes)
            Output of the head.

        activations : dict of str to torch.Tensor
            By layer.
        """
        X = self.as_input(X)
        if self.standardizer is not None:
            X = self.standardizer(X)
        features = self.backbone(X)
        logits = self.head(features)
        activations = {**self._recorded, "inputs": X, "features": features, "logits": logits}
        self._recorded.clear()
        return logits, {name: activations[name] for name in self.layers}

    def labelled_logits(self, logits, n_rows):
        """Return the logits of the first rows of a batch, by which their labels are learned.

        Parameters
        ----------
        logits : torch.Tensor of shape (n, n_classes)
            Output of the head, source rows first.

        n_rows : int
            Number of labelled rows.

        Returns
        -------
        logits : torch.Tensor of shape (n_rows, n_classes)
            Those of the source with its residual, if there is one.
        """
        logits = logits[:n_rows]
        if self.source_residual is None or self.rows.sizes is None:
            return logits
        n_source = n_rows if self.rows.sizes == DomainRows.SOURCE_ALONE else self.rows.sizes[0]
        source, rest = logits[:n_source], logits[n_source:]
        return torch.cat([source + self.source_residual(source), rest])

    def train(self, mode=True):
        """Set the training mode, of all parts but the frozen ones."""
        super().train(mode)
        for block in self.frozen:
            for part in block.get_modules(self.backbone):
                part.eval()
        if self.frozen and not any(p.requires_grad for p in self.backbone.parameters()):
            self.backbone.eval()
        return self

    def unfreeze(self):
        """Let the last of the frozen blocks learn again."""
        *frozen, last = self.frozen
        for parameter in last.get_parameters(self.backbone):
            parameter.requires_grad_(True)
        self.frozen = tuple(frozen)

    @staticmethod
    def as_input(X):
        """Return uint8 images as floats in [0, 1] with channels first, and all else unchanged."""
        if X.dtype == torch.uint8:
            return X.permute(0, 3, 1, 2).float().div(255)
        return X

    def domain_batch_norms(self):
        """Return the batch norms that keep statistics per domain."""
        return [
            module
            for module in self.backbone.modules()
            if isinstance(module, DomainBatchNorm) and module.rows is self.rows
        ]
