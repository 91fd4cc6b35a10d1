"""Torch modules: the default networks, and the parts that adaptation needs.

What one method uses stands with that method in :mod:`skda.adaptation`; what several methods use, or
users by a name, stands here. Nothing here knows of estimators, nets or rows in memory.
"""

from skda.nn._activations import check_submodules as check_submodules
from skda.nn._activations import forget_recorders as forget_recorders
from skda.nn._activations import record_activations
from skda.nn._adversary import (
    DomainAccuracy,
    DomainAdversary,
    DomainDiscriminator,
    reverse_gradient,
)
from skda.nn._adversary import one_output_per_row as one_output_per_row
from skda.nn._alignment import (
    Activations,
    JointAlignment,
    LayerwiseAlignment,
    WeightedAlignments,
    joint,
)
from skda.nn._classwise import ClasswiseDiscriminator, busiest_classes
from skda.nn._conditional_adversary import (
    ConditionalDomainAdversary,
    MultilinearMap,
    certainty_weights,
)
from skda.nn._domain_layer import DomainLayer
from skda.nn._domain_norm import DomainBatchNorm, DomainRows, DomainStandardizer
from skda.nn._domain_norm import SharedBatchNorm as SharedBatchNorm
from skda.nn._mixed_moments import affine_of as affine_of
from skda.nn._mixed_moments import channel_moments as channel_moments
from skda.nn._mixed_moments import mix_moments as mix_moments
from skda.nn._mixed_moments import track_moments as track_moments
from skda.nn._multi_kernel_mmd import MultiKernelMMD
from skda.nn._named_alignments import ALIGNMENTS as ALIGNMENTS
from skda.nn._named_alignments import align_jointly as align_jointly
from skda.nn._named_alignments import target_entropy as target_entropy
from skda.nn._named_alignments import with_spectral_penalty as with_spectral_penalty
from skda.nn._networks import MLP, ConvNet
from skda.nn._networks import widths_of as widths_of
from skda.nn._series import SeriesNet
from skda.nn._series_augmentation import (
    augment_series,
    jitter_series,
    scale_series,
    shift_series,
)

__all__ = [
    "MLP",
    "Activations",
    "ClasswiseDiscriminator",
    "ConditionalDomainAdversary",
    "ConvNet",
    "DomainAccuracy",
    "DomainAdversary",
    "DomainBatchNorm",
    "DomainDiscriminator",
    "DomainLayer",
    "DomainRows",
    "DomainStandardizer",
    "JointAlignment",
    "LayerwiseAlignment",
    "MultiKernelMMD",
    "MultilinearMap",
    "SeriesNet",
    "WeightedAlignments",
    "augment_series",
    "busiest_classes",
    "certainty_weights",
    "jitter_series",
    "joint",
    "record_activations",
    "reverse_gradient",
    "scale_series",
    "shift_series",
]
