"""Torch modules: the default networks, and the parts that adaptation needs."""

from skda.nn._activations import record_activations
from skda.nn._adversary import DomainAdversary, DomainDiscriminator, reverse_gradient
from skda.nn._alignment import (
    Activations,
    JointAlignment,
    LayerwiseAlignment,
    WeightedAlignments,
    joint,
)
from skda.nn._domain_norm import DomainBatchNorm, DomainRows, DomainStandardizer
from skda.nn._networks import MLP, ConvNet

__all__ = [
    "MLP",
    "Activations",
    "ConvNet",
    "DomainAdversary",
    "DomainBatchNorm",
    "DomainDiscriminator",
    "DomainRows",
    "DomainStandardizer",
    "JointAlignment",
    "LayerwiseAlignment",
    "WeightedAlignments",
    "joint",
    "record_activations",
    "reverse_gradient",
]
