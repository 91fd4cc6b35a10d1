"""Distances between domains: pure functions from two batches of features to a scalar."""

from skda.losses._adversarial import domain_cross_entropy
from skda.losses._coral import coral
from skda.losses._mmd import mmd

__all__ = ["coral", "domain_cross_entropy", "mmd"]
