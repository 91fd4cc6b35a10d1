"""Soft labels: what a network trained on the source says about each class."""

import torch
import torch.nn.functional as F

from skda._torch import at_least_float32

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
    logits = at_least_float32(logits.detach())
    labeled = labels != _UNLABELED
    members = F.one_hot(torch.where(labeled, labels, 0), n_classes).to(logits.dtype)
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
    labeled = labels != _UNLABELED
    log_probabilities = F.log_softmax(at_least_float32(logits) / temperature, dim=1)
    expected = soft_labels[torch.where(labeled, labels, 0)].to(log_probabilities.dtype)
    losses = -(expected * log_probabilities).sum(dim=1) * labeled
    return losses.sum() / labeled.sum().clamp(min=1)
