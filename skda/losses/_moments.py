"""Distance of means and standard deviations."""

import torch

from skda.losses._checks import check_domains

# As a share of the source's variance; keeps the root's gradient finite for a constant feature.
_EPSILON = 1e-6


def moment_distance(source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    r"""Squared distance of the means and standard deviations of every feature.

    .. math:: \ell = \frac{\sum_j (\mu_j^s - \mu_j^t)^2 + (\sigma_j^s - \sigma_j^t)^2}
              {\sum_j (\sigma_j^s)^2}

    where the sums go over the features: a share of the source's variance, which does not depend on
    the units. Standard deviations are the biased ones. Computed in float32, or in float64 for
    float64 input.

    Parameters
    ----------
    source : torch.Tensor of shape (n_source, ...)
        Features of the source rows.

    target : torch.Tensor of shape (n_target, ...)
        Features of the target rows.

    Returns
    -------
    loss : torch.Tensor of shape ()
        0 for equal moments. If all features of the source are constant, the sum itself.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described: no dense tensor of floating-point numbers, empty, of
        another shape, or on another device than the others.

    Examples
    --------
    >>> import torch
    >>> from skda.losses import moment_distance
    >>> source = torch.tensor([[-1.0], [1.0]])
    >>> moment_distance(source, source + 2).item()
    4.0
    """
    source, target = (rows.flatten(1) for rows in check_domains(None, source=source, target=target))
    variance, target_variance = (rows.var(dim=0, correction=0) for rows in (source, target))
    total = variance.sum()
    floor = (_EPSILON * variance.mean()).clamp(min=torch.finfo(variance.dtype).tiny)
    deviations = (variance + floor).sqrt() - (target_variance + floor).sqrt()
    means = source.mean(dim=0) - target.mean(dim=0)
    distance = (means.square() + deviations.square()).sum()
    return distance / total.where(total > 0, 1)
