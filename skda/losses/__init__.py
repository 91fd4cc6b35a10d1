"""Distances between domains: pure functions from two batches of features to a scalar."""

from skda.losses._adversarial import domain_cross_entropy
from skda.losses._coral import coral
from skda.losses._mmd import DAN_MULTIPLIERS, linear_mmd, mmd, mmd_kernel_weights

__all__ = ["DAN_MULTIPLIERS", "coral", "domain_cross_entropy", "linear_mmd", "mmd", "mmd_kernel_weights"]
