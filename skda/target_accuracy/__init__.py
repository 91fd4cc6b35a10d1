"""How accurate a classifier is on a target without labels."""

from skda.target_accuracy._agreement import model_agreement
from skda.target_accuracy._calibrated import TargetCalibratedClassifier
from skda.target_accuracy._confidence import average_confidence, difference_of_confidences
from skda.target_accuracy._disagreement import disagreement_bound, disagreement_discrepancy
from skda.target_accuracy._dispersion import matrix_norm_accuracy, nuclear_norm_accuracy
from skda.target_accuracy._estimate import estimate_in_domains as estimate_in_domains
from skda.target_accuracy._estimate import estimate_target_accuracy
from skda.target_accuracy._inputs import Predictions as Predictions
from skda.target_accuracy._references import Judged as Judged
from skda.target_accuracy._references import judged as judged
from skda.target_accuracy._references import reference_accuracy
from skda.target_accuracy._references import with_references as with_references
from skda.target_accuracy._references import without_gaps as without_gaps
from skda.target_accuracy._reliability import target_reliability
from skda.target_accuracy._smoothness import beyond_chance as beyond_chance
from skda.target_accuracy._smoothness import neighbor_agreements as neighbor_agreements
from skda.target_accuracy._smoothness import neighbors_of as neighbors_of
from skda.target_accuracy._smoothness import smoothness as smoothness
from skda.target_accuracy._temperature import (
    fit_temperature,
    match_temperature,
    scale_probabilities,
)
from skda.target_accuracy._thresholded import average_thresholded_confidence
from skda.target_accuracy._transport import confidence_optimal_transport

__all__ = [
    "TargetCalibratedClassifier",
    "average_confidence",
    "average_thresholded_confidence",
    "confidence_optimal_transport",
    "difference_of_confidences",
    "disagreement_bound",
    "disagreement_discrepancy",
    "estimate_target_accuracy",
    "fit_temperature",
    "match_temperature",
    "matrix_norm_accuracy",
    "model_agreement",
    "nuclear_norm_accuracy",
    "reference_accuracy",
    "scale_probabilities",
    "target_reliability",
]
