"""Deep features for classic classifiers."""

from skda.feature_extraction._extractor import DeepFeatureExtractor

__all__ = ["DeepFeatureExtractor"]
