"""Soft labels: what a network trained on the source says about each class."""

from numbers import Integral

import torch
import torch.nn.functional as F

from skda.losses._checks import (
    check_batch,
    check_batches,
    check_classes,
    check_number,
    one_hot,
    out_of_range,
)

_UNLABELED = -100


def class_soft_labels(
    logits: torch.Tensor, labels: torch.Tensor, n_classes: int, temperature: float = 2.0
) -> torch.Tensor:
    r"""Mean softened prediction of the rows of every class.

    .. math:: l^{(c)} = \frac{1}{n_c} \sum_{i: y_i = c} \mathrm{softmax}(g_i / \tau)

    Computed in float32, or in float64 for float64 input, without gradient.

    Parameters
    ----------
    logits : torch.Tensor of shape (n, n_classes)
        Logits of source rows.

    labels : torch.Tensor of shape (n,)
        Their classes, integers from 0; rows labeled -100 are left out.

    n_classes : int
        How many classes there are.

    temperature : float, default=2.0
        :math:`\tau`, greater than zero.

    Returns
    -------
    soft_labels : torch.Tensor of shape (n_classes, n_classes)
        One distribution per row; for a class without rows, the class itself with certainty.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described: no dense tensor of floating-point numbers, empty, of
        another shape, or on another device than the others.

    References
    ----------
    E. Tzeng, J. Hoffman, T. Darrell, K. Saenko. Simultaneous Deep Transfer Across Domains and
    Tasks. ICCV 2015, section 4.2.

    Examples
    --------
    >>> import torch
    >>> from skda.losses import class_soft_labels
    >>> class_soft_labels(torch.zeros(3, 2), torch.tensor([0, 0, 0]), 2)
    tensor([[0.5000, 0.5000],
            [0.0000, 1.0000]])
    """
    logits = check_batch("logits", logits).detach()
    labels = check_classes("labels", labels, "logits", logits)
    check_number("temperature", temperature, positive=True)
    if not isinstance(n_classes, Integral) or n_classes != logits.shape[1]:
        raise ValueError(
            f"n_classes must be the number of columns of logits, {logits.shape[1]}, got "
            f"{n_classes!r}."
        )
    labeled = labels != _UNLABELED
    members = one_hot("labels", torch.where(labeled, labels, 0), "logits", logits)
    members = members.to(logits.dtype)
    members = members * labeled[:, None]
    counts = members.sum(dim=0)[:, None]
    means = members.T @ F.softmax(logits / temperature, dim=1) / counts.clamp(min=1)
    itself = torch.eye(n_classes, dtype=means.dtype, device=means.device)
    return torch.where(counts > 0, means, itself)


def soft_label_cross_entropy(
    logits: torch.Tensor, soft_labels: torch.Tensor, labels: torch.Tensor, temperature: float = 2.0
) -> torch.Tensor:
    r"""Cross-entropy of softened predictions against the soft labels of their classes.

    .. math:: \ell = -\frac{1}{n} \sum_i \sum_c l^{(y_i)}_c \log \mathrm{softmax}(g_i / \tau)_c

    averaged over the labeled rows. Computed in float32, or in float64 for float64 input.

    Parameters
    ----------
    logits : torch.Tensor of shape (n, n_classes)
        Logits of target rows.

    soft_labels : torch.Tensor of shape (n_classes, n_classes)
        Those of :func:`class_soft_labels`.

    labels : torch.Tensor of shape (n,)
        Classes of the rows, integers from 0; -100 for a row without label, which is ignored.

    temperature : float, default=2.0
        :math:`\tau`, that of the soft labels.

    Returns
    -------
    loss : torch.Tensor of shape ()
        The loss; zero if no row is labeled.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described: no dense tensor of floating-point numbers, empty, of
        another shape, or on another device than the others.

    References
    ----------
    E. Tzeng, J. Hoffman, T. Darrell, K. Saenko. Simultaneous Deep Transfer Across Domains and
    Tasks. ICCV 2015, equation 6.

    Examples
    --------
    >>> import torch
    >>> from skda.losses import soft_label_cross_entropy
    >>> loss = soft_label_cross_entropy(torch.zeros(2, 2), torch.eye(2), torch.tensor([1, -100]))
    >>> round(loss.item(), 4)
    0.6931
    """
    logits, soft_labels = check_batches({"logits": logits, "soft_labels": soft_labels})
    labels = check_classes("labels", labels, "logits", logits)
    check_number("temperature", temperature, positive=True)
    n_classes = logits.shape[1]
    if soft_labels.shape != (n_classes, n_classes):
        raise ValueError(
            f"soft_labels has shape {tuple(soft_labels.shape)}, logits {tuple(logits.shape)}; it "
            f"must be ({n_classes}, {n_classes})."
        )
    labeled = labels != _UNLABELED
    log_probabilities = F.log_softmax(logits / temperature, dim=1)
    try:  # unlike an index in brackets it does not take -1 for the last class
        expected = soft_labels.index_select(0, torch.where(labeled, labels, 0))
    except (IndexError, RuntimeError) as error:
        raise out_of_range("labels", "logits", n_classes) from error
    losses = -(expected * log_probabilities).sum(dim=1) * labeled
    return losses.sum() / labeled.sum().clamp(min=1)
