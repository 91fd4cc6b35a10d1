"""Methods that learn to reconstruct the rows of both domains."""

from skda.adaptation.reconstruction._denoising import DenoisingNet
from skda.adaptation.reconstruction._dnfc import DNFC
from skda.adaptation.reconstruction._sdae import SDAEClassifier
from skda.adaptation.reconstruction._tlda import TLDAClassifier

__all__ = ["DNFC", "DenoisingNet", "SDAEClassifier", "TLDAClassifier"]
