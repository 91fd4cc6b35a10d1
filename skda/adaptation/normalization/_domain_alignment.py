"""Normalisation that learns how much the domains share."""

from typing import Any

import torch
from torch import nn

from skda._torch import at_least_float32
from skda.nn import DomainBatchNorm, affine_of, mix_moments, track_moments


class DomainAlignmentNorm(DomainBatchNorm):
    r"""A batch norm per domain whose statistics mix with those of the other domain.

    In training the rows of a domain are normalised by the moments of a mixture: a share
    :math:`\alpha` of their own domain and a share :math:`1 - \alpha` of the other one,

    .. math:: \mu = \alpha \mu_1 + (1 - \alpha) \mu_2, \quad
              \sigma^2 = \alpha \sigma_1^2 + (1 - \alpha) \sigma_2^2
              + \alpha (1 - \alpha) (\mu_1 - \mu_2)^2

    with biased variances per channel. With 1 every domain is normalised by itself, with 1/2 all
    by the same moments. The share is a parameter ``alpha``: gradients flow into it, and through
    the moments from one domain to the other. It starts at 1, and is clipped to [1/2, 1] before
    every forward. The other domain of a target is the source; that of the source is the mixture
    of all targets in equal parts.

    A batch of one domain alone has nothing to mix and is normalised as in
    :class:`~skda.nn.DomainBatchNorm`. In eval mode every domain is normalised by the running
    averages of the mixed moments of its rows.

    Parameters
    ----------
    batch_norm : torch.nn.BatchNorm1d, BatchNorm2d, BatchNorm3d or a subclass
        The layer to convert; its statistics are every domain's start, its scale and shift serve
        all domains.

    n_domains : int
        Number of domains, source first.

    rows : DomainRows
        Tells which rows of a batch belong to which domain.

    References
    ----------
    F. M. Carlucci, L. Porzi, B. Caputo, E. Ricci, S. Rota Bulò. AutoDIAL: Automatic DomaIn
    Alignment Layers. ICCV 2017, section 3.1.

    Examples
    --------
    >>> import torch
    >>> from skda.adaptation.normalization import DomainAlignmentNorm
    >>> from skda.nn import DomainRows
    >>> norm = DomainAlignmentNorm(torch.nn.BatchNorm1d(1), 2, DomainRows((2, 2)))
    >>> x = torch.tensor([[0.0], [2.0], [10.0], [12.0]])
    >>> norm(x).detach().round().flatten()
    tensor([-1.,  1., -1.,  1.])
    >>> norm.alpha.data.fill_(0.5)
    tensor(0.5000)
    >>> norm(x).detach().flatten()
    tensor([-1.1767, -0.7845,  0.7845,  1.1767])
    """

    def __init__(self, batch_norm, n_domains, rows):
        super().__init__(batch_norm, n_domains, rows)
        tensors = [*batch_norm.parameters(), *batch_norm.buffers()]
        device = tensors[0].device if tensors else None
        self.alpha = nn.Parameter(torch.ones((), device=device))
        self.affine = affine_of(batch_norm)
        self.train(batch_norm.training)

    def train(self, mode=True):
        """Set the training mode, of all parts but the one that normalises by constants."""
        super().train(mode)
        self.affine.training = False
        return self

    def forward(self, x):
        """Normalise the rows of every domain by moments that are mixed, or stored."""
        sizes = self.rows.sizes
        if not self.training or sizes is None or len(sizes) < 2 or 0 in sizes:
            return super().forward(x)
        self._clip()
        parts = at_least_float32(x).split(sizes)
        source, *targets = map(self.rows.moments_of, parts)
        others = [_mixture(targets), *(source for _ in targets)]
        norms: Any = self.norms
        normalised = []
        for part, own, other, norm in zip(parts, [source, *targets], others, norms, strict=False):
            mean, variance = moments = mix_moments(own, other, self.alpha)
            track_moments(norm, moments)
            normalised.append((part - mean) * torch.rsqrt(variance + norm.eps))
        return self.affine(torch.cat(normalised))

    def get_share(self):
        """Return the share of the own domain.

        Returns
        -------
        share : float
            1 where every domain is normalised by itself, 0.5 where all are together.
        """
        self._clip()
        return self.alpha.item()

    def _clip(self):
        # Of the data: autograd is not to take it for a change between forward and backward.
        self.alpha.data.clamp_(0.5, 1.0)


def _mixture(moments):
    """Moments of the mixture of several domains in equal parts."""
    if len(moments) == 1:
        return moments[0]
    means, variances = (torch.stack(part) for part in zip(*moments, strict=True))
    return means.mean(dim=0), variances.mean(dim=0) + means.var(dim=0, correction=0)
