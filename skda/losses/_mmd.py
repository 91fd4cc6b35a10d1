"""Maximum mean discrepancy."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scipy.linalg import cholesky, solve_triangular
from scipy.optimize import nnls

from skda.losses._checks import check_domains, check_number, check_numbers
from skda.losses._kernels import discrepancy, gaussian_mixture, quadruple_distances

#: Multipliers of the 33 kernels of DAN: the powers of two from -8 to 8 in steps of a half.
DAN_MULTIPLIERS = tuple(2.0 ** (step / 2) for step in range(-16, 17))


def linear_mmd(source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    r"""Squared distance between the means of two domains: MMD with a linear kernel.

    .. math:: \ell = \Bigl\lVert \frac{1}{n_s} \sum_i x^s_i
              - \frac{1}{n_t} \sum_j x^t_j \Bigr\rVert^2

    summed over features. Blind to all but the means. Computed in float32, or in float64 for
    float64 input.

    Parameters
    ----------
    source : torch.Tensor of shape (n_source, n_features)
        Features of the source rows.

    target : torch.Tensor of shape (n_target, n_features)
        Features of the target rows.

    Returns
    -------
    loss : torch.Tensor of shape ()
        The loss, zero or more, in squared units of the features.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described: no dense tensor of floating-point numbers, empty, of
        another shape, or on another device than the others.

    References
    ----------
    E. Tzeng, J. Hoffman, N. Zhang, K. Saenko, T. Darrell. Deep Domain Confusion: Maximizing for
    Domain Invariance. arXiv:1412.3474, 2014, equation 1.

    Examples
    --------
    >>> import torch
    >>> from skda.losses import linear_mmd
    >>> linear_mmd(torch.zeros(4, 2), torch.tensor([[1.0, 2.0]])).item()
    5.0
    """
    source, target = check_domains(source=source, target=target)
    # Means lose their digits far from the origin.
    origin = source[0].detach()
    difference = (source - origin).mean(dim=0) - (target - origin).mean(dim=0)
    return difference.square().sum()


def mmd(
    source: torch.Tensor,
    target: torch.Tensor,
    *,
    bandwidth: str | float = "median",
    multipliers: Sequence[float] = (0.25, 0.5, 1.0, 2.0, 4.0),
    kernel_weights: Any = None,
    estimator: str = "biased",
) -> torch.Tensor:
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
        most 256 rows), or a fixed number, in squared units of the features.

    multipliers : sequence of float, default=(0.25, 0.5, 1.0, 2.0, 4.0)
        The :math:`m_u`, one per kernel; ``DAN_MULTIPLIERS`` is the family of the paper.

    kernel_weights : sequence of float or torch.Tensor, default=None
        The :math:`\beta_u`, for instance of :func:`mmd_kernel_weights`; None weighs all kernels
        alike, with a sum of one.

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
        If shapes or types are not as described, or if `bandwidth`, `estimator` or the number of
        weights is not one of the above.

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
    source, target = check_domains(source=source, target=target)
    kernel = gaussian_mixture(bandwidth, multipliers, kernel_weights)
    return discrepancy([kernel], [source], [target], estimator)


@torch.no_grad()
def mmd_kernel_weights(
    source: torch.Tensor,
    target: torch.Tensor,
    *,
    multipliers: Sequence[float] = DAN_MULTIPLIERS,
    bandwidth: str | float = "median",
    regularization: float = 1e-3,
) -> torch.Tensor:
    r"""Find the weights of the kernels of :func:`mmd` that tell two domains apart best.

    With the linear-time estimates :math:`d_u` of the discrepancy under each kernel alone and the
    covariance `Q` of their terms, the weights solve

    .. math:: \min_\beta\; \beta^T (Q + \varepsilon I)\, \beta \quad
              \text{subject to} \quad d^T \beta = 1,\; \beta \ge 0

    and are then divided by their sum: they maximise the discrepancy over its standard deviation,
    and so the power of a test. If no kernel sees a positive discrepancy, nothing solves this;
    all the weight then goes to the kernel with the largest
    :math:`d_u / \sqrt{Q_{uu} + \varepsilon}`. Noisy on less than some hundred rows: better
    computed now and then on a large sample than on every batch.

    Parameters
    ----------
    source : torch.Tensor of shape (n_source, n_features)
        Features of the source rows; at least four.

    target : torch.Tensor of shape (n_target, n_features)
        Features of the target rows; at least four. Consecutive rows make quadruples, so the order
        of rows must be random.

    multipliers : sequence of float, default=DAN_MULTIPLIERS
        Those of :func:`mmd`.

    bandwidth : {"median", "mean"} or float, default="median"
        That of :func:`mmd`.

    regularization : float, default=1e-3
        :math:`\varepsilon`, greater than zero.

    Returns
    -------
    weights : torch.Tensor of shape (n_kernels,)
        Zero or more, with a sum of one; in float64, on the CPU, without gradient.

    Raises
    ------
    ValueError
        If a domain has less than four rows, or `regularization` is not positive.

    References
    ----------
    M. Long, Y. Cao, J. Wang, M. Jordan. Learning Transferable Features with Deep Adaptation
    Networks. ICML 2015, section 4.2. A. Gretton et al. Optimal Kernel Choice for Large-Scale
    Two-Sample Tests. NIPS 2012.

    Examples
    --------
    >>> import torch
    >>> from skda.losses import mmd, mmd_kernel_weights
    >>> rng = torch.Generator().manual_seed(0)
    >>> source, target = torch.randn(400, 2, generator=rng), torch.randn(400, 2, generator=rng) + 1
    >>> weights = mmd_kernel_weights(source, target, multipliers=(0.01, 1.0))
    >>> weights[1].item() > 0.9
    True
    >>> loss = mmd(source, target, multipliers=(0.01, 1.0), kernel_weights=weights)
    """
    source, target = check_domains(source=source, target=target)
    n = min(len(source), len(target)) // 4 * 4
    if n < 4:
        raise ValueError(
            "source and target need at least four rows each to tell the variance of a kernel, "
            f"got {len(source)} and {len(target)}."
        )
    check_number("regularization", regularization, positive=True)
    multipliers = check_numbers("multipliers", multipliers, positive=True)
    kernel = gaussian_mixture(bandwidth, multipliers)
    distances = quadruple_distances(kernel, source.double(), target.double())[:, : n // 2]
    gaussians = torch.exp(distances[..., None] / -distances.new_tensor(multipliers))
    terms = (gaussians[0] + gaussians[1] - gaussians[2] - gaussians[3]).cpu().numpy()
    discrepancies = terms.mean(axis=0)
    differences = terms[0::2] - terms[1::2]
    covariance = differences.T @ differences / len(differences)
    covariance[np.diag_indices_from(covariance)] += regularization
    weights = np.zeros(len(discrepancies))
    if discrepancies.max() > 0:
        # Up to its scale the solution is that of the least squares b^T Q b / 2 - d^T b, b >= 0.
        factor = cholesky(covariance, lower=True)
        weights, _ = nnls(factor.T, solve_triangular(factor, discrepancies, lower=True))
    if not weights.any():
        weights[np.argmax(discrepancies / np.sqrt(np.diag(covariance)))] = 1
    return torch.from_numpy(weights / weights.sum())
