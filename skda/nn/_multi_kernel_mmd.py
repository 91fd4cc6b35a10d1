"""MMD whose kernels are weighed by how well they tell the domains apart."""

from collections import deque
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from skda.losses import mmd, mmd_kernel_weights

# Quadruples of rows tell a variance; more batches than this are of an older network.
_REMEMBERED_BATCHES = 16


class MultiKernelMMD(nn.Module):
    """Maximum mean discrepancy with several kernels, of fixed or of learned weights.

    Parameters
    ----------
    in_features : int
        Width of the features; not needed, but every alignment that is built gets it.

    bandwidth : {"median", "mean"} or float, default="median"
        That of :func:`skda.losses.mmd`.

    multipliers : sequence of float, default=(0.25, 0.5, 1.0, 2.0, 4.0)
        Of the bandwidth, one per kernel; :data:`skda.losses.DAN_MULTIPLIERS` are the 33 of [1]_.

    kernel_weights : {"uniform", "learned"} or sequence of float, default="uniform"
        ``"learned"`` starts with equal weights, and after every epoch takes those by which the
        domains' activations of its last batches are told apart best, see
        :func:`skda.losses.mmd_kernel_weights`.

    estimator : {"biased", "unbiased", "linear"}, default="biased"
        That of :func:`skda.losses.mmd`.

    Attributes
    ----------
    weights : tuple of float
        The weights in use.

    References
    ----------
    .. [1] M. Long, Y. Cao, J. Wang, M. I. Jordan. Learning Transferable Features with Deep
       Adaptation Networks. ICML 2015, section 4.2.

    Examples
    --------
    >>> import torch
    >>> from skda.nn import MultiKernelMMD
    >>> rng = torch.Generator().manual_seed(0)
    >>> source, target = torch.randn(256, 2, generator=rng), torch.randn(256, 2, generator=rng) + 1
    >>> distance = MultiKernelMMD(2, multipliers=(0.01, 1.0), kernel_weights="learned")
    >>> loss = distance(source, target)
    >>> distance.end_epoch()
    >>> distance.weights[1] > 0.9
    True
    """

    def __init__(
        self,
        in_features: int,
        *,
        bandwidth: str | float = "median",
        multipliers: Sequence[float] = (0.25, 0.5, 1.0, 2.0, 4.0),
        kernel_weights: Any = "uniform",
        estimator: str = "biased",
    ):
        super().__init__()
        self.bandwidth, self.multipliers = bandwidth, tuple(multipliers)
        self.estimator = estimator
        self.learned = isinstance(kernel_weights, str) and kernel_weights == "learned"
        if self.learned or (isinstance(kernel_weights, str) and kernel_weights == "uniform"):
            kernel_weights = [1 / len(self.multipliers)] * len(self.multipliers)
        elif isinstance(kernel_weights, str):
            raise ValueError(
                "kernel_weights must be 'uniform', 'learned' or a sequence of numbers, got "
                f"{kernel_weights!r}."
            )
        self.weights = tuple(float(weight) for weight in kernel_weights)
        self._batches = deque(maxlen=_REMEMBERED_BATCHES)

    def forward(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """Return the discrepancy of two batches.

        Parameters
        ----------
        source : torch.Tensor of shape (n_source, in_features)
            Features of the source rows.

        target : torch.Tensor of shape (n_target, in_features)
            Features of the target rows.

        Returns
        -------
        loss : torch.Tensor of shape ()
            The squared discrepancy.
        """
        if self.learned and self.training:
            self._batches.append((source.detach(), target.detach()))
        return mmd(
            source,
            target,
            bandwidth=self.bandwidth,
            multipliers=self.multipliers,
            kernel_weights=self.weights,
            estimator=self.estimator,
        )

    def end_epoch(self) -> None:
        """Learn the weights from the last batches, and forget those."""
        if not self._batches:
            return
        source, target = (torch.cat(rows) for rows in zip(*self._batches, strict=True))
        self._batches.clear()
        weights = mmd_kernel_weights(
            source, target, multipliers=self.multipliers, bandwidth=self.bandwidth
        )
        self.weights = tuple(weights.tolist())
