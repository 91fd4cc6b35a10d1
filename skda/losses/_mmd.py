"""Maximum mean discrepancy with a mixture of Gaussian kernels."""

import torch
from torch.autograd.function import once_differentiable

from skda.losses._numerics import at_least_float32

# Rows of a kernel matrix that exist at a time, and rows of a domain that tell its bandwidth.
_CHUNK_ROWS = 1024
_BANDWIDTH_ROWS = 256


def _squared_distances(a, b):
    distances = torch.addmm(b.square().sum(dim=1), a, b.T, alpha=-2)
    return distances.add_(a.square().sum(dim=1, keepdim=True)).clamp_(min=0)


def _bandwidth(source, target, rule):
    """Median or mean squared distance between different rows of the pooled batch."""
    pooled = torch.cat([rows[:: -(-len(rows) // _BANDWIDTH_ROWS)] for rows in (source, target)])
    n = len(pooled)
    distances = _squared_distances(pooled, pooled)
    # Every pair stands twice beside the diagonal of zeros.
    mean = distances.sum() / max(n * (n - 1), 1)
    if rule == "mean":
        bandwidth = mean
    else:
        rank = min(n + n * (n - 1) // 2, n * n)
        median = distances.flatten().kthvalue(rank).values
        # Collapsed features: most distances are zero, the mean still tells a scale.
        bandwidth = torch.where(median > 0, median, mean)
    return bandwidth.clamp(min=torch.finfo(distances.dtype).tiny ** 0.5)


def _add_kernels(scaled, multipliers, weights):
    """Mixture of Gaussians of scaled squared distances, and minus its derivative.

    Multipliers come in descending order: from one to its half the Gaussian is squared, which is
    cheaper than another exponential.
    """
    kernel, slope = torch.zeros_like(scaled), torch.zeros_like(scaled)
    gaussian, wider = None, None
    for multiplier, weight in zip(multipliers, weights, strict=True):
        if wider == 2 * multiplier:
            gaussian = gaussian.square_()
        else:
            gaussian = torch.exp(scaled / -multiplier)
        wider = multiplier
        kernel.add_(gaussian, alpha=weight)
        slope.add_(gaussian, alpha=weight / multiplier)
    return kernel, slope


class _QuadraticMMD(torch.autograd.Function):
    """MMD over all pairs; the gradient is made with the value, so no kernel matrix is kept."""

    @staticmethod
    def forward(ctx, source, target, bandwidth, multipliers, weights, unbiased):
        n_source, n_target = len(source), len(target)
        same = [1 / (n * (n - 1)) if unbiased else 1 / n**2 for n in (n_source, n_target)]
        value = source.new_zeros(())
        gradients = [torch.zeros_like(source), torch.zeros_like(target)]
        rows = (source, target)
        for first, second, factor in (
            (0, 0, same[0]),
            (1, 1, same[1]),
            (0, 1, -2 / (n_source * n_target)),
        ):
            b = rows[second]
            for start in range(0, len(rows[first]), _CHUNK_ROWS):
                a = rows[first][start : start + _CHUNK_ROWS]
                scaled = _squared_distances(a, b).div_(bandwidth)
                kernel, slope = _add_kernels(scaled, multipliers, weights)
                value += factor * kernel.sum()
                # d kernel(a, b) / da = -2 slope (a - b) / bandwidth; within one domain each
                # pair is met from both its ends.
                step = 2 * factor / bandwidth * (2 if first == second else 1)
                gradients[first][start : start + len(a)] -= step * (
                    slope.sum(dim=1, keepdim=True) * a - slope @ b
                )
                if first != second:
                    gradients[second] -= step * (slope.sum(dim=0)[:, None] * b - slope.T @ a)
        if unbiased:  # the diagonals, kernels of zero distance, were summed too
            value -= sum(weights) * (n_source * same[0] + n_target * same[1])
        ctx.save_for_backward(*gradients)
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        source, target = ctx.saved_tensors
        return grad * source, grad * target, None, None, None, None


def _linear_time(source, target, bandwidth, multipliers, weights):
    n = min(len(source), len(target)) // 2 * 2
    s1, s2, t1, t2 = source[0:n:2], source[1:n:2], target[0:n:2], target[1:n:2]
    value = 0.0
    for a, b, sign in ((s1, s2, 1), (t1, t2, 1), (s1, t2, -1), (s2, t1, -1)):
        scaled = (a - b).square().sum(dim=1) / bandwidth
        for multiplier, weight in zip(multipliers, weights, strict=True):
            value = value + sign * weight * torch.exp(scaled / -multiplier).mean()
    return value


def mmd(
    source,
    target,
    *,
    bandwidth="median",
    multipliers=(0.25, 0.5, 1.0, 2.0, 4.0),
    kernel_weights=None,
    estimator="biased",
):
    r"""Squared maximum mean discrepancy between two domains, with a mixture of Gaussians.

    .. math:: \ell = E\,k(s, s') + E\,k(t, t') - 2\, E\,k(s, t), \quad
              k(a, b) = \sum_u \beta_u \exp\bigl(-\lVert a - b \rVert^2 / (m_u \gamma)\bigr)

    Memory is linear in rows: no kernel matrix of a whole batch is kept. Computed in float32, or
    in float64 for float64 input. The bandwidth carries no gradient, and the value can be
    differentiated once.

    Parameters
    ----------
    source : torch.Tensor of shape (n_source, n_features)
        Features of the source rows; at least two.

    target : torch.Tensor of shape (n_target, n_features)
        Features of the target rows; at least two.

    bandwidth : {"median", "mean"} or float, default="median"
        :math:`\gamma`: the median or mean squared distance between the rows of this batch (of at
        most 256 rows a domain), or a fixed number, in squared units of the features.

    multipliers : tuple of float, default=(0.25, 0.5, 1.0, 2.0, 4.0)
        The :math:`m_u`, one per kernel.

    kernel_weights : tuple of float, default=None
        The :math:`\beta_u`; None weighs all kernels alike, with a sum of one.

    estimator : {"biased", "unbiased", "linear"}, default="biased"
        Over all pairs with the diagonal (never negative), over all pairs without it (centred on
        the population value, can be negative), or over consecutive rows in time linear in rows
        (the same, with more variance).

    Returns
    -------
    loss : torch.Tensor of shape ()
        The squared discrepancy.

    Raises
    ------
    ValueError
        If `bandwidth`, `estimator` or the number of weights is not one of the above.

    References
    ----------
    M. Long, Y. Cao, J. Wang, M. Jordan. Learning Transferable Features with Deep Adaptation
    Networks. ICML 2015, section 3. A. Gretton et al. A Kernel Two-Sample Test. JMLR 13, 2012,
    lemmas 6 and 14.

    Examples
    --------
    >>> import torch
    >>> from skda.losses import mmd
    >>> source = torch.tensor([[0.0], [0.0]])
    >>> target = torch.tensor([[1.5], [1.5]])
    >>> loss = mmd(source, target, bandwidth=2.0, multipliers=(1.0,))
    >>> round(loss.item(), 6)  # 2 - 2 k(0, 1.5)
    1.350695
    """
    if kernel_weights is None:
        kernel_weights = (1 / len(multipliers),) * len(multipliers)
    if len(kernel_weights) != len(multipliers):
        raise ValueError(
            f"kernel_weights has {len(kernel_weights)} entries for {len(multipliers)} "
            "multipliers; give one weight per kernel."
        )
    source, target = at_least_float32(source), at_least_float32(target)
    # Distances come from inner products, which lose their digits far from the origin. Beside one
    # of their rows collapsed features are exact zeros, which the mean alone would miss.
    origin = source[0].detach()
    source, target = source - origin, target - origin
    centre = torch.cat([source.detach(), target.detach()]).mean(dim=0)
    source, target = source - centre, target - centre
    if isinstance(bandwidth, str):
        if bandwidth not in ("median", "mean"):
            raise ValueError(f"bandwidth must be 'median', 'mean' or a number, got {bandwidth!r}.")
        bandwidth = _bandwidth(source.detach(), target.detach(), bandwidth)
    kernels = sorted(zip(multipliers, kernel_weights, strict=True), reverse=True)
    multipliers, weights = zip(*kernels, strict=True)
    if estimator == "linear":
        return _linear_time(source, target, bandwidth, multipliers, weights)
    if estimator not in ("biased", "unbiased"):
        raise ValueError(f"estimator must be 'biased', 'unbiased' or 'linear', got {estimator!r}.")
    return _QuadraticMMD.apply(
        source, target, bandwidth, multipliers, weights, estimator == "unbiased"
    )
