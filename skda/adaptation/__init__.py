"""Adaptation methods."""

from skda.adaptation.adversarial import DANNClassifier, LabelEfficientClassifier
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
    "AFNClassifier",
    "AdaBNClassifier",
    "AutoDIALClassifier",
    "BNMClassifier",
    "DANClassifier",
    "DANNClassifier",
    "DDCClassifier",
    "DSANClassifier",
    "DUCDAClassifier",
    "DeepCORALClassifier",
    "DeepJDOTClassifier",
    "DomainConfusionClassifier",
    "JANClassifier",
    "LabelEfficientClassifier",
    "MCCClassifier",
    "RTNClassifier",
    "SDAEClassifier",
    "TLDAClassifier",
]
