"""Nuclear-norm Wasserstein discrepancy."""

import torch

from skda.losses._checks import check_domains
from skda.losses._predictions import nuclear_norm


def nuclear_wasserstein(source_logits: torch.Tensor, target_logits: torch.Tensor) -> torch.Tensor:
    r"""Nuclear-norm Wasserstein discrepancy: how much surer the source's predictions are.

    .. math:: d = \frac{1}{n_s} \lVert P_s \rVert_* - \frac{1}{n_t} \lVert P_t \rVert_*, \quad
              P = \mathrm{softmax}(g)

    The nuclear norm is large if predictions are certain and spread over many classes, as a
    trained classifier's are on the source. As a difference of means of a critic it takes the
    place of a 1-Wasserstein distance, with the classifier as the critic. Batches are to have as
    many rows: the norm over `n` falls with the square root of `n`. Computed in float32, or in
    float64 for float64 input.

    Parameters
    ----------
    source_logits : torch.Tensor of shape (n_source, n_classes)
        Logits of the source rows.

    target_logits : torch.Tensor of shape (n_target, n_classes)
        Logits of the target rows.

    Returns
    -------
    discrepancy : torch.Tensor of shape ()
        From -1 to 1; 0 for batches that are alike, below 0 if the target's predictions are surer.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described: no dense tensor of floating-point numbers, empty, of
        another shape, or on another device than the others.

    References
    ----------
    L. Chen et al. Reusing the Task-specific Classifier as a Discriminator: Discriminator-free
    Adversarial Domain Adaptation. CVPR 2022, section 3.

    Examples
    --------
    >>> import torch
    >>> from skda.losses import nuclear_wasserstein
    >>> certain = 100 * torch.eye(4)
    >>> round(nuclear_wasserstein(certain, 0 * certain).item(), 4)
    0.75
    """
    logits = check_domains(source_logits=source_logits, target_logits=target_logits)
    return nuclear_norm("source_logits", logits[0]) - nuclear_norm("target_logits", logits[1])
