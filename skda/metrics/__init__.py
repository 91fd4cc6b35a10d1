"""Distances between domains, and how well features of one task will serve another."""

from skda.label_shift import class_shares
from skda.metrics._backbones import select_backbone
from skda.metrics._classwise import classwise_discrepancy
from skda.metrics._coral import coral_distance
from skda.metrics._domain_report import DomainReport, domain_report
from skda.metrics._h_score import h_score
from skda.metrics._leep import leep_score, n_leep_score, nce_score
from skda.metrics._logme import logme_score
from skda.metrics._mmd import mmd, mmd_permutation_test
from skda.metrics._proxy_a_distance import proxy_a_distance
from skda.metrics._transrate import transrate_score
from skda.monitoring import DriftMonitor, DriftReport
from skda.target_accuracy import (
    disagreement_bound,
    estimate_target_accuracy,
    target_reliability,
)

__all__ = [
    "DomainReport",
    "DriftMonitor",
    "DriftReport",
    "class_shares",
    "classwise_discrepancy",
    "coral_distance",
    "disagreement_bound",
    "domain_report",
    "estimate_target_accuracy",
    "h_score",
    "leep_score",
    "logme_score",
    "mmd",
    "mmd_permutation_test",
    "n_leep_score",
    "nce_score",
    "proxy_a_distance",
    "select_backbone",
    "target_reliability",
    "transrate_score",
]
