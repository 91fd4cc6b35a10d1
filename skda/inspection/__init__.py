"""Pictures, with scikit-learn's convention of displays."""

from skda.inspection._diagnosis import DiagnosisDisplay
from skda.inspection._drift import DriftDisplay

__all__ = ["DiagnosisDisplay", "DriftDisplay"]
