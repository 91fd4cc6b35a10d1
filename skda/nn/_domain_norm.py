"""Normalisation with statistics of its own for every domain."""

import copy
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from threading import RLock
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from skda._torch import at_least_float32
from skda.nn._mixed_moments import affine_of, channel_moments, mix_moments, track_moments


class DomainRows:
    """How many rows of the current batch belong to each domain, in order.

    One object is shared by all layers of a network that tell domains apart.

    Parameters
    ----------
    sizes : tuple of int or None, default=None
        Rows per domain, source first; None for a batch that belongs to the last domain alone.

    Examples
    --------
    >>> import torch
    >>> from skda.nn import DomainRows
    >>> rows = DomainRows((2, 1))
    >>> rows.per_domain(torch.ones(3), [torch.neg, torch.exp])
    tensor([-1.0000, -1.0000,  2.7183])
    """

    SOURCE_ALONE = (1,)
    # Of the statistics that domains share, see SharedBatchNorm; None is that of the batch.
    target_share: Any = None
    # Those of a batch of which other processes have rows too are another function's.
    moments_of: Any = staticmethod(channel_moments)

    def __init__(self, sizes: tuple[int, ...] | None = None):
        self.sizes: Any = sizes  # never None while a batch of training is forwarded

    @property
    def lock(self) -> Any:
        """Of the network whose layers share this object: one thread at a time runs it.

        Sizes by thread would not do, since on CUDA autograd runs layers once more in a thread of
        its own.
        """
        return vars(self).setdefault("_lock", RLock())  # not in files

    @contextmanager
    def of(self, sizes: tuple[int, ...] | None) -> Iterator[None]:
        """Within this context batches are of these sizes; nothing else ever sets them.

        It lasts for the backward pass too: activation checkpoints run a layer once more in it.
        Other threads wait for its end.

        Parameters
        ----------
        sizes : tuple of int or None
            Number of rows by domain, the source's first; None where nothing is known.

        Yields
        ------
        None
            While batches are of these sizes.
        """
        with self.lock:
            before, share = self.sizes, self.target_share
            self.sizes = sizes
            try:
                yield
            finally:
                self.sizes, self.target_share = before, share

    def __getstate__(self):
        return {"sizes": self.sizes}

    @staticmethod
    def target_alone(number: int) -> tuple[int, ...]:
        """Return sizes for a batch that belongs to one target domain.

        Parameters
        ----------
        number : int
            Of the target domain, counted from 0.

        Returns
        -------
        sizes : tuple of int
            Number of rows by domain, as shares.
        """
        return (0,) * (number + 1) + (1,)

    def per_domain(self, x: torch.Tensor, layers: Any) -> torch.Tensor:
        """Apply to every domain's rows the layer of that domain.

        Parameters
        ----------
        x : torch.Tensor of shape (n, ...)
            Rows, domain by domain.

        layers : list of callable
            One per domain.

        Returns
        -------
        y : torch.Tensor of shape (n, ...)
            What the layers return, in the same order.
        """
        if self.sizes is None:
            return layers[-1](x)
        present = [(layer, size) for layer, size in zip(layers, self.sizes, strict=False) if size]
        if len(present) == 1:
            return present[0][0](x)
        parts = x.split([size for _, size in present])
        return torch.cat([layer(part) for (layer, _), part in zip(present, parts, strict=True)])


