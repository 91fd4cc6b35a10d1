"""Torch modules: the default networks, and the parts that adaptation needs."""

from skda.nn._activations import record_activations
from skda.nn._adversary import (
    DomainAccuracy,
    DomainAdversary,
    DomainDiscriminator,
    reverse_gradient,
)
from skda.nn._alignment import (
    Activations,
    JointAlignment,
    LayerwiseAlignment,
    WeightedAlignments,
    joint,
)
from skda.nn._classwise import ClasswiseDiscriminator
from skda.nn._conditional_adversary import (
    ConditionalDomainAdversary,
    MultilinearMap,
    certainty_weights,
)
from skda.nn._domain_alignment import DomainAlignmentNorm
from skda.nn._domain_layer import DomainLayer
from skda.nn._domain_norm import DomainBatchNorm, DomainRows, DomainStandardizer
from skda.nn._generator import CoupledGenerator
from skda.nn._multi_kernel_mmd import MultiKernelMMD
from skda.nn._networks import MLP, ConvNet

__all__ = [
    "MLP",
    "Activations",
    "ClasswiseDiscriminator",
    "ConditionalDomainAdversary",
    "ConvNet",
    "CoupledGenerator",
    "DomainAccuracy",
    "DomainAdversary",
    "DomainAlignmentNorm",
    "DomainBatchNorm",
    "DomainDiscriminator",
    "DomainLayer",
    "DomainRows",
    "DomainStandardizer",
    "JointAlignment",
    "LayerwiseAlignment",
    "MultiKernelMMD",
    "MultilinearMap",
    "WeightedAlignments",
    "certainty_weights",
    "joint",
    "record_activations",
    "reverse_gradient",
]
