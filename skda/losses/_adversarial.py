"""The loss of a domain discriminator."""

import torch.nn.functional as F

from skda.losses._numerics import at_least_float32


def domain_cross_entropy(source_logits, target_logits):
    r"""Binary cross-entropy of a domain discriminator, averaged over the two domains.

    .. math:: \ell = \frac{1}{2} \Bigl( \frac{1}{n_s} \sum_i \log\frac{1}{1 - D(x^s_i)}
              + \frac{1}{n_t} \sum_j \log\frac{1}{D(x^t_j)} \Bigr)

    where `D` is the probability that a row is of the target domain. Each domain counts the same,
    however many rows it has. Computed in float32, or in float64 for float64 input.

    Parameters
    ----------
    source_logits : torch.Tensor of shape (n_source, 1)
        Logits of `D` for the source rows.

    target_logits : torch.Tensor of shape (n_target, 1)
        Logits of `D` for the target rows.

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
    return 0.5 * (F.softplus(source_logits).mean() + F.softplus(-target_logits).mean())
