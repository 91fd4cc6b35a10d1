"""Moments of the channels of a batch, of mixtures of them, and what normalises by such."""

import copy
from typing import Any

import torch
from torch.nn.modules.batchnorm import _BatchNorm

Moments = tuple[torch.Tensor, torch.Tensor]


def channel_moments(x: torch.Tensor) -> Moments:
    """Return mean and biased variance of every channel.

    Parameters
    ----------
    x : torch.Tensor of shape (n, n_channels, ...)
        Rows of a batch.

    Returns
    -------
    mean, variance : torch.Tensor of shape (1, n_channels, 1, ...)
        Over rows and places.
    """
    # On a CPU torch.var_mean takes many times as long.
    dims = [0, *range(2, x.ndim)]
    mean = x.mean(dim=dims, keepdim=True)
    return mean, (x - mean).square().mean(dim=dims, keepdim=True)


def mix_moments(own: Moments, other: Moments, share: Any) -> Moments:
    """Return the moments of a mixture, of which the first has a share."""
    (own_mean, own_variance), (other_mean, other_variance) = own, other
    between = share * (1 - share) * (own_mean - other_mean).square()
    return (
        share * own_mean + (1 - share) * other_mean,
        share * own_variance + (1 - share) * other_variance + between,
    )


@torch.no_grad()
def track_moments(norm: Any, moments: Moments) -> None:
    """Move the running statistics of a batch norm towards new moments, as it does itself."""
    if norm.running_mean is None:
        return
    mean, variance = (part.detach().flatten() for part in moments)
    norm.num_batches_tracked += 1
    momentum = norm.momentum
    if momentum is None:
        momentum = 1 / norm.num_batches_tracked.item()
    norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), momentum)
    norm.running_var.lerp_(variance.to(norm.running_var.dtype), momentum)


def affine_of(batch_norm: _BatchNorm) -> Any:
    """Return what a batch norm does to rows that are normalised: a copy for eval mode.

    It adds the scale and shift of the layer, which it shares, and whatever a subclass does besides.
    """
    tensors = [*batch_norm.parameters(), *batch_norm.buffers()]
    device = tensors[0].device if tensors else None
    affine = copy.deepcopy(batch_norm)
    affine.weight, affine.bias = batch_norm.weight, batch_norm.bias
    affine.track_running_stats = True
    zeros = torch.zeros(batch_norm.num_features, device=device)
    affine.running_mean, affine.running_var = zeros, zeros + 1 - batch_norm.eps
    return affine
