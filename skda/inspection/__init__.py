"""Pictures, with scikit-learn's convention of displays."""

from skda.fine_tuning import TransferabilityDisplay
from skda.inspection._adaptation_gain import AdaptationGainDisplay
from skda.inspection._class_shares import ClassSharesDisplay
from skda.inspection._diagnosis import DiagnosisDisplay
from skda.inspection._domain_alignment import DomainAlignmentDisplay
from skda.inspection._drift import DriftDisplay
from skda.inspection._layer_distance import LayerDistanceDisplay
from skda.inspection._reliability import ReliabilityDisplay
from skda.inspection._training_history import TrainingHistoryDisplay
from skda.inspection._validator_comparison import ValidatorComparisonDisplay
from skda.inspection._verdict import AdaptationVerdictDisplay

__all__ = [
    "AdaptationGainDisplay",
    "AdaptationVerdictDisplay",
    "ClassSharesDisplay",
    "DiagnosisDisplay",
    "DomainAlignmentDisplay",
    "DriftDisplay",
    "LayerDistanceDisplay",
    "ReliabilityDisplay",
    "TrainingHistoryDisplay",
    "TransferabilityDisplay",
    "ValidatorComparisonDisplay",
]
