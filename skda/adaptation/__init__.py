"""Adaptation methods, one file each.

A file holds the estimator, and with it the alignment, the net and the networks that no other
method uses; what two methods use stands in :mod:`skda.nn` or :mod:`skda.training`. How a method is
written stands in :mod:`skda.base`.
"""

from skda.adaptation.adversarial import (
    ADDAClassifier,
    CDANClassifier,
    CoGANClassifier,
    DAANClassifier,
    DALNClassifier,
    DANNClassifier,
    DSNClassifier,
    LabelEfficientClassifier,
    MCDClassifier,
    MDDClassifier,
    SANClassifier,
    ShallowDANNClassifier,
    WDGRLClassifier,
)
from skda.adaptation.discrepancy import (
    AFNClassifier,
    BNMClassifier,
    DANClassifier,
    DDCClassifier,
    DeepCORALClassifier,
    DeepJDOTClassifier,
    DomainConfusionClassifier,
    DSANClassifier,
    DUCDAClassifier,
    JANClassifier,
    MCCClassifier,
    RTNClassifier,
)
from skda.adaptation.normalization import AdaBNClassifier, AutoDIALClassifier
from skda.adaptation.reconstruction import DNFC, SDAEClassifier, TLDAClassifier

__all__ = [
    "DNFC",
    "ADDAClassifier",
    "AFNClassifier",
    "AdaBNClassifier",
    "AutoDIALClassifier",
    "BNMClassifier",
    "CDANClassifier",
    "CoGANClassifier",
    "DAANClassifier",
    "DALNClassifier",
    "DANClassifier",
    "DANNClassifier",
    "DDCClassifier",
    "DSANClassifier",
    "DSNClassifier",
    "DUCDAClassifier",
    "DeepCORALClassifier",
    "DeepJDOTClassifier",
    "DomainConfusionClassifier",
    "JANClassifier",
    "LabelEfficientClassifier",
    "MCCClassifier",
    "MCDClassifier",
    "MDDClassifier",
    "RTNClassifier",
    "SANClassifier",
    "SDAEClassifier",
    "ShallowDANNClassifier",
    "TLDAClassifier",
    "WDGRLClassifier",
]
