"""Divergence of mean activations."""

import torch

from skda.losses._checks import check_domains


def _mean_distribution(activations):
    means = activations.mean(dim=0)
    # Logarithms of silent units, and their gradients, stay finite.
    means = means.clamp(min=torch.finfo(means.dtype).eps)
    return means / means.sum()


def activation_divergence(source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    r"""Symmetric Kullback-Leibler divergence of the mean activations of two domains.

    .. math:: \ell = \mathrm{KL}(P_s \Vert P_t) + \mathrm{KL}(P_t \Vert P_s), \quad
              P_d = \bar{x}^d / \textstyle\sum_k \bar{x}^d_k

    Mean activations, made to sum to one over units, are taken as distributions. Units whose mean
    is not positive count as barely active and get no gradient. Computed in float32, or in float64
    for float64 input.

    Parameters
    ----------
    source : torch.Tensor of shape (n_source, n_units)
        Positive activations of the source rows, as of a sigmoid.

    target : torch.Tensor of shape (n_target, n_units)
        Positive activations of the target rows.

    Returns
    -------
    loss : torch.Tensor of shape ()
        The divergence in nats, zero or more.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described: no dense tensor of floating-point numbers, empty, of
        another shape, or on another device than the others.

    References
    ----------
    F. Zhuang, X. Cheng, P. Luo, S. J. Pan, Q. He. Supervised Representation Learning: Transfer
    Learning with Deep Autoencoders. IJCAI 2015, equations 4 and 5.

    Examples
    --------
    >>> import torch
    >>> from skda.losses import activation_divergence
    >>> source, target = torch.tensor([[0.2, 0.2]]), torch.tensor([[0.2, 0.6]])
    >>> round(activation_divergence(source, target).item(), 4)  # (1/2 - 1/4) log 3
    0.2747
    """
    source, target = map(_mean_distribution, check_domains(source=source, target=target))
    return ((source - target) * (source.log() - target.log())).sum()
