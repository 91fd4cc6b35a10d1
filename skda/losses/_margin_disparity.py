"""Disparity of two classifiers, by margins."""

import torch
import torch.nn.functional as F

from skda.losses._checks import (
    check_classes,
    check_domains,
    check_number,
    one_hot,
    out_of_range,
)

_UNLABELED = -100


def margin_disparity(
    source_logits: torch.Tensor,
    target_logits: torch.Tensor,
    source_classes: torch.Tensor,
    target_classes: torch.Tensor,
    margin: float = 4.0,
) -> torch.Tensor:
    r"""How much more two classifiers disagree on the target than on the source.

    .. math:: \ell = \frac{\gamma}{n_s} \sum_i \log \sigma_{h(x^s_i)}(x^s_i)
              + \frac{1}{n_t} \sum_j \log (1 - \sigma_{h(x^t_j)}(x^t_j))

    where :math:`\sigma` is the softmax of the second classifier's logits and `h` the class that
    the first one predicts. The second classifier maximises the loss, the features minimise
    it. :math:`\gamma` is the exponential of the margin of the theory; with 1 the loss is the
    disparity discrepancy, of which the best second classifier reaches :math:`-2 \log 2` on like
    domains. Computed in float32, or in float64 for float64 input.

    Parameters
    ----------
    source_logits : torch.Tensor of shape (n_source, n_classes)
        The second classifier's logits for the source rows.

    target_logits : torch.Tensor of shape (n_target, n_classes)
        The same for the target rows.

    source_classes : torch.Tensor of int64 of shape (n_source,)
        Class numbers that the first classifier predicts for the source rows.

    target_classes : torch.Tensor of int64 of shape (n_target,)
        The same for the target rows.

    margin : float, default=4.0
        The :math:`\gamma`.

    Returns
    -------
    loss : torch.Tensor of shape ()
        The disparity, which is never positive.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described: no dense tensor of floating-point numbers, empty, of
        another shape, or on another device than the others.

    References
    ----------
    Y. Zhang, T. Liu, M. Long, M. I. Jordan. Bridging Theory and Algorithm for Domain Adaptation.
    ICML 2019, section 5.

    Examples
    --------
    >>> import torch
    >>> from skda.losses import margin_disparity
    >>> undecided, classes = torch.zeros(3, 2), torch.tensor([0, 1, 1])
    >>> loss = margin_disparity(undecided, undecided, classes, classes, margin=1.0)
    >>> round(loss.item(), 4)
    -1.3863
    """
    source_logits, target_logits = check_domains(
        source_logits=source_logits, target_logits=target_logits
    )
    if source_logits.shape[1] < 2:
        raise ValueError("source_logits and target_logits need at least 2 columns, got 1.")
    source_classes = check_classes("source_classes", source_classes, "source_logits", source_logits)
    target_classes = check_classes("target_classes", target_classes, "target_logits", target_logits)
    check_number("margin", margin)
    try:
        agree = -F.cross_entropy(source_logits, source_classes, reduction="sum")
    except IndexError as error:
        raise out_of_range("source_classes", "source_logits", source_logits.shape[1]) from error
    agree = agree / (source_classes != _UNLABELED).sum().clamp(min=1)
    # log(1 - p) of a class is the logarithm of what all others have together.
    own = one_hot("target_classes", target_classes, "target_logits", target_logits).bool()
    others = target_logits.masked_fill(own, -torch.inf).logsumexp(dim=1)
    disagree = (others - target_logits.logsumexp(dim=1)).mean()
    return margin * agree + disagree
