"""Low-rank adapters: few weights that learn beside the many that a network comes with."""

import re
import warnings
from collections.abc import Mapping
from typing import Any

from torch import nn

from skda._naming import naming
from skda._optional import import_optional

# Of peft's LoraConfig, what concerns layers of any network; the rest is for its own models.
_KEYWORDS = (
    "r",
    "lora_alpha",
    "lora_dropout",
    "target_modules",
    "exclude_modules",
    "rank_pattern",
    "alpha_pattern",
    "init_lora_weights",
    "use_rslora",
    "use_dora",
)
_WITH_ADAPTERS = (nn.Linear, nn.MultiheadAttention, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def add_adapters(network: nn.Module, keywords: Mapping[str, Any]) -> None:
    """Give the layers of a network low-rank adapters (LoRA), in place; nothing else learns then.

    A layer with weights W computes with ``W + lora_alpha / r * B @ A`` from now on, where A and B
    have `r` rows and columns, and B begins with zeros [1]_.

    Parameters
    ----------
    network : torch.nn.Module
        With weights that have been learned.

    keywords : dict
        Of ``peft.LoraConfig``: ``r``, ``lora_alpha``, ``target_modules`` and others. By default
        all linear layers, attentions and convolutions that are not grouped have adapters.

    Raises
    ------
    ImportError
        If peft is not installed.

    TypeError, ValueError
        If a keyword is unknown or unusable, or if no layer can have an adapter.

    References
    ----------
    .. [1] E. J. Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", ICLR 2022,
       section 4.1.
    """
    peft = import_optional("peft", "lora")
    if any(is_adapted(layer) for layer in network.modules()):
        raise ValueError(
            "adapter='lora': the module has adapters already; leave adapter at None, so that they "
            "learn, or pass the module without."
        )
    for keyword in keywords:
        if keyword not in _KEYWORDS:
            valid = ", ".join(f"adapter__{name}" for name in _KEYWORDS)
            raise TypeError(f"adapter__{keyword} is no keyword of adapters; valid are {valid}.")
    # As a pattern: in a list "0" stands for every layer of that name, in whatever part.
    layers = "|".join(map(re.escape, _layers_with_weights(network)))
    layers = keywords.get("target_modules", layers)
    if not layers:
        raise ValueError(
            f"adapter='lora': {type(network).__name__} has no linear layer, attention or "
            "convolution that is not grouped; leave adapter at None."
        )
    with naming("adapter__*", "keywords of peft.LoraConfig that fit the module"):
        config = peft.LoraConfig(**{**keywords, "target_modules": layers})
        with warnings.catch_warnings():
            # peft warns of what only its own files would lack.
            warnings.simplefilter("ignore")
            peft.inject_adapter_in_model(config, network)
    _check_attentions(network)
    _check_places(network)


def merge_adapters(network: nn.Module) -> None:
    """Add what adapters have learned to the weights of their layers, in place, and take them off.

    Parameters
    ----------
    network : torch.nn.Module
        With layers of `add_adapters`, or without.
    """
    children: list[tuple[str, Any]] = list(network.named_children())
    for name, layer in children:
        if not is_adapted(layer):
            merge_adapters(layer)
            continue
        unload = getattr(layer, "unload_and_optionally_merge_module", None)
        if unload is not None:  # of attention, with a layer within it
            merged = unload(merge=True, safe_merge=False, adapter_names=None)
        else:
            layer.merge()
            merged = layer.get_base_layer()
        setattr(network, name, merged)
    vars(network).pop("peft_config", None)


def is_adapted(layer: nn.Module) -> bool:
    """Tell whether a layer has an adapter of peft."""
    return hasattr(layer, "get_base_layer") and hasattr(layer, "lora_A")


def _check_attentions(network):
    """Raise if an adapter stands where nothing asks it."""
    for path in _attentions(network):
        attention = network.get_submodule(path)
        if any(is_adapted(part) for part in attention.modules()):
            raise ValueError(
                f"adapter__target_modules names layers within {path!r}, whose weights are used "
                "without calling them; name the attention itself, or none of its layers."
            )


def _check_places(network):
    """Raise if weights with an adapter stand elsewhere too, where they would be without it."""
    places: dict[nn.Parameter, list[str]] = {}
    for name, parameter in network.named_parameters(remove_duplicate=False):
        places.setdefault(parameter, []).append(name)
    for names in places.values():
        if len(names) > 1 and any(".base_layer." in name for name in names):
            shown = " and ".join(repr(name.replace(".base_layer.", ".")) for name in names)
            raise ValueError(
                f"adapter='lora': {shown} are the same weights, of which one place alone would "
                "learn; leave their layers out with adapter__exclude_modules."
            )


def _attentions(network):
    """Return the paths of the attentions of torch that have no adapter."""
    return [
        path
        for path, part in network.named_modules()
        if isinstance(part, nn.MultiheadAttention) and not path.endswith("base_layer")
    ]


def _layers_with_weights(network):
    """Return the paths of the layers that have adapters by default."""
    attentions = _attentions(network)
    return [
        path
        for path, part in network.named_modules()
        if path
        and isinstance(part, _WITH_ADAPTERS)
        and getattr(part, "groups", 1) == 1
        # An attention of torch computes with the weights of its layers, and does not call them.
        and not any(path.startswith(f"{attention}.") for attention in attentions)
    ]
