"""Methods that adapt what normalises the activations."""

from skda.adaptation.normalization._adabn import AdaBNClassifier
from skda.adaptation.normalization._autodial import AutoDIALClassifier
from skda.adaptation.normalization._domain_alignment import DomainAlignmentNorm

__all__ = ["AdaBNClassifier", "AutoDIALClassifier", "DomainAlignmentNorm"]
