"""Layers of stacked networks, where torch.func computes them slowly.

Of 128 rows and 128 columns on one core, forward and backward: batch norms of two domains took 133
microseconds a network one by one, several times that under ``vmap``, and take 42 as one; a linear
layer took 111 under ``vmap``, and takes 79 as one product of stacks.
"""

from functools import partial
from typing import Any

import torch
from torch import nn

from skda.nn import DomainBatchNorm, SharedBatchNorm


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
        x, weight = x.movedim(in_dims[0], 0), weight.movedim(in_dims[1], 0)
        bias = None if bias is None else bias.movedim(in_dims[2], 0)
        return _Product.apply(x, weight, bias), 0


class _Product(torch.autograd.Function):
    """Linear layers of a stack, whose gradients lie in memory as the weights do."""

    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        weight = weight.transpose(1, 2)
        if bias is None:
            return torch.bmm(x, weight)
        return torch.baddbmm(bias.unsqueeze(1), x, weight)

    @staticmethod
    def backward(ctx, *gradients):
        (gradient,) = gradients
        x, weight = ctx.saved_tensors
        of_x, of_weight, of_bias = ctx.needs_input_grad
        return (
            torch.bmm(gradient, weight) if of_x else None,
            torch.bmm(gradient.transpose(1, 2), x) if of_weight else None,
            gradient.sum(dim=1) if of_bias else None,
        )


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


class _DomainNorm(_OfStack):
    """Batch norms of the domains of a batch, which have as many rows each."""

    @staticmethod
    def vmap(info, in_dims, x, weight, bias, momentum, eps, *running):
        x, weight, bias = (
            t.movedim(d, 0) for t, d in zip((x, weight, bias), in_dims, strict=False)
        )
        n_domains = len(running) // 2
        parts = x.reshape(len(x), n_domains, x.shape[1] // n_domains, x.shape[2])
        with torch.no_grad():
            mean = parts.mean(dim=2, keepdim=True)
            centred = parts - mean
            variance = (centred * centred).mean(dim=2, keepdim=True)
            n_rows = parts.shape[2]
            moments = (mean.squeeze(2), variance.squeeze(2) * (n_rows / (n_rows - 1)))
            for place, tensor in enumerate(running):
                tensor = tensor.movedim(in_dims[5 + place], 0)
                new = moments[place % 2][:, place // 2]
                tensor.add_(momentum * (new - tensor))
        normalised = _Normalised.apply(parts, centred, variance.add_(eps).rsqrt_(), weight, bias)
        return normalised.reshape(x.shape), 0


class _Normalised(torch.autograd.Function):
    """Rows of (networks, domains, rows, columns), centred, times `scale`, `weight`, plus `bias`."""

    @staticmethod
    def forward(ctx, x, centred, scale, weight, bias):
        centred.mul_(scale)
        ctx.save_for_backward(centred, scale, weight)
        return torch.addcmul(bias[:, None, None], centred, weight[:, None, None])

    @staticmethod
    def backward(ctx, *gradients):
        (gradient,) = gradients
        normalised, scale, weight = ctx.saved_tensors
        n_rows = gradient.shape[2]
        of_bias = gradient.sum(dim=2, keepdim=True)
        of_weight = (gradient * normalised).sum(dim=2, keepdim=True)
        of_x = torch.addcmul(gradient, normalised, of_weight, value=-1 / n_rows)
        of_x.sub_(of_bias / n_rows).mul_(scale * weight[:, None, None])
        return of_x, None, None, of_weight.sum(dim=(1, 2)), of_bias.sum(dim=(1, 2))


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
        elif type(part) is DomainBatchNorm and all(map(_is_plain_batch_norm, part.norms)):
            forward = partial(_domain_batch_norm, part)
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


def _domain_batch_norm(part, x):
    sizes = [size for size in part.rows.sizes or () if size]
    norms = [norm for norm, size in zip(part.norms, part.rows.sizes or (), strict=False) if size]
    first = part.norms[0]
    is_one = (
        x.ndim == 2
        and len(set(sizes)) == 1
        and len(x) == sum(sizes) > len(sizes)
        and all(norm.weight is first.weight and norm.bias is first.bias for norm in norms)
        and {(norm.momentum, norm.eps) for norm in norms} == {(first.momentum, first.eps)}
    )
    if not is_one:
        return part.rows.per_domain(x, part.norms)
    running = []
    for norm in norms:
        norm.num_batches_tracked.add_(1)
        running += [norm.running_mean, norm.running_var]
    return _DomainNorm.apply(x, first.weight, first.bias, first.momentum, first.eps, *running)


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
