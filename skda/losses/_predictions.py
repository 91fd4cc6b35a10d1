"""Losses of unlabeled predictions."""

import math

import torch
import torch.nn.functional as F

from skda.losses._checks import check_batch, check_number, singular_values


def entropy(logits: torch.Tensor) -> torch.Tensor:
    r"""Shannon entropy of the predictions, averaged over rows.

    .. math:: \ell = -\frac{1}{n} \sum_i \sum_c p_{ic} \log p_{ic}, \quad p = \mathrm{softmax}(g)

    Computed in float32, or in float64 for float64 input.

    Parameters
    ----------
    logits : torch.Tensor of shape (n, n_classes)
        The :math:`g`.

    Returns
    -------
    loss : torch.Tensor of shape ()
        The entropy in nats: from 0, for certain predictions, to log(n_classes), for uniform ones.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described: no dense tensor of floating-point numbers, empty, of
        another shape, or on another device than the others.

    References
    ----------
    Y. Grandvalet, Y. Bengio. Semi-supervised Learning by Entropy Minimization. NIPS 2004.

    Examples
    --------
    >>> import torch
    >>> from skda.losses import entropy
    >>> round(entropy(torch.zeros(5, 2)).item(), 4)
    0.6931
    """
    log_probabilities = F.log_softmax(check_batch("logits", logits), dim=1)
    return (log_probabilities.exp() * log_probabilities).sum() / -len(logits)


def class_balance(logits: torch.Tensor) -> torch.Tensor:
    r"""How unequal the predicted shares of the classes are.

    .. math:: \ell = -\frac{1}{C} \sum_c \log \frac{1}{n} \sum_i p_{ic}, \quad
              p = \mathrm{softmax}(g)

    Computed in float32, or in float64 for float64 input.

    Parameters
    ----------
    logits : torch.Tensor of shape (n, n_classes)
        The :math:`g`, of rows of which as many are expected of every class.

    Returns
    -------
    loss : torch.Tensor of shape ()
        From log(n_classes), for equal shares; it grows with every class that is hardly predicted.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described: no dense tensor of floating-point numbers, empty, of
        another shape, or on another device than the others.

    References
    ----------
    K. Saito, K. Watanabe, Y. Ushiku, T. Harada. Maximum Classifier Discrepancy for Unsupervised
    Domain Adaptation. CVPR 2018: the authors' code of the VisDA experiment.

    Examples
    --------
    >>> import torch
    >>> from skda.losses import class_balance
    >>> certain = 100 * torch.eye(2)
    >>> round(class_balance(certain).item(), 4)
    0.6931
    >>> round(class_balance(certain[[0, 0, 0, 1]]).item(), 4)
    0.837
    """
    # Of the logarithms of probabilities: a class that nobody predicts keeps a gradient.
    log_probabilities = F.log_softmax(check_batch("logits", logits), dim=1)
    return math.log(len(logits)) - log_probabilities.logsumexp(dim=0).mean()


def minimum_class_confusion(logits: torch.Tensor, temperature: float = 2.5) -> torch.Tensor:
    r"""Minimum class confusion: how often two classes are predicted together.

    .. math:: \ell = \frac{1}{C} \sum_{c \ne c'} \frac{K_{cc'}}{\sum_{c''} K_{cc''}}, \quad
              K_{cc'} = \sum_i w_i\, p_{ic}\, p_{ic'}

    where `p` is the softmax of the logits over the temperature, and certain rows weigh more:
    :math:`w_i = 1 + \exp(-H(p_i))`, whose scale cancels, without gradient. A class that no row
    predicts adds nothing. Computed in float32, or in float64 for float64 input.

    Parameters
    ----------
    logits : torch.Tensor of shape (n, n_classes)
        Logits of the target rows.

    temperature : float, default=2.5
        Greater than zero.

    Returns
    -------
    loss : torch.Tensor of shape ()
        From 0, for certain predictions, to (n_classes - 1) / n_classes, for uniform ones.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described: no dense tensor of floating-point numbers, empty, of
        another shape, or on another device than the others.

    References
    ----------
    Y. Jin, X. Wang, M. Long, J. Wang. Minimum Class Confusion for Versatile Domain Adaptation.
    ECCV 2020, section 3.

    Examples
    --------
    >>> import torch
    >>> from skda.losses import minimum_class_confusion
    >>> minimum_class_confusion(100 * torch.eye(4)).item()
    0.0
    >>> minimum_class_confusion(torch.zeros(6, 4)).item()
    0.75
    """
    check_number("temperature", temperature, positive=True)
    probabilities = F.softmax(check_batch("logits", logits) / temperature, dim=1)
    with torch.no_grad():
        logarithms = probabilities.clamp(min=torch.finfo(probabilities.dtype).tiny).log_()
        certainty = logarithms.mul_(probabilities).sum(dim=1).exp_().add_(1)
    confusion = (probabilities * certainty[:, None]).T @ probabilities
    total = confusion.sum(dim=1)
    apart = total - confusion.diagonal()
    return (apart / total.clamp(min=torch.finfo(total.dtype).tiny)).mean()


def batch_nuclear_norm(logits: torch.Tensor) -> torch.Tensor:
    r"""Return minus the nuclear norm of the predictions, to be minimised.

    .. math:: \ell = -\frac{1}{n} \lVert P \rVert_*, \quad P = \mathrm{softmax}(g)

    The norm, the sum of the singular values, is large if predictions are certain and spread over
    many classes; the loss is its negative, and so falls as they become so. Computed in float32,
    or in float64 for float64 input.

    Parameters
    ----------
    logits : torch.Tensor of shape (n, n_classes)
        Logits of the target rows.

    Returns
    -------
    loss : torch.Tensor of shape ()
        From ``-sqrt(min(n, n_classes) / n)``, for certain predictions, as many for each class, to
        ``-1 / sqrt(n * n_classes)``, for uniform ones.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described: no dense tensor of floating-point numbers, empty, of
        another shape, or on another device than the others.

    References
    ----------
    S. Cui et al. Towards Discriminability and Diversity: Batch Nuclear-norm Maximization under
    Label Insufficient Situations. CVPR 2020, equation 9.

    Examples
    --------
    >>> import torch
    >>> from skda.losses import batch_nuclear_norm
    >>> certain = 100 * torch.eye(4)
    >>> round(batch_nuclear_norm(certain).item(), 4)
    -1.0
    >>> round(batch_nuclear_norm(0 * certain).item(), 4)
    -0.25
    """
    return -nuclear_norm("logits", check_batch("logits", logits))


def nuclear_norm(name: str, logits: torch.Tensor) -> torch.Tensor:
    """Return the nuclear norm of the probabilities of a batch, by the number of rows."""
    probabilities = F.softmax(logits, dim=1)
    # The gradient of singular values alone stays finite where some are equal.
    return singular_values(name, probabilities).sum() / len(probabilities)
