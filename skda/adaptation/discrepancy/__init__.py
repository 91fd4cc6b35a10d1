"""Methods that reduce a distance between the domains."""

from skda.adaptation.discrepancy._dan import DANClassifier
from skda.adaptation.discrepancy._deep_coral import DeepCORALClassifier

__all__ = ["DANClassifier", "DeepCORALClassifier"]
