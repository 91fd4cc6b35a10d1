"""Data sets with two domains."""

from skda.datasets._digits import load_shifted_digits
from skda.datasets._machine_faults import make_machine_faults
from skda.datasets._reviews import make_reviews
from skda.datasets._wearables import make_wearable_activity

__all__ = [
    "load_shifted_digits",
    "make_machine_faults",
    "make_reviews",
    "make_wearable_activity",
]
