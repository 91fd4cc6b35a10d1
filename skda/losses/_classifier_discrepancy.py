"""Discrepancy of two classifiers, by their probabilities."""

import torch
import torch.nn.functional as F

from skda.losses._checks import check_same_shape


def classifier_discrepancy(first_logits: torch.Tensor, second_logits: torch.Tensor) -> torch.Tensor:
    r"""Mean absolute difference of the probabilities that two classifiers give.

    .. math:: \ell = \frac{1}{n C} \sum_j \sum_c |p^1_{jc} - p^2_{jc}|

    Computed in float32, or in float64 for float64 input.

    Parameters
    ----------
    first_logits, second_logits : torch.Tensor of shape (n, n_classes)
        Logits of the two classifiers for the same rows.

    Returns
    -------
    loss : torch.Tensor of shape ()
        From 0, for equal probabilities, to 2 / n_classes, for certain and different predictions.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described: no dense tensor of floating-point numbers, empty, of
        another shape, or on another device than the others.

    References
    ----------
    K. Saito, K. Watanabe, Y. Ushiku, T. Harada. Maximum Classifier Discrepancy for Unsupervised
    Domain Adaptation. CVPR 2018, equation 2.

    Examples
    --------
    >>> import torch
    >>> from skda.losses import classifier_discrepancy
    >>> certain = 100 * torch.eye(4)
    >>> classifier_discrepancy(certain, certain.flip(0)).item()
    0.5
    """
    first, second = check_same_shape(first_logits=first_logits, second_logits=second_logits)
    return F.l1_loss(first.softmax(dim=1), second.softmax(dim=1))
