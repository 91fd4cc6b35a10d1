"""Fine-tuning of networks, and how well their layers transfer."""

from skda.fine_tuning._classifier import FineTuneClassifier
from skda.fine_tuning._net import FineTuningNet
from skda.fine_tuning._plot import TransferabilityDisplay
from skda.fine_tuning._transferability import transferability_curve

__all__ = ["FineTuneClassifier", "FineTuningNet", "TransferabilityDisplay", "transferability_curve"]
