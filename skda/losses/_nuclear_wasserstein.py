"""Nuclear-norm Wasserstein discrepancy."""

import torch

from skda.losses._predictions import batch_nuclear_norm


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
    return batch_nuclear_norm(target_logits) - batch_nuclear_norm(source_logits)
