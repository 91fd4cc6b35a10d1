"""Methods in which the features play against a discriminator of domains."""

from skda.adaptation.adversarial._dann import DANNClassifier
from skda.adaptation.adversarial._label_efficient import LabelEfficientClassifier

__all__ = ["DANNClassifier", "LabelEfficientClassifier"]
