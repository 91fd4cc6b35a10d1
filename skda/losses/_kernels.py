"""Sums of Gaussian kernels over the pairs of a batch, with a gradient of their own."""

import math
from collections.abc import Iterable
from functools import lru_cache, reduce
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.autograd.function import once_differentiable

from skda.losses._checks import check_bandwidth, check_choice, check_numbers

# Entries of a kernel matrix that exist at a time, and rows of a batch that tell its bandwidth.
_CHUNK_ENTRIES = 512 * 512
_BANDWIDTH_ROWS = 256
# Each squaring doubles the rounding error of a Gaussian.
_MAX_SQUARINGS = 4
# Smaller Gaussians are raised to this: arithmetic is many times slower on what underflows.
_NEGLIGIBLE = 1e-26


class GaussianMixture(NamedTuple):
    """Kernel of a squared distance: ``sum_u weight_u exp(-rate_u distance / bandwidth)``."""

    bandwidth: str | float
    rates: tuple[float, ...]
    weights: tuple[float, ...]
    # Whether a Gaussian needs an exponential of its own or is the square of the one before.
    fresh: tuple[bool, ...]

    def __call__(self, scaled: torch.Tensor) -> torch.Tensor:
        """Mixture of few scaled squared distances, differentiable by autograd."""
        rates, weights = scaled.new_tensor(self.rates), scaled.new_tensor(self.weights)
        return torch.exp(scaled[..., None] * -rates) @ weights

    def with_slope(self, scaled: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mixture of many scaled squared distances, and its derivative."""
        kernel: Any = None
        slope: Any = None
        gaussian: Any = None
        for rate, weight, fresh in zip(self.rates, self.weights, self.fresh, strict=True):
            if fresh:
                gaussian = torch.mul(scaled, -rate).clamp_(min=math.log(_NEGLIGIBLE)).exp_()
            else:
                gaussian.clamp_(min=math.sqrt(_NEGLIGIBLE)).square_()
            if kernel is None:
                kernel, slope = gaussian * weight, gaussian * (-weight * rate)
            else:
                kernel.add_(gaussian, alpha=weight)
                slope.add_(gaussian, alpha=-weight * rate)
        return kernel, slope


def gaussian_mixture(
    bandwidth: str | float, multipliers: Iterable[float], weights: Any = None
) -> GaussianMixture:
    """Checked mixture of Gaussians with bandwidths ``multiplier * bandwidth``."""
    check_bandwidth("bandwidth", bandwidth)
    multipliers = check_numbers("multipliers", multipliers, positive=True)
    if weights is None:
        weights = (1 / len(multipliers),) * len(multipliers)
    else:
        weights = check_numbers("kernel_weights", weights)
    if len(weights) != len(multipliers):
        raise ValueError(
            f"kernel_weights has {len(weights)} entries for {len(multipliers)} "
            "multipliers; give one weight per kernel."
        )
    return GaussianMixture(bandwidth, *_in_chains(multipliers, weights))


@lru_cache(maxsize=64)
def _in_chains(multipliers, weights):
    """Order kernels so that most are the square of the one before, without those of no weight."""
    left = {}
    for multiplier, weight in sorted(zip(multipliers, weights, strict=True), reverse=True):
        left[multiplier] = left.get(multiplier, 0) + weight
    left = {multiplier: weight for multiplier, weight in left.items() if weight}
    left = left or {multipliers[0]: 0.0}
    order = []
    while left:
        multiplier, squarings = next(iter(left)), 0
        while multiplier in left and squarings <= _MAX_SQUARINGS:
            order.append((1 / multiplier, left.pop(multiplier), squarings == 0))
            multiplier, squarings = multiplier / 2, squarings + 1
    return tuple(zip(*order, strict=True))


def centred(rows: torch.Tensor) -> torch.Tensor:
    """Rows moved to the origin: far from it inner products lose the digits of distances."""
    # Beside one of their rows collapsed features are exact zeros, which the mean would miss.
    rows = rows - rows[0].detach()
    return rows - rows.detach().mean(dim=0)


def squared_distances(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Squared distances between the rows of two tensors, differentiable by autograd."""
    a, b = centred(torch.cat([a, b])).split([len(a), len(b)])
    distances = torch.addmm(b.square().sum(dim=1), a, b.T, alpha=-2)
    return (distances + a.square().sum(dim=1, keepdim=True)).clamp(min=0)


class _Rows:
    """Rows of features: their squared distances, chunk by chunk, and the gradient of a sum."""

    def __init__(self, features):
        self.rows = centred(features)
        self.squares = torch.linalg.vector_norm(self.rows, dim=1).square_()
        self._all = None

    def distances(self, start, stop):
        """Squared distances between rows start to stop and the rows from start on."""
        if self._all is not None:
            distances, self._all = self._all, None
            return distances
        a, b = self.rows[start:stop], self.rows[start:]
        distances = torch.addmm(self.squares[start:], a, b.T, alpha=-2)
        distances.add_(self.squares[start:stop, None]).clamp_(min=0).diagonal().zero_()
        return distances

    def bandwidth(self, rule):
        n = len(self.rows)
        some = slice(None, None, -(-n // _BANDWIDTH_ROWS))
        if _chunk_rows(n) < n:
            return _typical(_Rows(self.rows[some]).distances(0, n), rule)
        self._all = self.distances(0, n)
        return _typical(self._all[some, some], rule)

    def start_gradient(self):
        self.gradient = torch.zeros_like(self.rows)

    def add_gradient(self, start, stop, slope):
        """Take in the derivatives by the distances of rows start to stop."""
        a, b, later = self.rows[start:stop], self.rows[start:], slope[:, stop - start :]
        gradient = self.gradient[start:stop].addmm_(slope, b, alpha=-2)
        gradient.addcmul_(slope.sum(dim=1, keepdim=True), a, value=2)
        if stop < len(self.rows):
            gradient = self.gradient[stop:].addmm_(later.T, a, alpha=-2)
            gradient.addcmul_(later.sum(dim=0)[:, None], self.rows[stop:], value=2)


def typical_distance(features: torch.Tensor, rule: str) -> torch.Tensor:
    """The median or mean squared distance between rows, of some of them if there are many."""
    return _Rows(features).bandwidth(rule)


class _Distances:
    """As `_Rows`, of squared distances that exist already."""

    def __init__(self, matrix):
        self.matrix = matrix

    def distances(self, start, stop):
        distances = self.matrix[start:stop, start:].clone()
        distances.diagonal().zero_()
        return distances

    def bandwidth(self, rule):
        some = slice(None, None, -(-len(self.matrix) // _BANDWIDTH_ROWS))
        return _typical(self.matrix[some, some], rule)

    def start_gradient(self):
        self.gradient = torch.zeros_like(self.matrix)

    def add_gradient(self, start, stop, slope):
        self.gradient[start:stop, start:] = slope
        # Pairs within the chunk are there from both their ends.
        self.gradient[start:stop, start:stop] *= 0.5


def _typical(distances, rule):
    """Median or mean of the squared distances between different rows."""
    n = len(distances)
    mean = distances.sum() / max(n * (n - 1), 1)
    if rule == "mean" or n == 1:
        typical = mean
    else:
        # Off the diagonal every pair stands twice.
        median = _median(distances.flatten()[1:].view(n - 1, n + 1)[:, :-1])
        # Collapsed features: most distances are zero, the mean still tells a scale.
        typical = torch.where(median > 0, median, mean)
    return typical.clamp(min=torch.finfo(distances.dtype).tiny ** 0.5)


def _median(values):
    if values.device.type != "cpu":
        return values.median()
    # NumPy takes a fifth of the time.
    middle = (values.numel() - 1) // 2
    return values.new_tensor(np.partition(values.numpy(), middle, axis=None)[middle])


def _chunk_rows(n):
    return max(_CHUNK_ENTRIES // n, 1)


class _KernelSum(torch.autograd.Function):
    """``sum_ij w_ij prod_l k_l(i, j)``; the gradient is made with the value, chunk by chunk."""

    @staticmethod
    def forward(ctx, kernels, spaces, left, right, diagonal, *layers):
        n = len(left)
        spaces = [space(layer) for space, layer in zip(spaces, layers, strict=True)]
        wanted = [k for k, need in enumerate(ctx.needs_input_grad[5:]) if need]
        for k in wanted:
            spaces[k].start_gradient()
        bandwidths = [
            space.bandwidth(kernel.bandwidth)
            if isinstance(kernel.bandwidth, str)
            else kernel.bandwidth
            for space, kernel in zip(spaces, kernels, strict=True)
        ]
        value = left.new_zeros(())
        for start in range(0, n, _chunk_rows(n)):
            stop = min(start + _chunk_rows(n), n)
            # Every pair of different rows is met once here and counts twice.
            pairs = 2 * left[start:stop] @ right[start:].T
            if not diagonal:
                pairs.diagonal().zero_()
            values, slopes = zip(
                *[
                    kernel.with_slope(space.distances(start, stop).div_(bandwidth))
                    for kernel, space, bandwidth in zip(kernels, spaces, bandwidths, strict=True)
                ],
                strict=True,
            )
            for k in wanted:
                slope = slopes[k].mul_(pairs).div_(bandwidths[k])
                for other, factor in enumerate(values):
                    if other != k:
                        slope.mul_(factor)
                spaces[k].add_gradient(start, stop, slope)
            for factor in values:
                pairs.mul_(factor)
            value += pairs.sum() - 0.5 * pairs[:, : stop - start].sum()
        ctx.wanted = wanted
        ctx.save_for_backward(*[spaces[k].gradient for k in wanted])
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        gradients = [None] * len(ctx.needs_input_grad)
        for k, gradient in zip(ctx.wanted, ctx.saved_tensors, strict=True):
            gradients[5 + k] = grad * gradient
        return tuple(gradients)


def kernel_sum(kernels, layers, pair_weights, *, diagonal=True, distances=False):
    """Weighted sum over all pairs of rows of a product of kernels, one per layer.

    Memory is linear in rows: no kernel matrix of a whole batch is kept. The value can be
    differentiated once, and bandwidths carry no gradient.

    Parameters
    ----------
    kernels : sequence of GaussianMixture
        One per layer.

    layers : sequence of torch.Tensor of shape (n, n_features)
        Rows of both domains; or squared distances of shape (n, n).

    pair_weights : pair of torch.Tensor of shape (n, rank)
        Two factors of the symmetric matrix of weights.

    diagonal : bool
        Whether a row makes a pair with itself.

    distances : bool
        Whether `layers` are distances.
    """
    spaces = [_Distances if distances else _Rows] * len(layers)
    return _KernelSum.apply(kernels, spaces, *pair_weights, diagonal, *layers)


def domain_weights(source, target, *, unbiased):
    """Factors of the weights of the pairs of two domains in a maximum mean discrepancy."""
    n_source, n_target = len(source), len(target)
    if not unbiased:
        weights = source.new_full((n_source + n_target, 1), 1 / n_source)
        weights[n_source:] = -1 / n_target
        return weights, weights
    across = -1 / (n_source * n_target)
    within = [1 / max(n * (n - 1), 1) for n in (n_source, n_target)]
    domains = source.new_zeros(n_source + n_target, 2)
    domains[:n_source, 0] = domains[n_source:, 1] = 1
    return domains, domains @ domains.new_tensor([[within[0], across], [across, within[1]]])


def discrepancy(kernels, source, target, estimator):
    """Squared maximum mean discrepancy of a product of kernels, one per layer."""
    check_choice("estimator", estimator, ("biased", "unbiased", "linear"))
    if estimator == "linear":
        if min(len(source[0]), len(target[0])) < 2:
            raise ValueError(
                "source and target need at least two rows each with estimator='linear', got "
                f"{len(source[0])} and {len(target[0])}."
            )
        return quadruple_terms(kernels, source, target).mean()
    unbiased = estimator == "unbiased"
    return kernel_sum(
        kernels,
        [torch.cat(domains) for domains in zip(source, target, strict=True)],
        domain_weights(source[0], target[0], unbiased=unbiased),
        diagonal=not unbiased,
    )


class _QuadrupleDistances(torch.autograd.Function):
    """Squared distances s-s, t-t, s-t, t-s in quadruples of consecutive rows."""

    @staticmethod
    def _differences(source, target):
        n = min(len(source), len(target)) // 2 * 2
        s1, s2, t1, t2 = source[0:n:2], source[1:n:2], target[0:n:2], target[1:n:2]
        return s1 - s2, t1 - t2, s1 - t2, s2 - t1

    @staticmethod
    def forward(ctx, source, target):
        ctx.save_for_backward(source, target)
        differences = _QuadrupleDistances._differences(source, target)
        return torch.stack([torch.linalg.vector_norm(x, dim=1) for x in differences]).square_()

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        ss, tt, st, ts = (
            x.mul_(2 * weight[:, None])
            for x, weight in zip(
                _QuadrupleDistances._differences(*ctx.saved_tensors), grad, strict=True
            )
        )
        source, target = map(torch.zeros_like, ctx.saved_tensors)
        n = 2 * len(ss)
        torch.add(ss, st, out=source[0:n:2])
        torch.sub(ts, ss, out=source[1:n:2])
        torch.sub(tt, ts, out=target[0:n:2])
        torch.add(tt, st, out=target[1:n:2]).neg_()
        return source, target


def quadruple_distances(kernel, source, target):
    """Scaled squared distances s-s, t-t, s-t, t-s in quadruples of consecutive rows."""
    bandwidth = kernel.bandwidth
    if isinstance(bandwidth, str):
        few = [x.detach()[:: -(-len(x) // (_BANDWIDTH_ROWS // 2))] for x in (source, target)]
        bandwidth = typical_distance(torch.cat(few), bandwidth)
    return _QuadrupleDistances.apply(source, target) / bandwidth


def quadruple_terms(kernels, source, target):
    """Terms whose mean is the linear-time discrepancy."""
    parts = [
        kernel(quadruple_distances(kernel, rows, others))
        for kernel, rows, others in zip(kernels, source, target, strict=True)
    ]
    product = reduce(torch.mul, parts)
    return product[0] + product[1] - product[2] - product[3]
