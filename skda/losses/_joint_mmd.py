"""Maximum mean discrepancies of several layers taken together."""

from collections.abc import Sequence
from typing import Any

import torch

from skda.losses._checks import (
    check_bandwidth,
    check_batches,
    check_choice,
    check_layers,
    check_numbers,
)
from skda.losses._kernels import (
    centred,
    discrepancy,
    domain_weights,
    gaussian_mixture,
    kernel_sum,
    squared_distances,
)


def _per_layer(values, n_layers, name):
    if not isinstance(values, Sequence) or isinstance(values, str | bytes):
        raise TypeError(f"{name} must be a list, got {type(values).__name__}.")
    if len(values) != n_layers:
        raise ValueError(f"{name} has {len(values)} entries for {n_layers} layers; give one each.")
    return values


def _check_layers(source, target):
    named = check_layers(source, "source"), check_layers(target, "target")
    source, target = (list(layers.values()) for layers in named)
    if len(source) != len(target) or not len(source):
        raise ValueError(
            "source and target need the same layers, at least one, got "
            f"{len(source)} and {len(target)}."
        )
    both = check_batches({**named[0], **named[1]})
    source, target = both[: len(source)], both[len(source) :]
    for number, (layer, other) in enumerate(zip(source, target, strict=True)):
        if layer.shape[1] != other.shape[1]:
            raise ValueError(
                f"source[{number}] has {layer.shape[1]} columns, target[{number}] "
                f"{other.shape[1]}; a layer has as many in both domains."
            )
    for name, layers in (("source", source), ("target", target)):
        rows = [len(layer) for layer in layers]
        if len(set(rows)) > 1:
            raise ValueError(f"The layers of {name} need the same rows, got {rows} rows.")
    return source, target


def _multipliers_per_layer(multipliers, n_layers):
    """One sequence for all layers, or one each."""
    is_nested = isinstance(multipliers, Sequence) and any(
        isinstance(multiplier, Sequence) and not isinstance(multiplier, str)
        for multiplier in multipliers
    )
    if not is_nested:
        return (check_numbers("multipliers", multipliers, positive=True),) * n_layers
    return multipliers


def joint_mmd(
    source: Sequence[torch.Tensor],
    target: Sequence[torch.Tensor],
    *,
    bandwidths: Sequence[str | float] | None = None,
    multipliers: Sequence[Any] = (0.25, 0.5, 1.0, 2.0, 4.0),
    estimator: str = "biased",
) -> torch.Tensor:
    r"""Squared maximum mean discrepancy between the joint distributions of several layers.

    .. math:: \ell = E\,k(s, s') + E\,k(t, t') - 2\, E\,k(s, t), \quad
              k(a, b) = \prod_l \sum_u \frac{1}{U}
              \exp\bigl(-\lVert a_l - b_l \rVert^2 / (m_{lu} \gamma_l)\bigr)

    The kernels of the layers are multiplied pair by pair, so that domains which agree layer by
    layer still differ if the layers go together differently. Give probabilities rather than
    logits for the last layer: distances of logits grow without bound, which leaves a product of
    zeros. Memory is linear in rows. Computed in float32, or in float64 for float64 input. The
    bandwidths carry no gradient, and the value can be differentiated once.

    Parameters
    ----------
    source : sequence of torch.Tensor of shape (n_source, n_features)
        Activations of the source rows, one tensor per layer; at least two rows.

    target : sequence of torch.Tensor of shape (n_target, n_features)
        Activations of the target rows, for the same layers; at least two rows.

    bandwidths : sequence of {"median", "mean"} or float, default=None
        :math:`\gamma_l`, one per layer, as in :func:`mmd`; None takes the median for each.

    multipliers : sequence of float or of sequences, default=(0.25, 0.5, 1.0, 2.0, 4.0)
        The :math:`m_{lu}`, for all layers or one sequence per layer. The kernels of a layer are
        averaged.

    estimator : {"biased", "unbiased", "linear"}, default="biased"
        As in :func:`mmd`.

    Returns
    -------
    loss : torch.Tensor of shape ()
        The squared discrepancy.

    Raises
    ------
    ValueError
        If a layer is no batch of floating-point numbers, if the layers do not fit together, or if
        a keyword is not one of the above.

    References
    ----------
    M. Long, H. Zhu, J. Wang, M. I. Jordan. Deep Transfer Learning with Joint Adaptation Networks.
    ICML 2017, equations 8 and 9.

    Examples
    --------
    Both layers have the same values in both domains, but never together:

    >>> import torch
    >>> from skda.losses import joint_mmd, mmd
    >>> low, high = torch.tensor([[0.0], [1.0]]), torch.tensor([[1.0], [0.0]])
    >>> joint_mmd((low, low), (low, high)) > 0.1
    tensor(True)
    >>> round(mmd(low, high).item(), 4)
    0.0
    """
    source, target = _check_layers(source, target)
    n_layers = len(source)
    if bandwidths is None:
        bandwidths = ("median",) * n_layers
    else:
        for number, bandwidth in enumerate(_per_layer(bandwidths, n_layers, "bandwidths")):
            check_bandwidth(f"bandwidths[{number}]", bandwidth)
    multipliers = _multipliers_per_layer(multipliers, n_layers)
    kernels = [
        gaussian_mixture(*choice)
        for choice in zip(
            bandwidths,
            _per_layer(multipliers, n_layers, "multipliers"),
            strict=True,
        )
    ]
    return discrepancy(kernels, source, target, estimator)


