"""Networks before they are trained: by name, from a file, a class or a fitted estimator.

One resolver serves extraction, fine-tuning and adaptation; blocks are what is frozen, copied or
re-initialised as a whole.
"""

from skda.backbones._blocks import Block, list_blocks
from skda.backbones._factories import build_backbone, check_keywords
from skda.backbones._names import layer_names
from skda.backbones._resolver import BackboneResolver, network_of
from skda.backbones._weights import load_weights

__all__ = [
    "BackboneResolver",
    "Block",
    "build_backbone",
    "check_keywords",
    "layer_names",
    "list_blocks",
    "load_weights",
    "network_of",
]
