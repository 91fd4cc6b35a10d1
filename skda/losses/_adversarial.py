"""Losses of a domain discriminator."""

import torch
import torch.nn.functional as F

from skda._torch import at_least_float32


def domain_cross_entropy(
    source_logits: torch.Tensor,
    target_logits: torch.Tensor,
    source_weights: torch.Tensor | None = None,
    target_weights: torch.Tensor | None = None,
) -> torch.Tensor:
    r"""Binary cross-entropy of a domain discriminator, averaged over the two domains.

    .. math:: \ell = \frac{1}{2} \Bigl( \frac{1}{n_s} \sum_i \log\frac{1}{1 - D(x^s_i)}
              + \frac{1}{n_t} \sum_j \log\frac{1}{D(x^t_j)} \Bigr)

    where `D` is the probability that a row is of the target domain. Each domain counts the same,
    however many rows it has. Computed in float32, or in float64 for float64 input.

    Parameters
    ----------
    source_logits : torch.Tensor of shape (n_source, 1)
        Logits of `D` for the source rows; of several discriminators, one per column, the mean
        loss is returned.

    target_logits : torch.Tensor of shape (n_target, 1)
        Logits of `D` for the target rows.

    source_weights : torch.Tensor of shape (n_source, 1), default=None
        Weights of the source rows, with mean 1; None is 1 for all.

    target_weights : torch.Tensor of shape (n_target, 1), default=None
        Weights of the target rows, with mean 1; None is 1 for all.

    Returns
    -------
    loss : torch.Tensor of shape ()
        The loss; log 2 for a discriminator that cannot tell the domains apart.

    References
    ----------
    Y. Ganin et al. Domain-Adversarial Training of Neural Networks. JMLR 17(59), 2016, equation 9.

    Examples
    --------
    >>> import torch
    >>> from skda.losses import domain_cross_entropy
    >>> loss = domain_cross_entropy(torch.zeros(4, 1), torch.zeros(2, 1))
    >>> round(loss.item(), 4)
    0.6931
    """
    source_logits, target_logits = at_least_float32(source_logits), at_least_float32(target_logits)
    # softplus(z) = log(1 + e^z) is -log(1 - D), softplus(-z) is -log D, both free of overflow.
    source, target = F.softplus(source_logits), F.softplus(-target_logits)
    if source_weights is not None:
        source = source * source_weights
    if target_weights is not None:
        target = target * target_weights
    return 0.5 * (source.mean() + target.mean())


def domain_confusion(logits: torch.Tensor) -> torch.Tensor:
    r"""Cross-entropy of a domain discriminator against the uniform distribution.

    .. math:: \ell = -\frac{1}{n} \sum_i \frac{1}{D} \sum_d \log q_d(x_i)

    Features that minimise it leave the discriminator undecided. Its gradient does not vanish for
    a discriminator that is always right, unlike that of a reversed cross-entropy. Computed in
    float32, or in float64 for float64 input.

    Parameters
    ----------
    logits : torch.Tensor of shape (n, n_domains) or (n, 1)
        Logits of the rows of all domains; a single column is the logit of the second of two
        domains.

    Returns
    -------
    loss : torch.Tensor of shape ()
        The loss; at least log(n_domains), which an undecided discriminator reaches.

    References
    ----------
    E. Tzeng, J. Hoffman, T. Darrell, K. Saenko. Simultaneous Deep Transfer Across Domains and
    Tasks. ICCV 2015, equation 4.

    Examples
    --------
    >>> import torch
    >>> from skda.losses import domain_confusion
    >>> round(domain_confusion(torch.zeros(3, 2)).item(), 4)
    0.6931
    """
    logits = at_least_float32(logits)
    if logits.shape[1] == 1:
        return 0.5 * (F.softplus(logits) + F.softplus(-logits)).mean()
    return -F.log_softmax(logits, dim=1).mean()
