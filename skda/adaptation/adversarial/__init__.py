"""Methods in which the features play against a discriminator of domains."""

from skda.adaptation.adversarial._dann import DANNClassifier

__all__ = ["DANNClassifier"]
