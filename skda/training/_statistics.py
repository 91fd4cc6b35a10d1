"""Moments of domains: of their inputs, and of what enters batch norms."""

from itertools import cycle
from typing import Any

import numpy as np
import torch

from skda._torch import as_tensor, at_least_float32
from skda.training._module import AdaptationModule

_ROWS_AT_A_TIME = 1024


def standardization(domains):
    """Return the moments of every domain, and of the mixture of all if there are several.

    Parameters
    ----------
    domains : sequence of arrays
        Their rows.

    Returns
    -------
    moments : list of (torch.Tensor, torch.Tensor)
        Mean and standard deviation of columns or channels, of shape (n_features,), (n_channels, 1)
        of series or (n_channels, 1, 1) of images; 1 where the deviation is zero.
    """
    moments = [_moments(rows) for rows in domains]
    if len(moments) > 1:
        means, deviations = (torch.stack(part) for part in zip(*moments, strict=True))
        variance = deviations.square().mean(dim=0) + means.var(dim=0, correction=0)
        moments.append((means.mean(dim=0), variance.sqrt()))
    return [(mean.float(), torch.where(scale > 0, scale, 1).float()) for mean, scale in moments]


def ranges(domains):
    """Return the smallest and the largest value of every column or channel.

    Parameters
    ----------
    domains : sequence of arrays
        Rows, of which all domains are one.

    Returns
    -------
    low, high : torch.Tensor of shape (n_columns,)
        Of tables the columns', of images and series the channels'.
    """
    extremes = [part.aminmax(dim=1) for rows in domains for part in columns_by_parts(rows)]
    low, high = (torch.stack(part) for part in zip(*extremes, strict=True))
    return low.amin(dim=0), high.amax(dim=0)


def columns_by_parts(rows):
    """Yield the columns or channels of some rows at a time, of shape (n_columns, n_values)."""
    # At most 128 MiB in float64.
    step = int(np.clip(2**24 // np.prod(rows.shape[1:]), 1, _ROWS_AT_A_TIME))
    for start in range(0, len(rows), step):
        part = AdaptationModule.as_input(as_tensor(rows[start : start + step]))
        yield part.transpose(0, 1).flatten(1)


def _moments(rows):
    count = 0
    total: Any = 0.0
    squares: Any = 0.0
    for part in columns_by_parts(rows):
        part = part.double()
        count += part.shape[1]
        total, squares = total + part.sum(dim=1), squares + part.square().sum(dim=1)
    mean = total / count
    deviation = (squares / count - mean.square()).clamp(min=0).sqrt()
    shape = (-1,) + (1,) * (len(rows.shape) - 2)
    return mean.view(shape), deviation.view(shape)


class _Measured(Exception):
    """Ends a forward that has given what was asked of it."""


class _Accumulator:
    """Adds up mean and biased variance batch by batch, as Chan, Golub and LeVeque do."""

    def __init__(self):
        self.n_batches, self.count, self.mean, self.squares = 0, 0, 0.0, 0.0

    def add(self, x):
        variance, mean = torch.var_mean(
            at_least_float32(x), dim=[0, *range(2, x.ndim)], correction=0
        )
        variance, mean = variance.cpu().double(), mean.cpu().double()
        count = x.numel() // x.shape[1]
        total = self.count + count
        distance = mean - self.mean
        self.squares += count * variance + distance.square() * (self.count * count / total)
        self.mean = self.mean + distance * (count / total)
        self.count = total
        self.n_batches += 1


def set_population_statistics(norms, forward, batches):
    """Set the statistics of batch norms to the moments of their inputs over all rows.

    Exact: every norm sees what the norms before it make of the rows with their new statistics,
    and gets the mean and the biased variance over all rows, however they are cut into batches.
    With a single batch one forward does it all. With more, every batch is forwarded up to the
    first norm that is not done; the batch that completes this norm goes on to the next one. For
    L norms and n batches that makes L * (n - 1) + 1 forwards, all but the last of them cut short.

    Parameters
    ----------
    norms : list of torch.nn.BatchNorm1d, BatchNorm2d or BatchNorm3d
        The layers, in eval mode. Those that do not track statistics, or take no part in the
        forward, are passed over; of one that is used twice the first input counts.

    forward : callable
        Runs the network on a batch.

    batches : list
        What `forward` takes.
    """
    pending = {norm: _Accumulator() for norm in norms if norm.running_mean is not None}
    if not pending:
        return

    def measure(norm, inputs):
        if norm not in pending:
            return
        pending[norm].add(inputs[0])
        if pending[norm].n_batches < len(batches):
            raise _Measured
        moments = pending.pop(norm)
        norm.running_mean.copy_(moments.mean)
        norm.running_var.copy_(moments.squares / moments.count)

    handles = [norm.register_forward_pre_hook(measure) for norm in pending]
    try:
        for batch in cycle(batches):
            try:
                forward(batch)
            except _Measured:
                continue
            return  # no norm stopped it: all are done
    finally:
        for handle in handles:
            handle.remove()