class DomainBatchNorm(nn.Module):
    """A batch norm with one set of statistics per domain and shared scale and shift.

    Parameters
    ----------
    batch_norm : torch.nn.BatchNorm1d, BatchNorm2d, BatchNorm3d or a subclass
        The layer to convert; its statistics are every domain's start.

    n_domains : int
        Number of domains, source first.

    rows : DomainRows
        Tells which rows of a batch belong to which domain.

    References
    ----------
    W.-G. Chang et al. Domain-Specific Batch Normalization for Unsupervised Domain Adaptation.
    CVPR 2019 (there with scale and shift per domain; here these are shared, as in AdaBN).

    Examples
    --------
    >>> import torch
    >>> from skda.nn import DomainBatchNorm, DomainRows
    >>> norm = DomainBatchNorm(torch.nn.BatchNorm1d(1), 2, DomainRows((2, 2)))
    >>> norm(torch.tensor([[0.0], [2.0], [10.0], [12.0]])).round().flatten()
    tensor([-1.,  1., -1.,  1.], grad_fn=<ViewBackward0>)
    """

    norms: nn.ModuleList
    rows: DomainRows

    def __init__(self, batch_norm: _BatchNorm, n_domains: int, rows: DomainRows):
        super().__init__()
        self.norms = nn.ModuleList([batch_norm])
        self.rows = rows
        self.set_n_domains(n_domains)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise the rows of every domain by that domain's statistics."""
        return self.rows.per_domain(x, self.norms)

    def set_n_domains(self, n_domains: int) -> None:
        """Keep the source's statistics, and start all others from them.

        Parameters
        ----------
        n_domains : int
            Number of domains, source first.
        """
        source = self.norms[0]
        targets = [copy.deepcopy(source) for _ in range(n_domains - 1)]
        for norm in targets:
            norm.weight, norm.bias = source.weight, source.bias
        self.norms = nn.ModuleList([source, *targets])

    def split_parameters(self) -> None:
        """Give the targets a scale and shift of their own, which start from the source's."""
        source, target, *others = self.norms
        target.weight, target.bias = map(copy.deepcopy, (source.weight, source.bias))
        for norm in others:
            norm.weight, norm.bias = target.weight, target.bias

    def pool_targets(self) -> None:
        """Set the last statistics to those of the mixture of all target domains, in equal parts.

        They serve a prediction, which does not know from which of several targets a row comes.
        """
        norms: list[Any] = list(self.norms)
        targets, pooled = norms[1:-1], norms[-1]
        if pooled.running_mean is None:
            return
        means = torch.stack([norm.running_mean for norm in targets])
        variances = torch.stack([norm.running_var for norm in targets])
        pooled.running_mean.copy_(means.mean(dim=0))
        pooled.running_var.copy_(variances.mean(dim=0) + means.var(dim=0, correction=0))

    @classmethod
    def convert(
        cls, module: nn.Module, n_domains: int, rows: DomainRows, skip: Iterable[nn.Module] = ()
    ) -> nn.Module:
        """Replace every batch norm inside `module`, in place, and return the module.

        Parameters
        ----------
        module : torch.nn.Module
            The network.

        n_domains : int
            Number of domains, source first.

        rows : DomainRows
            Shared by the new layers.

        skip : iterable of torch.nn.Module, default=()
            Parts of `module` that stay as they are.

        Returns
        -------
        module : torch.nn.Module
            The same network, or its replacement if it is a batch norm itself.
        """
        made = {part: part for part in skip}
        return _convert(module, lambda norm: cls(norm, n_domains, rows), rows, made)


