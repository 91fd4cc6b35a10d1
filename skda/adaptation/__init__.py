"""Adaptation methods."""

from skda.adaptation.adversarial import DANNClassifier
from skda.adaptation.discrepancy import DANClassifier, DeepCORALClassifier

__all__ = ["DANClassifier", "DANNClassifier", "DeepCORALClassifier"]
