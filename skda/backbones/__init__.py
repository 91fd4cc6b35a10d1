"""Networks before they are trained: by name, from a file, a class or a fitted estimator.

One resolver serves extraction, fine-tuning and adaptation; blocks are what is frozen, copied or
re-initialised as a whole.
"""

from skda.backbones._adapters import add_adapters, check_adapters, merge_adapters
from skda.backbones._blocks import Block, list_blocks
from skda.backbones._factories import build_backbone, check_keywords
from skda.backbones._language import is_language_config, make_language_backbone
from skda.backbones._names import layer_names
from skda.backbones._outputs import describe_output
from skda.backbones._resolver import BackboneResolver, network_of
from skda.backbones._text_modules import (
    TOKEN_POOLINGS,
    SentenceModule,
    TextModule,
    pool_tokens,
)
from skda.backbones._weights import load_weights

__all__ = [
    "TOKEN_POOLINGS",
    "BackboneResolver",
    "Block",
    "SentenceModule",
    "TextModule",
    "add_adapters",
    "build_backbone",
    "check_adapters",
    "check_keywords",
    "describe_output",
    "is_language_config",
    "layer_names",
    "list_blocks",
    "load_weights",
    "make_language_backbone",
    "merge_adapters",
    "network_of",
    "pool_tokens",
]
