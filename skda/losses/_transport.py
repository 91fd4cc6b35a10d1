"""Optimal transport between the domains."""

import torch
import torch.nn.functional as F

from skda._optional import import_optional
from skda.losses._checks import (
    check_classes,
    check_domains,
    check_number,
    check_same_rows,
    out_of_range,
)
from skda.losses._kernels import squared_distances


def transport_cost(
    source: torch.Tensor,
    target: torch.Tensor,
    source_labels: torch.Tensor,
    target_logits: torch.Tensor,
    *,
    feature_weight: float = 1e-3,
    label_weight: float = 1e-4,
) -> torch.Tensor:
    r"""Least cost of moving the source rows, with their labels, onto the target rows.

    .. math:: \ell = \min_\pi \sum_{ij} \pi_{ij} \bigl( \alpha \lVert x^s_i - x^t_j \rVert^2
              + \lambda\, \mathrm{CE}(y^s_i, g^t_j) \bigr)

    over the plans `\pi` that move 1 / n_source from every source row and 1 / n_target to every
    target row. The plan is exact and has no gradient. Memory is quadratic in rows. Computed in
    float32, or in float64 for float64 input; the plan on the CPU. Needs the optional library POT.

    Parameters
    ----------
    source : torch.Tensor of shape (n_source, n_features)
        Features of the source rows.

    target : torch.Tensor of shape (n_target, n_features)
        Features of the target rows.

    source_labels : torch.Tensor of shape (n_source,)
        Classes of the source rows, integers from 0.

    target_logits : torch.Tensor of shape (n_target, n_classes)
        Logits of the target rows.

    feature_weight : float, default=1e-3
        :math:`\alpha`.

    label_weight : float, default=1e-4
        :math:`\lambda`.

    Returns
    -------
    loss : torch.Tensor of shape ()
        The cost, zero or more.

    Raises
    ------
    ImportError
        If POT is not installed.

    ValueError
        If shapes or types are not as described, or if a label has no column in `target_logits`.

    References
    ----------
    B. B. Damodaran, B. Kellenberger, R. Flamary, D. Tuia, N. Courty. DeepJDOT: Deep Joint
    Distribution Optimal Transport for Unsupervised Domain Adaptation. ECCV 2018, equations 3 to 6.

    Examples
    --------
    >>> import pytest
    >>> ot = pytest.importorskip("ot")
    >>> import torch
    >>> from skda.losses import transport_cost
    >>> rows, labels = torch.tensor([[0.0], [5.0]]), torch.tensor([0, 1])
    >>> moved, logits = torch.tensor([[6.0], [1.0]]), 100 * torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    >>> transport_cost(rows, moved, labels, logits, feature_weight=1.0, label_weight=1.0).item()
    1.0
    """
    ot = import_optional("ot", "transport")
    source, target = check_domains(source=source, target=target)
    source_labels = check_classes("source_labels", source_labels, "source", source)
    target_logits, _ = check_same_rows(target_logits=target_logits, target=target)
    check_number("feature_weight", feature_weight)
    check_number("label_weight", label_weight)
    n_classes = target_logits.shape[1]
    # The plan is made on the CPU: values may be looked at here.
    if not 0 <= int(source_labels.min()) <= int(source_labels.max()) < n_classes:
        raise out_of_range("source_labels", "target_logits", n_classes)
    log_probabilities = F.log_softmax(target_logits, dim=1)
    cost = feature_weight * squared_distances(source, target)
    cost = cost - label_weight * log_probabilities.T[source_labels]
    plan = ot.emd([], [], cost.detach().double().cpu().numpy())
    return (torch.as_tensor(plan, dtype=cost.dtype, device=cost.device) * cost).sum()
