"""Model selection without target labels."""

from skda.model_selection._ensemble import DeepEnsembleClassifier
from skda.model_selection._features import RankMeScorer
from skda.model_selection._guard import AdaptationGuard
from skda.model_selection._importance import (
    DeepEmbeddedValidationScorer,
    ImportanceWeightedScorer,
)
from skda.model_selection._mixed import MixValScorer
from skda.model_selection._oracle import TargetAccuracyScorer
from skda.model_selection._predictions import (
    BatchNuclearNormScorer,
    ClassCorrelationScorer,
    InformationMaximizationScorer,
    SoftNeighborhoodDensityScorer,
    TargetEntropyScorer,
)
from skda.model_selection._reverse import ReverseValidationScorer
from skda.model_selection._splitters import SourceSplit, StratifiedDomainShuffleSplit
from skda.model_selection._stacked import StackedRandomizedSearchCV, StackedSearchCV
from skda.model_selection._stacked_backend import stacked_fits

__all__ = [
    "AdaptationGuard",
    "BatchNuclearNormScorer",
    "ClassCorrelationScorer",
    "DeepEmbeddedValidationScorer",
    "DeepEnsembleClassifier",
    "ImportanceWeightedScorer",
    "InformationMaximizationScorer",
    "MixValScorer",
    "RankMeScorer",
    "ReverseValidationScorer",
    "SoftNeighborhoodDensityScorer",
    "SourceSplit",
    "StackedRandomizedSearchCV",
    "StackedSearchCV",
    "StratifiedDomainShuffleSplit",
    "TargetAccuracyScorer",
    "TargetEntropyScorer",
    "stacked_fits",
]
