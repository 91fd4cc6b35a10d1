"""The network of every estimator: backbone, features, head, logits."""

import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from skda.backbones import Block, merge_adapters
from skda.nn import (
    DomainBatchNorm,
    DomainRows,
    DomainStandardizer,
    SharedBatchNorm,
    forget_recorders,
    record_activations,
)
from skda.rows import forward_batch

# What every network has, beside the submodules of its backbone.
OWN_LAYERS = ("inputs", "features", "logits")


def _n_statistics(n_targets):
    """Sets of statistics: of several targets their mixture has one too, for predictions."""
    return 1 + n_targets + (n_targets > 1)


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

    batch_norm : {"domain", "shared"} or class, default="domain"
        Whether batch norms are kept per domain, as :class:`skda.nn.DomainBatchNorm` or as a
        subclass of it, or have one set of statistics, in which the target counts as it is aligned.

    moments : list of (torch.Tensor, torch.Tensor), default=None
        Mean and standard deviation of every domain's inputs, with which they are standardised.

    feature_layer : str, default="features"
        Path of the submodule of the backbone whose output is taken for that of the backbone.

    bottleneck : torch.nn.Module, default=None
        From the backbone's output to the features; None takes the output as it is.

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

    rows: DomainRows
    standardizer: DomainStandardizer | None
    backbone: nn.Module
    head: Any
    bottleneck: nn.Module | None
    source_residual: nn.Module | None

    def __init__(
        self,
        backbone: nn.Module,
        head: nn.Module,
        *,
        layers: Iterable[str] = ("features",),
        n_targets: int = 0,
        batch_norm: Any = "domain",
        moments: Any = None,
        feature_layer: str = "features",
        bottleneck: nn.Module | None = None,
        source_residual: nn.Module | None = None,
        frozen: Iterable[Block] = (),
    ):
        super().__init__()
        self.layers, self.feature_layer = tuple(layers), feature_layer
        self.rows = DomainRows()
        self._recorded = {}
        self.is_fixed = False  # for a stage of training
        self.frozen = tuple(frozen)
        fixed = [part for block in self.frozen for part in block.get_modules(backbone)]
        if n_targets and batch_norm == "shared":
            backbone = SharedBatchNorm.convert(backbone, self.rows, skip=fixed)
        elif n_targets:
            norm = DomainBatchNorm if batch_norm == "domain" else batch_norm
            backbone = norm.convert(backbone, _n_statistics(n_targets), self.rows, skip=fixed)
        for block in self.frozen:
            for parameter in block.get_parameters(backbone):
                parameter.requires_grad_(False)
        self.n_targets = n_targets
        self.standardizer = DomainStandardizer(moments, self.rows) if moments else None
        self.backbone = backbone
        # After the conversion: a named batch norm is to give the rows of all domains.
        self._record()
        self.head = head
        self.bottleneck = bottleneck
        self.source_residual = source_residual

    def forward(self, X: torch.Tensor) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return logits and activations.

        Parameters
        ----------
        X : torch.Tensor of shape (n, n_inputs), (n, C, L), (n, C, H, W), or uint8 of shape \
                (n, H, W, C); or dict of tensors
            Inputs. uint8 images are brought to [0, 1]. The entries of a dict are keyword
            arguments of the backbone.

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
        features = forward_batch(self.backbone, X)
        if self.feature_layer != "features":
            features = self._recorded[self.feature_layer].flatten(1)
        if self.bottleneck is not None:
            features = self.bottleneck(features)
        logits = self.head(features)
        activations = {**self._recorded, "inputs": X, "features": features, "logits": logits}
        self._recorded.clear()
        return logits, {name: activations[name] for name in self.layers}

    def _record(self):
        forget_recorders(self.backbone)  # left by an earlier training
        hooked = {*self.layers, self.feature_layer}.difference(OWN_LAYERS)
        record_activations(self.backbone, hooked, self._recorded)

    def set_targets(self, n_targets: int, moments: Any = None) -> None:
        """Put other target domains in the place of those that there are.

        The source's statistics and all parameters stay as they are, the targets' start from the
        source's. All batch norms are kept per domain from now on, those of frozen blocks too.

        Parameters
        ----------
        n_targets : int
            Number of target domains, at least 1.

        moments : list of (torch.Tensor, torch.Tensor), default=None
            Mean and standard deviation of the inputs of every target domain, if the network
            standardises them.
        """
        self.n_targets = n_targets
        if self.standardizer is not None:
            self.standardizer.set_targets(moments)
        n_statistics = _n_statistics(n_targets)
        for norm in self.domain_batch_norms():
            norm.set_n_domains(n_statistics)
        self.backbone = DomainBatchNorm.convert(self.backbone, n_statistics, self.rows)
        self._record()

    @contextmanager
    def targets_at_stake(self) -> Iterator[None]:
        """Within this context an error takes back what became of the target domains.

        Parameters stay the objects that they are: optimisers hold them.

        Yields
        ------
        None
            While target domains are added.
        """
        before = copy.deepcopy(self, {id(parameter): parameter for parameter in self.parameters()})
        try:
            yield
        except BaseException:  # half of the norms could know the new target
            vars(self).update(vars(before))
            raise

    def labelled_logits(self, logits: torch.Tensor, n_rows: int) -> torch.Tensor:
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
        is_frozen = self.frozen and not any(p.requires_grad for p in self.backbone.parameters())
        if is_frozen or self.is_fixed:
            self.backbone.eval()
        return self

    def unfreeze(self) -> None:
        """Let the last of the frozen blocks learn again."""
        *frozen, last = self.frozen
        for parameter in last.get_parameters(self.backbone):
            parameter.requires_grad_(True)
        self.frozen = tuple(frozen)

    def merge_adapters(self) -> None:
        """Add what adapters have learned to the weights, which may all learn again."""
        merge_adapters(self.backbone)
        self.backbone.requires_grad_(True)
        for block in self.frozen:
            for parameter in block.get_parameters(self.backbone):
                parameter.requires_grad_(False)
        self._record()

    @staticmethod
    def as_input(X: torch.Tensor) -> torch.Tensor:
        """Return uint8 images as floats in [0, 1] with channels first, and all else unchanged.

        Parameters
        ----------
        X : torch.Tensor of shape (n, ...)
            Rows of a batch.

        Returns
        -------
        X : torch.Tensor of shape (n, ...)
            What the backbone takes.
        """
        if getattr(X, "dtype", None) == torch.uint8:
            return X.permute(0, 3, 1, 2).float().div(255)
        return X

    def domain_batch_norms(self) -> list[DomainBatchNorm]:
        """Return the batch norms that keep statistics per domain.

        Returns
        -------
        norms : list of DomainBatchNorm
            In the order of the backbone.
        """
        return [
            module
            for module in self.backbone.modules()
            if isinstance(module, DomainBatchNorm) and module.rows is self.rows
        ]
