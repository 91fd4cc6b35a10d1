"""Losses of a critic, whose scores differ by the distance of the domains."""

from collections.abc import Callable

import torch

from skda._random import drawing
from skda._torch import at_least_float32
from skda.losses._checks import check_domains

# Keeps the derivative of the root finite where a gradient is 0.
_SMALLEST_SQUARE = 1e-12


def critic_distance(source_scores: torch.Tensor, target_scores: torch.Tensor) -> torch.Tensor:
    r"""Difference of a critic's mean scores.

    .. math:: \ell = \frac{1}{n_s} \sum_i f(x^s_i) - \frac{1}{n_t} \sum_j f(x^t_j)

    The largest difference that a critic with gradients of norm 1 or less reaches is the
    Wasserstein-1 distance of the domains. That of an untrained critic may be negative. Computed
    in float32, or in float64 for float64 input.

    Parameters
    ----------
    source_scores : torch.Tensor of shape (n_source, 1)
        The critic's output for the source rows.

    target_scores : torch.Tensor of shape (n_target, 1)
        The same for the target rows.

    Returns
    -------
    loss : torch.Tensor of shape ()
        The difference.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described: no dense tensor of floating-point numbers, empty, of
        another shape, or on another device than the others.

    References
    ----------
    J. Shen, Y. Qu, W. Zhang, Y. Yu. Wasserstein Distance Guided Representation Learning for
    Domain Adaptation. AAAI 2018, equation 3.

    Examples
    --------
    >>> import torch
    >>> from skda.losses import critic_distance
    >>> critic_distance(torch.full((4, 1), 3.0), torch.ones(2, 1)).item()
    2.0
    """
    source_scores, target_scores = check_domains(
        source_scores=source_scores, target_scores=target_scores
    )
    return source_scores.mean() - target_scores.mean()


def gradient_penalty(
    critic: Callable[[torch.Tensor], torch.Tensor], source: torch.Tensor, target: torch.Tensor
) -> torch.Tensor:
    r"""How far a critic's gradients are from norm 1.

    .. math:: \ell = \frac{1}{|Z|} \sum_{z \in Z} (\lVert \nabla_z f(z) \rVert_2 - 1)^2

    where `Z` holds the rows of both domains, and as many points at random between a source and a
    target row as the larger domain has rows; rows of the smaller one are taken again for it. The
    points are drawn from torch's global generator. No gradient reaches the rows. Computed in
    float32, or in float64 for float64 input.

    Parameters
    ----------
    critic : callable
        From features of shape (n, n_features) to scores of shape (n, 1), every row by itself.

    source : torch.Tensor of shape (n_source, n_features)
        Features of the source rows.

    target : torch.Tensor of shape (n_target, n_features)
        Features of the target rows.

    Returns
    -------
    loss : torch.Tensor of shape ()
        The penalty; 0 for a linear critic whose weights have norm 1.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described: no dense tensor of floating-point numbers, empty, of
        another shape, or on another device than the others.

    References
    ----------
    J. Shen, Y. Qu, W. Zhang, Y. Yu. Wasserstein Distance Guided Representation Learning for
    Domain Adaptation. AAAI 2018, equation 4.

    Examples
    --------
    >>> import torch
    >>> from skda.losses import gradient_penalty
    >>> slope_3 = lambda rows: 3 * rows[:, :1]
    >>> gradient_penalty(slope_3, torch.zeros(4, 2), torch.ones(2, 2)).item()
    4.0
    """
    if not callable(critic):
        raise TypeError(f"critic must be a function or module, got {type(critic).__name__}.")
    source, target = (x.detach() for x in check_domains(source=source, target=target))
    rows = torch.arange(max(len(source), len(target)), device=source.device)
    with drawing():
        share = torch.rand(len(rows), 1, dtype=source.dtype, device=source.device)
    between = torch.lerp(target[rows % len(target)], source[rows % len(source)], share)
    points = torch.cat([source, target, between]).requires_grad_()
    gradients = _gradients(critic(points), points)
    squares = at_least_float32(gradients).square().sum(dim=1)
    return (squares.add(_SMALLEST_SQUARE).sqrt() - 1).square().mean()


def _gradients(scores, points):
    is_graph = isinstance(scores, torch.Tensor) and scores.requires_grad
    gradients = None
    if is_graph:
        (gradients,) = torch.autograd.grad(
            scores.sum(), points, create_graph=True, allow_unused=True
        )
    if gradients is None:
        raise ValueError(
            "critic must return scores that depend on its rows with a gradient, and not inside "
            f"torch.no_grad(); it returned {type(scores).__name__}."
        )
    return gradients
