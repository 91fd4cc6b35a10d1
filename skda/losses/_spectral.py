"""Batch spectral penalization."""

import torch

from skda.losses._checks import check_batch, check_count, singular_values


def batch_spectral_penalty(features: torch.Tensor, n_singular_values: int = 1) -> torch.Tensor:
    r"""Sum of the squares of the largest singular values of a batch of features.

    .. math:: \ell = \sum_{i \le k} \sigma_i(F)^2

    Adversarial alignment keeps what is transferable in a few directions of large singular value,
    at the cost of what tells classes apart; this makes those directions weigh less. Computed in
    float32, or in float64 for float64 input.

    Parameters
    ----------
    features : torch.Tensor of shape (n, n_features)
        Features of one domain.

    n_singular_values : int, default=1
        `k`, how many singular values are penalised.

    Returns
    -------
    loss : torch.Tensor of shape ()
        The penalty, which grows with the number of rows.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described: no dense tensor of floating-point numbers, empty, of
        another shape, or on another device than the others.

    References
    ----------
    X. Chen, S. Wang, M. Long, J. Wang. Transferability vs. Discriminability: Batch Spectral
    Penalization for Adversarial Domain Adaptation. ICML 2019, section 4.

    Examples
    --------
    >>> import torch
    >>> from skda.losses import batch_spectral_penalty
    >>> batch_spectral_penalty(torch.diag(torch.tensor([1.0, 3.0, 2.0])))
    tensor(9.)
    """
    check_count("n_singular_values", n_singular_values)
    values = singular_values("features", check_batch("features", features))
    return values[:n_singular_values].square().sum()
