"""Model selection without target labels."""

from skda.model_selection._scorers import TargetEntropyScorer
from skda.model_selection._splitters import SourceSplit

__all__ = ["SourceSplit", "TargetEntropyScorer"]
