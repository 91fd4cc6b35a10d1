"""The alignments that have a name.

A function of two batches of features is applied at every layer; one that is marked as joint gets
the activations of all layers, labels and predictions.
"""

from collections.abc import Sequence

import torch
from torch import nn

from skda.losses import (
    activation_divergence,
    adaptive_feature_norm,
    attention_coral,
    batch_nuclear_norm,
    batch_spectral_penalty,
    coral,
    entropy,
    joint_mmd,
    linear_mmd,
    local_mmd,
    minimum_class_confusion,
    tensor_mmd,
    transport_cost,
)
from skda.nn._adversary import DomainAdversary
from skda.nn._alignment import Activations, LayerwiseAlignment, WeightedAlignments, joint
from skda.nn._conditional_adversary import ConditionalDomainAdversary
from skda.nn._multi_kernel_mmd import MultiKernelMMD

_MULTIPLIERS = (0.25, 0.5, 1.0, 2.0, 4.0)


def _flat(activations):
    """Return the activations of the chosen layers, of shape (n, n_features)."""
    return [activations[layer].flatten(1) for layer in activations.layers]


def _with_probabilities(activations):
    """Return the same, with the probabilities of the classes in the place of their logits."""
    return [
        activations[layer].softmax(dim=1) if layer == "logits" else activations[layer].flatten(1)
        for layer in activations.layers
    ]


@joint
def align_jointly(
    source: Activations,
    target: Activations,
    *,
    multipliers: Sequence[float] = _MULTIPLIERS,
    estimator: str = "biased",
) -> torch.Tensor:
    """MMD of the joint distribution of all layers, of logits as probabilities."""
    return joint_mmd(
        _with_probabilities(source),
        _with_probabilities(target),
        multipliers=multipliers,
        estimator=estimator,
    )


@joint
def align_products(
    source: Activations,
    target: Activations,
    *,
    multipliers: Sequence[float] = _MULTIPLIERS,
    estimator: str = "biased",
) -> torch.Tensor:
    """MMD of the outer product of two layers, of logits as probabilities."""
    return tensor_mmd(
        _with_probabilities(source),
        _with_probabilities(target),
        multipliers=multipliers,
        estimator=estimator,
    )


@joint
def align_classes(
    source: Activations,
    target: Activations,
    *,
    bandwidth: str | float = "mean",
    multipliers: Sequence[float] = _MULTIPLIERS,
) -> torch.Tensor | int:
    """MMD of every class, at every layer."""
    probabilities = target["logits"].softmax(dim=1)
    return sum(
        local_mmd(
            *layers, source.labels, probabilities, bandwidth=bandwidth, multipliers=multipliers
        )
        for layers in zip(_flat(source), _flat(target), strict=True)
    )


@joint
def align_attention(source: Activations, target: Activations) -> torch.Tensor | int:
    """CORAL of the attention maps of convolutional layers."""
    return sum(attention_coral(source[layer], target[layer]) for layer in source.layers)


@joint
def target_entropy(source: Activations, target: Activations) -> torch.Tensor:
    """Entropy of the target's predictions."""
    return entropy(target["logits"])


@joint
def target_confusion(
    source: Activations, target: Activations, *, temperature: float = 1.5
) -> torch.Tensor:
    """Class confusion of the target's predictions."""
    return minimum_class_confusion(target["logits"], temperature)


@joint
def target_nuclear_norm(source: Activations, target: Activations) -> torch.Tensor:
    """Nuclear norm of the target's predictions, negative."""
    return batch_nuclear_norm(target["logits"])


@joint
def transport(
    source: Activations,
    target: Activations,
    *,
    feature_weight: float = 1e-3,
    label_weight: float = 1e-4,
) -> torch.Tensor | int:
    """Cost of moving features and labels of the source onto the target, at every layer."""
    return sum(
        transport_cost(
            *layers,
            source.labels,
            target["logits"],
            feature_weight=feature_weight,
            label_weight=label_weight,
        )
        for layers in zip(_flat(source), _flat(target), strict=True)
    )


def grow_norms(source: torch.Tensor, target: torch.Tensor, *, step: float = 1.0) -> torch.Tensor:
    """Growth of the feature norms of both domains."""
    return adaptive_feature_norm(source, step) + adaptive_feature_norm(target, step)


def penalize_spectrum(
    source: torch.Tensor, target: torch.Tensor, *, n_singular_values: int = 1
) -> torch.Tensor:
    """Largest singular values of the features of each domain."""
    return batch_spectral_penalty(source, n_singular_values) + batch_spectral_penalty(
        target, n_singular_values
    )


def with_spectral_penalty(alignment: nn.Module, weight: float) -> nn.Module:
    """Return an alignment to which the spectral penalty of the features is added."""
    if not weight:
        return alignment
    penalty = LayerwiseAlignment({"features": penalize_spectrum})
    return WeightedAlignments([alignment, penalty], [1.0, weight])


ALIGNMENTS = {
    "activation_divergence": activation_divergence,
    "afn": grow_norms,
    "attention_coral": align_attention,
    "bnm": target_nuclear_norm,
    "bsp": penalize_spectrum,
    "cdan": ConditionalDomainAdversary,
    "coral": coral,
    "dann": DomainAdversary,
    "entropy": target_entropy,
    "jmmd": align_jointly,
    "linear_mmd": linear_mmd,
    "lmmd": align_classes,
    "mcc": target_confusion,
    "mmd": MultiKernelMMD,
    "tensor_mmd": align_products,
    "transport": transport,
}
