"""Losses of adaptation: pure functions from batches of features or predictions to a scalar."""

from skda.losses._activation_divergence import activation_divergence
from skda.losses._adversarial import domain_confusion, domain_cross_entropy
from skda.losses._classifier_discrepancy import classifier_discrepancy
from skda.losses._coral import attention_coral, attention_map, coral
from skda.losses._feature_norms import adaptive_feature_norm, hard_feature_norm
from skda.losses._joint_mmd import joint_mmd, tensor_mmd
from skda.losses._kernels import gaussian_mixture as gaussian_mixture
from skda.losses._kernels import squared_distances as squared_distances
from skda.losses._kernels import typical_distance as typical_distance
from skda.losses._local_mmd import local_mmd
from skda.losses._margin_disparity import margin_disparity
from skda.losses._mmd import DAN_MULTIPLIERS, linear_mmd, mmd, mmd_kernel_weights
from skda.losses._moments import moment_distance
from skda.losses._nuclear_wasserstein import nuclear_wasserstein
from skda.losses._predictions import (
    batch_nuclear_norm,
    class_balance,
    entropy,
    minimum_class_confusion,
)
from skda.losses._reconstruction import reconstruction_error
from skda.losses._separation import difference_loss, scale_invariant_mse
from skda.losses._soft_labels import class_soft_labels, soft_label_cross_entropy
from skda.losses._spectral import batch_spectral_penalty
from skda.losses._transport import transport_cost
from skda.losses._wasserstein import critic_distance, gradient_penalty

__all__ = [
    "DAN_MULTIPLIERS",
    "activation_divergence",
    "adaptive_feature_norm",
    "attention_coral",
    "attention_map",
    "batch_nuclear_norm",
    "batch_spectral_penalty",
    "class_balance",
    "class_soft_labels",
    "classifier_discrepancy",
    "coral",
    "critic_distance",
    "difference_loss",
    "domain_confusion",
    "domain_cross_entropy",
    "entropy",
    "gradient_penalty",
    "hard_feature_norm",
    "joint_mmd",
    "linear_mmd",
    "local_mmd",
    "margin_disparity",
    "minimum_class_confusion",
    "mmd",
    "mmd_kernel_weights",
    "moment_distance",
    "nuclear_wasserstein",
    "reconstruction_error",
    "scale_invariant_mse",
    "soft_label_cross_entropy",
    "tensor_mmd",
    "transport_cost",
]
