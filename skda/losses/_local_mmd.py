"""Maximum mean discrepancy class by class."""

from collections.abc import Sequence

import torch

from skda.losses._checks import check_classes, check_domains, check_same_rows, one_hot
from skda.losses._kernels import gaussian_mixture, kernel_sum


def local_mmd(
    source: torch.Tensor,
    target: torch.Tensor,
    source_labels: torch.Tensor,
    target_probabilities: torch.Tensor,
    *,
    bandwidth: str | float = "mean",
    multipliers: Sequence[float] = (0.25, 0.5, 1.0, 2.0, 4.0),
) -> torch.Tensor:
    r"""Local maximum mean discrepancy: that of every class, averaged over classes.

    .. math:: \ell = \frac{1}{C} \sum_c \Bigl\lVert \sum_i w^s_{ic}\, \phi(x^s_i)
              - \sum_j w^t_{jc}\, \phi(x^t_j) \Bigr\rVert^2

    where a source row belongs to its class, a target row to every class by its probability, and
    the weights of a domain sum to one in every class. `C` counts the classes that both domains
    have: a class without source rows, or of which no target row is most probably, has no
    discrepancy and is left out, as in the authors' program; if none is left, the loss is zero.
    Memory is linear in rows.
    Computed in float32, or in float64 for float64 input. Neither the probabilities nor the
    bandwidth get a gradient, and the value can be differentiated once.

    Parameters
    ----------
    source : torch.Tensor of shape (n_source, n_features)
        Features of the source rows.

    target : torch.Tensor of shape (n_target, n_features)
        Features of the target rows.

    source_labels : torch.Tensor of shape (n_source,)
        Classes of the source rows, integers from 0.

    target_probabilities : torch.Tensor of shape (n_target, n_classes)
        Predicted probabilities of the target rows.

    bandwidth : {"median", "mean"} or float, default="mean"
        As in :func:`mmd`.

    multipliers : sequence of float, default=(0.25, 0.5, 1.0, 2.0, 4.0)
        As in :func:`mmd`.

    Returns
    -------
    loss : torch.Tensor of shape ()
        The loss, zero or more.

    Raises
    ------
    ValueError
        If shapes or types are not as described, if a label has no column in
        `target_probabilities`, or if `bandwidth` is not one of the above.

    References
    ----------
    Y. Zhu et al. Deep Subdomain Adaptation Network for Image Classification. IEEE Transactions on
    Neural Networks and Learning Systems 32(4), 2021, equations 5 to 8; it uses five kernels
    around the mean distance.

    Examples
    --------
    The domains are alike as a whole, but their classes have changed places:

    >>> import torch
    >>> from skda.losses import local_mmd
    >>> rows, labels = torch.tensor([[0.0], [1.0]]), torch.tensor([0, 1])
    >>> same, swapped = torch.eye(2), 1 - torch.eye(2)
    >>> round(local_mmd(rows, rows, labels, same).item(), 4)
    0.0
    >>> local_mmd(rows, rows, labels, swapped) > 0.1
    tensor(True)
    """
    source, target = check_domains(source=source, target=target)
    source_labels = check_classes("source_labels", source_labels, "source", source)
    probabilities, _ = check_same_rows(target_probabilities=target_probabilities, target=target)
    probabilities = probabilities.detach().to(source.dtype)
    members = one_hot("source_labels", source_labels, "target_probabilities", probabilities)
    members = members.to(source.dtype)
    masses = members.sum(dim=0), probabilities.sum(dim=0)
    tiny = torch.finfo(source.dtype).tiny
    # Of a class that no row is assigned to, the weights are noise that is scaled up to one.
    assigned = torch.zeros_like(masses[1]).index_fill(0, probabilities.argmax(dim=1), 1)
    counted = (masses[0] > 0) & (assigned > 0) & (masses[1] > tiny)
    members, probabilities = (
        torch.where(counted, rows / mass.clamp(min=tiny), 0)
        for rows, mass in zip((members, probabilities), masses, strict=True)
    )
    weights = torch.cat([members, -probabilities])
    return kernel_sum(
        [gaussian_mixture(bandwidth, multipliers)],
        [torch.cat([source, target])],
        (weights, weights / counted.sum().clamp(min=1)),
    )
