"""Data sets with two domains."""

from skda.datasets._digits import load_shifted_digits

__all__ = ["load_shifted_digits"]
