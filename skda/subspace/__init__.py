"""Shallow baselines: transformers that bring source and target rows into one space."""

from skda.subspace._bda import BDA
from skda.subspace._coral import CORAL
from skda.subspace._gfk import GFK
from skda.subspace._jda import JDA
from skda.subspace._subspace_alignment import SubspaceAlignment
from skda.subspace._tca import TCA

__all__ = [
    "BDA",
    "CORAL",
    "GFK",
    "JDA",
    "TCA",
    "SubspaceAlignment",
]