class SharedBatchNorm(nn.Module):
    r"""A batch norm with one set of statistics, in which the target counts as it is aligned.

    In training all rows are normalised by the moments of a mixture of the domains, in which the
    target has the share :attr:`DomainRows.target_share`. A net sets it to half of
    :math:`\lambda / (1 + \lambda)`, with the trade-off :math:`\lambda` of the step; relative to 0.1
    in :class:`skda.adaptation.WDGRLClassifier`, whose distances are larger. With a large trade-off
    both domains count alike; with a small one the statistics become those of the source alone, so
    that what the source teaches does not depend on rows to which nothing is aligned. With equal
    shares at any trade-off, as in a plain batch norm, the loss of the source could be lowered by
    making the target's part of the common variance small.

    Without a share, or with rows of one domain alone, it is the batch norm that it was made of.

    Parameters
    ----------
    norm : torch.nn.BatchNorm1d, BatchNorm2d, BatchNorm3d or a subclass
        The layer to convert.

    rows : DomainRows
        Tells which rows of a batch belong to which domain, and the share of the target.

    Examples
    --------
    >>> import torch
    >>> from skda.nn import DomainRows, SharedBatchNorm
    >>> rows = DomainRows((2, 2))
    >>> norm = SharedBatchNorm(torch.nn.BatchNorm1d(1), rows)
    >>> x = torch.tensor([[0.0], [2.0], [10.0], [12.0]])
    >>> rows.target_share = 0.0
    >>> norm(x).detach().round().flatten()
    tensor([-1.,  1.,  9., 11.])
    >>> rows.target_share = 0.5
    >>> norm(x).detach().flatten()
    tensor([-1.1767, -0.7845,  0.7845,  1.1767])
    """

    def __init__(self, norm: _BatchNorm, rows: DomainRows):
        super().__init__()
        self.norm, self.affine, self.rows = norm, affine_of(norm), rows
        self.train(norm.training)

    def train(self, mode: bool = True) -> "SharedBatchNorm":
        """Set the training mode, of all parts but the one that normalises by constants."""
        super().train(mode)
        self.affine.training = False
        return self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise the rows of all domains by the same statistics."""
        sizes, share = self.rows.sizes, self.rows.target_share
        if not self.training or share is None or sizes is None or len(x) % sum(sizes):
            return self.norm(x)
        # Of a network that makes several rows of one, such as one per frame, as many times more.
        n_source = len(x) // sum(sizes) * sizes[0]
        if not 0 < n_source < len(x):
            return self.norm(x)
        # In the precision of the network from here on, as a batch norm does.
        rows = at_least_float32(x)
        source, target = map(self.rows.moments_of, (rows[:n_source], rows[n_source:]))
        moments = mix_moments(source, target, 1 - share)
        self.track(moments)
        mean, variance = moments
        normalised = (rows - mean) * torch.rsqrt(variance + self.norm.eps)
        return self.affine(normalised.to(x.dtype))

    def track(self, moments: tuple[torch.Tensor, torch.Tensor]) -> None:
        """Move the running statistics towards the moments of a batch.

        Parameters
        ----------
        moments : (torch.Tensor, torch.Tensor)
            Mean and variance of every channel.
        """
        track_moments(self.norm, moments)

    @classmethod
    def convert(cls, module: nn.Module, rows: DomainRows, skip: Iterable[nn.Module] = ()) -> Any:
        """Replace every batch norm inside `module`, in place, and return the module.

        Parameters
        ----------
        module : torch.nn.Module
            The network.

        rows : DomainRows
            Shared by the new layers.

        skip : iterable of torch.nn.Module, default=()
            Parts of `module` that stay as they are.

        Returns
        -------
        module : torch.nn.Module
            The same network, or its replacement if it is a batch norm itself.
        """
        return _convert(module, lambda norm: cls(norm, rows), rows, {part: part for part in skip})


def _convert(module, make, rows, converted):
    if module in converted:
        return converted[module]
    if isinstance(module, DomainBatchNorm | SharedBatchNorm):
        if module.rows is rows:  # met before, in a block that is used twice
            return module
        # Left by an earlier training: go on from what its predictions used.
        module = module.norms[-1] if isinstance(module, DomainBatchNorm) else module.norm
    if isinstance(module, _BatchNorm):
        if module not in converted:
            converted[module] = make(module)
        return converted[module]
    for name, child in module._modules.items():
        if child is not None:
            setattr(module, name, _convert(child, make, rows, converted))
    return module


class _Affine(nn.Module):
    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, mean, scale):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)

    def forward(self, x):
        return (x - self.mean) / self.scale


class DomainStandardizer(nn.Module):
    """Bring the inputs of every domain to zero mean and unit variance.

    Columns of tables and channels of images and series are standardised; constant ones are only
    centred.

    Parameters
    ----------
    moments : list of (torch.Tensor, torch.Tensor)
        Mean and standard deviation of every domain, of shape (n_features,), (n_channels, 1) or
        (n_channels, 1, 1).

    rows : DomainRows
        Tells which rows of a batch belong to which domain.

    Examples
    --------
    >>> import torch
    >>> from skda.nn import DomainRows, DomainStandardizer
    >>> moments = [(torch.zeros(1), torch.ones(1)), (torch.full((1,), 10.0), torch.ones(1))]
    >>> standardizer = DomainStandardizer(moments, DomainRows((1, 2)))
    >>> standardizer(torch.tensor([[1.0], [9.0], [10.0]])).flatten()
    tensor([ 1., -1.,  0.])
    """

    affines: nn.ModuleList
    rows: DomainRows

    def __init__(self, moments: Sequence[tuple[torch.Tensor, torch.Tensor]], rows: DomainRows):
        super().__init__()
        self.affines = nn.ModuleList(_Affine(mean, scale) for mean, scale in moments)
        self.rows = rows

    def set_targets(self, moments: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> None:
        """Keep the source's moments, and replace all others.

        Parameters
        ----------
        moments : list of (torch.Tensor, torch.Tensor)
            Mean and standard deviation of every target domain.
        """
        source: Any = self.affines[0]
        targets = [_Affine(mean, scale).to(source.mean.device) for mean, scale in moments]
        self.affines = nn.ModuleList([source, *targets])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Standardise the rows of every domain by that domain's moments."""
        return self.rows.per_domain(x, self.affines)
