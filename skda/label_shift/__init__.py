"""Shares of the classes among unlabelled rows, and predictions that follow them."""

from skda.label_shift._calibration import Calibration, calibrate
from skda.label_shift._checks import check_probabilities, check_shares
from skda.label_shift._class_shares import class_shares
from skda.label_shift._classifier import PriorShiftClassifier
from skda.label_shift._consistency import label_shift_test
from skda.label_shift._estimates import (
    black_box_shares,
    maximum_likelihood_shares,
    regularized_shares,
)
from skda.label_shift._noise import shrink_shares
from skda.label_shift._posteriors import reweight_probabilities

__all__ = [
    "Calibration",
    "PriorShiftClassifier",
    "black_box_shares",
    "calibrate",
    "check_probabilities",
    "check_shares",
    "class_shares",
    "label_shift_test",
    "maximum_likelihood_shares",
    "regularized_shares",
    "reweight_probabilities",
    "shrink_shares",
]