def _outer_squared_distances(a, b):
    """Squared distances between the outer products of the rows of two tensors."""
    # |a b' - c d'|^2 from what is small where the rows are near each other: inner products of
    # the outer products would lose their digits far from the origin.
    (near_a, norms_a, change_a), (near_b, norms_b, change_b) = map(_distances_and_norms, (a, b))
    sums_a, sums_b = norms_a + norms_a[:, None], norms_b + norms_b[:, None]
    doubled = near_a * (sums_b - near_b) + near_b * sums_a + change_a * change_b
    return (0.5 * doubled).clamp(min=0)


def _distances_and_norms(rows):
    """Squared distances, squared norms, and the pairwise differences of the norms."""
    near = centred(rows)
    centre = (rows[0] - near[0]).detach()
    change = near.square().sum(dim=1) + 2 * near @ centre
    return squared_distances(near, near), change + centre.square().sum(), change[:, None] - change


def tensor_mmd(
    source: Sequence[torch.Tensor],
    target: Sequence[torch.Tensor],
    *,
    bandwidth: str | float = "median",
    multipliers: Sequence[Any] = (0.25, 0.5, 1.0, 2.0, 4.0),
    estimator: str = "biased",
) -> torch.Tensor:
    r"""Squared maximum mean discrepancy of the outer product of two layers.

    :func:`mmd` of the features :math:`a \otimes b` for rows `a` of the one layer and `b` of the
    other, whose products are never made: distances of outer products follow from distances and
    norms within the layers. Memory is quadratic in rows. Computed in float32, or in float64 for
    float64 input.

    Parameters
    ----------
    source : pair of torch.Tensor of shape (n_source, n_features)
        Activations of the source rows, for instance features and logits; the numbers of features
        of the two may differ. At least two rows.

    target : pair of torch.Tensor of shape (n_target, n_features)
        Activations of the target rows, for the same layers; at least two rows.

    bandwidth : {"median", "mean"} or float, default="median"
        As in :func:`mmd`, of all rows of the batch.

    multipliers : sequence of float, default=(0.25, 0.5, 1.0, 2.0, 4.0)
        As in :func:`mmd`.

    estimator : {"biased", "unbiased"}, default="biased"
        As in :func:`mmd`.

    Returns
    -------
    loss : torch.Tensor of shape ()
        The squared discrepancy.

    Raises
    ------
    ValueError
        If `source` or `target` is not a pair, or a keyword is not one of the above.

    References
    ----------
    M. Long, H. Zhu, J. Wang, M. I. Jordan. Unsupervised Domain Adaptation with Residual Transfer
    Networks. NIPS 2016, equation 4.

    Examples
    --------
    >>> import torch
    >>> from skda.losses import mmd, tensor_mmd
    >>> features, logits = torch.eye(3), torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 1.0]])
    >>> loss = tensor_mmd((features, logits), (2 * features, logits))
    >>> outer = torch.einsum("ni,nj->nij", features, logits).flatten(1)
    >>> torch.allclose(loss, mmd(outer, 2 * outer))
    True
    """
    source, target = _check_layers(source, target)
    if len(source) != 2:
        raise ValueError(f"source and target must be pairs of layers, got {len(source)} layers.")
    check_choice("estimator", estimator, ("biased", "unbiased"))
    distances = _outer_squared_distances(
        *[torch.cat(domains) for domains in zip(source, target, strict=True)]
    )
    unbiased = estimator == "unbiased"
    return kernel_sum(
        [gaussian_mixture(bandwidth, multipliers)],
        [distances],
        domain_weights(source[0], target[0], unbiased=unbiased),
        diagonal=not unbiased,
        distances=True,
    )
