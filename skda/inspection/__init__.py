"""Pictures, with scikit-learn's convention of displays."""

from skda.inspection._verdict import AdaptationVerdictDisplay

__all__ = ["AdaptationVerdictDisplay"]
