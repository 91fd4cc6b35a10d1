"""Methods that reduce a distance between the domains, or the uncertainty of the target."""

from skda.adaptation.discrepancy._afn import AFNClassifier
from skda.adaptation.discrepancy._bnm import BNMClassifier
from skda.adaptation.discrepancy._dan import DANClassifier
from skda.adaptation.discrepancy._ddc import DDCClassifier
from skda.adaptation.discrepancy._deep_coral import DeepCORALClassifier
from skda.adaptation.discrepancy._deep_jdot import DeepJDOTClassifier
from skda.adaptation.discrepancy._domain_confusion import DomainConfusionClassifier
from skda.adaptation.discrepancy._dsan import DSANClassifier
from skda.adaptation.discrepancy._ducda import DUCDAClassifier
from skda.adaptation.discrepancy._jan import JANClassifier
from skda.adaptation.discrepancy._mcc import MCCClassifier
from skda.adaptation.discrepancy._rtn import RTNClassifier

__all__ = [
    "AFNClassifier",
    "BNMClassifier",
    "DANClassifier",
    "DDCClassifier",
    "DSANClassifier",
    "DUCDAClassifier",
    "DeepCORALClassifier",
    "DeepJDOTClassifier",
    "DomainConfusionClassifier",
    "JANClassifier",
    "MCCClassifier",
    "RTNClassifier",
]
