"""A classifier in use: whether what comes in is still what it was trained on."""

from skda.monitoring._martingales import RankMartingales
from skda.monitoring._monitor import DriftMonitor
from skda.monitoring._report import DriftReport

__all__ = ["DriftMonitor", "DriftReport", "RankMartingales"]
