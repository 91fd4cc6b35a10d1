"""Methods in which the features play against a discriminator of domains."""

from skda.adaptation.adversarial._adda import ADDAClassifier
from skda.adaptation.adversarial._cdan import CDANClassifier
from skda.adaptation.adversarial._cogan import CoGANClassifier
from skda.adaptation.adversarial._daan import DAANClassifier
from skda.adaptation.adversarial._daln import DALNClassifier
from skda.adaptation.adversarial._dann import DANNClassifier
from skda.adaptation.adversarial._dsn import DSNClassifier
from skda.adaptation.adversarial._generator import CoupledGenerator
from skda.adaptation.adversarial._label_efficient import LabelEfficientClassifier
from skda.adaptation.adversarial._mcd import MCDClassifier
from skda.adaptation.adversarial._mdd import MDDClassifier
from skda.adaptation.adversarial._san import SANClassifier
from skda.adaptation.adversarial._shallow_dann import ShallowDANNClassifier
from skda.adaptation.adversarial._wdgrl import WDGRLClassifier

__all__ = [
    "ADDAClassifier",
    "CDANClassifier",
    "CoGANClassifier",
    "CoupledGenerator",
    "DAANClassifier",
    "DALNClassifier",
    "DANNClassifier",
    "DSNClassifier",
    "LabelEfficientClassifier",
    "MCDClassifier",
    "MDDClassifier",
    "SANClassifier",
    "ShallowDANNClassifier",
    "WDGRLClassifier",
]
