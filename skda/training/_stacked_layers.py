"""Layers of stacked networks, where torch.func computes them slowly.

Of 16 networks, 128 rows and 128 columns on one core, forward and backward: a batch norm took 425
microseconds a network under ``vmap``, and 53 network by network; a linear layer took 111 and takes
79 as one product of stacks.
"""

from functools import partial
from typing import Any

import torch
from torch import nn

from skda.nn import SharedBatchNorm


class _OfStack(torch.autograd.Function):
    """A layer of which nothing but the form for a stack is ever computed.

    That form is made of operations which autograd follows by itself.
    """

    @staticmethod
    def forward(*args):
        raise RuntimeError("this layer computes stacks of networks alone")

    @staticmethod
    def setup_context(ctx, inputs, output):
        """Keep nothing."""


class _Linear(_OfStack):
    @staticmethod
    def vmap(info, in_dims, x, weight, bias):
        x, weight = x.movedim(in_dims[0], 0), weight.movedim(in_dims[1], 0).transpose(1, 2)
        if bias is None:
            return torch.bmm(x, weight), 0
        return torch.baddbmm(bias.movedim(in_dims[2], 0).unsqueeze(1), x, weight), 0


class _BatchNorm(_OfStack):
    @staticmethod
    def vmap(info, in_dims, x, running_mean, running_var, weight, bias, momentum, eps):
        tensors = zip((x, running_mean, running_var, weight, bias), in_dims[:5], strict=True)
        columns = [tensor.movedim(dim, 0).unbind() for tensor, dim in tensors]
        outputs = [
            torch.batch_norm(x, weight, bias, mean, var, True, momentum, eps, False)
            for x, mean, var, weight, bias in zip(*columns, strict=True)
        ]
        return torch.stack(outputs), 0


def use_layers_of_stacks(parts: nn.Module) -> None:
    """Let layers of a network compute as those of a stack, within :func:`torch.func.vmap`.

    Parameters
    ----------
    parts : torch.nn.Module
        A network of which every tensor will be that of a stack.
    """
    for part in parts.modules():
        if type(part) is nn.Linear:
            forward = partial(_linear, part)
        elif _is_plain_batch_norm(part):
            forward = partial(_batch_norm, part)
        elif isinstance(part, SharedBatchNorm) and _tracks(part.norm):
            object.__setattr__(part, "track", partial(_track, part.norm))
            continue
        else:
            continue
        object.__setattr__(part, "forward", forward)


def _is_plain_batch_norm(part: Any) -> bool:
    return (
        type(part) in (nn.BatchNorm1d, nn.BatchNorm2d)
        and part.training
        and part.affine
        and _tracks(part)
    )


def _tracks(norm: Any) -> bool:
    return norm.running_mean is not None and norm.momentum is not None


def _linear(part, x):
    if x.ndim != 2:
        return nn.functional.linear(x, part.weight, part.bias)
    return _Linear.apply(x, part.weight, part.bias)


def _batch_norm(part, x):
    part.num_batches_tracked.add_(1)
    return _BatchNorm.apply(
        x,
        part.running_mean,
        part.running_var,
        part.weight,
        part.bias,
        part.momentum,
        part.eps,
    )


@torch.no_grad()
def _track(norm, moments):
    """Move running statistics as ``lerp_`` does, which torch.func runs network by network."""
    norm.num_batches_tracked.add_(1)
    for running, new in zip((norm.running_mean, norm.running_var), moments, strict=True):
        running.add_(norm.momentum * (new.detach().flatten() - running))
