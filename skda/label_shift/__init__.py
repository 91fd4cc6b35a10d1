"""Shares of the classes among unlabelled rows, and predictions that follow them."""

from skda.label_shift._calibration import Calibration, calibrate
from skda.label_shift._checks import check_codes, check_probabilities, check_shares
from skda.label_shift._class_shares import class_shares
from skda.label_shift._classifier import PriorShiftClassifier
from skda.label_shift._consistency import is_one_class_alone, label_shift_test
from skda.label_shift._estimates import (
    black_box_shares,
    maximum_likelihood_shares,
    regularized_shares,
)
from skda.label_shift._noise import shrink_shares
from skda.label_shift._posteriors import reweight_probabilities
from skda.label_shift._predictions import (
    call_in_domain,
    call_last_step,
    check_is_classifier,
    class_numbers,
    count_targets,
    predict_domain,
)
from skda.label_shift._scoring import DomainScoreMixin as DomainScoreMixin

__all__ = [
    "Calibration",
    "PriorShiftClassifier",
    "black_box_shares",
    "calibrate",
    "call_in_domain",
    "call_last_step",
    "check_codes",
    "check_is_classifier",
    "check_probabilities",
    "check_shares",
    "class_numbers",
    "class_shares",
    "count_targets",
    "is_one_class_alone",
    "label_shift_test",
    "maximum_likelihood_shares",
    "predict_domain",
    "regularized_shares",
    "reweight_probabilities",
    "shrink_shares",
]
