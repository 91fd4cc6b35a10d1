"""Losses of a domain discriminator."""

import torch
import torch.nn.functional as F

from skda.losses._checks import check_batch, check_batches


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

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described: no dense tensor of floating-point numbers, empty, of
        another shape, or on another device than the others.

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
    # Stacked discriminators come as (n_discriminators, n, 1).
    source_logits, target_logits = check_batches(
        {"source_logits": source_logits, "target_logits": target_logits}, ndim=None
    )
    shapes = source_logits.shape, target_logits.shape
    if len(shapes[0]) != len(shapes[1]) or shapes[0][-1] != shapes[1][-1]:
        raise ValueError(
            f"source_logits has shape {tuple(shapes[0])}, target_logits {tuple(shapes[1])}; both "
            "need the same columns."
        )
    # softplus(z) = log(1 + e^z) is -log(1 - D), softplus(-z) is -log D, both free of overflow.
    source, target = F.softplus(source_logits), F.softplus(-target_logits)
    if source_weights is not None:
        source = source * _check_weights("source", source_weights, source)
    if target_weights is not None:
        target = target * _check_weights("target", target_weights, target)
    return 0.5 * (source.mean() + target.mean())


def _check_weights(domain, weights, losses):
    name = f"{domain}_weights"
    weights, losses = check_batches({name: weights, f"{domain}_logits": losses}, ndim=None)
    if weights.shape != losses.shape and weights.shape != (len(losses), 1):
        # A weight per row without a second dimension would weigh every pair of rows.
        raise ValueError(
            f"{name} has shape {tuple(weights.shape)}, {domain}_logits {tuple(losses.shape)}; give "
            f"one weight per row, shape ({len(losses)}, 1)."
        )
    return weights


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

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described: no dense tensor of floating-point numbers, empty, of
        another shape, or on another device than the others.

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
    logits = check_batch("logits", logits)
    if logits.shape[1] == 1:
        return 0.5 * (F.softplus(logits) + F.softplus(-logits)).mean()
    return -F.log_softmax(logits, dim=1).mean()
