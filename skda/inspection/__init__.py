"""Pictures, with scikit-learn's convention of displays."""

from skda.inspection._reliability import ReliabilityDisplay

__all__ = [
    "ReliabilityDisplay",
]
