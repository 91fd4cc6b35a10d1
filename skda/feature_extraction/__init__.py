"""Deep features for classic classifiers."""

from skda.feature_extraction._extractor import DeepFeatureExtractor
from skda.feature_extraction._features import FeatureModule as FeatureModule

__all__ = ["DeepFeatureExtractor"]
