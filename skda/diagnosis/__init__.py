"""How two domains differ, before anything is trained: :func:`skda.diagnose`."""

from skda.diagnosis._diagnose import diagnose
from skda.diagnosis._diagnosis import Diagnosis

__all__ = ["Diagnosis", "diagnose"]
