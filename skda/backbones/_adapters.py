"""Low-rank adapters: few weights that learn beside the many that a network comes with."""

import copy
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import UninitializedParameter

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
# Exactly these: who derives from one may compute otherwise, as standardised convolutions do.
_WITH_ADAPTERS = (nn.Linear, nn.MultiheadAttention, nn.Conv1d, nn.Conv2d, nn.Conv3d)
# How far the sum of weights may be from the layers with adapters, in what adapters change.
# Rounding is 1e-6 of it (bfloat16: 1e-2), weights that are used otherwise .1 to 1.
_TOLERANCE = 0.05


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
        all linear layers, attentions and convolutions of torch have adapters, but for convolutions
        that are grouped or dilated or pad otherwise than by zeros, and layers whose weights are
        computed (weight norm, pruning).

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
    for name, parameter in network.named_parameters():
        if isinstance(parameter, UninitializedParameter):
            raise ValueError(
                f"adapter='lora': {name!r} has no values yet; run the module on some rows first, "
                "so that its lazy layers have weights."
            )
    # As a pattern: in a list "0" stands for every layer of that name, in whatever part.
    layers = "|".join(map(re.escape, _layers_with_weights(network)))
    layers = keywords.get("target_modules", layers)
    if not layers:
        raise ValueError(
            f"adapter='lora': {type(network).__name__} has no linear layer, attention or "
            "plain convolution that is not grouped; leave adapter at None."
        )
    with naming("adapter__*", "keywords of peft.LoraConfig that fit the module"):
        config = peft.LoraConfig(**{**keywords, "target_modules": layers})
        with warnings.catch_warnings():
            # peft warns of what only its own files would lack.
            warnings.simplefilter("ignore")
            peft.inject_adapter_in_model(config, network)
    _check_convolutions(network)
    _check_attentions(network)
    _check_places(network)


def check_adapters(network: nn.Module, run: Callable[[nn.Module], torch.Tensor]) -> None:
    """Raise if a network with adapters is another one than that with the sum of the weights.

    That is so where something computes with the weights of a layer and does not call it, or where
    a layer is not linear in its weights.

    Parameters
    ----------
    network : torch.nn.Module
        With layers of `add_adapters`; stays as it is.

    run : callable
        Computes some outputs of a network like it.

    Raises
    ------
    ValueError
        If outputs differ, or if adapters change none, however large.
    """
    trial = copy.deepcopy(network).eval()
    for parameter in trial.parameters():
        # With gradients, attentions of torch take no fast path, which passes adapters by.
        parameter.requires_grad_(parameter.is_floating_point())
    with torch.enable_grad():
        _fill_adapters(trial, 0.0)
        plain = run(trial).detach()
        # Of a usual size: adapters begin with zeros, of which every sum is right.
        _fill_adapters(trial, 0.1)
        idle = {layer: path for path, layer in trial.named_modules() if is_adapted(layer)}

        def is_called(layer, _):
            idle.pop(layer, None)

        for layer in list(idle):
            layer.register_forward_pre_hook(is_called)
        adapted = run(trial).detach()
        merge_adapters(trial)
        merged = run(trial).detach()
    change = (adapted - plain).abs().max()
    rounding = 10 * torch.finfo(plain.dtype).eps * plain.abs().max()
    advice = "leave such layers out with adapter__exclude_modules, or leave adapter at None."
    if change == 0:
        raise ValueError(
            "adapter='lora': adapters change nothing that the module computes: adapter__lora_alpha "
            f"is 0, or weights are used without calling their layers; {advice}"
        )
    if (merged - adapted).abs().max() > _TOLERANCE * change + rounding:
        reason = "something uses the weights of a layer otherwise than the layer itself"
        if idle:
            some = ", ".join(map(repr, list(idle.values())[:3])) + (
                " and others" if len(idle) > 3 else ""
            )
            reason = f"weights are used without calling their layers: {some}"
        raise ValueError(
            f"adapter='lora': {type(network).__name__} with adapters is another network than with "
            f"the sum of their weights, because {reason}; {advice}"
        )


def _fill_adapters(network, scale):
    generator = torch.Generator().manual_seed(0)
    for name, parameter in network.named_parameters():
        if ".lora_B." in name:
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.data.copy_(scale * noise)


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


def _check_convolutions(network):
    """Raise if an adapter stands at a convolution of which it would be another function."""
    for path, part in network.named_modules():
        if path.endswith("base_layer") and not _is_plain(part):
            raise ValueError(
                f"adapter__target_modules names {path.removesuffix('.base_layer')!r}, a "
                "convolution that is grouped or dilated or pads otherwise than by zeros, which "
                "can have no adapter; leave it out."
            )


def _is_plain(part):
    """Tell whether a layer, if it is a convolution, is one that adapters compute as well."""
    return (
        getattr(part, "groups", 1) == 1
        and set(getattr(part, "dilation", ())) <= {1}
        and getattr(part, "padding_mode", "zeros") == "zeros"
    )


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
        with_adapters = [name for name in names if ".base_layer." in name]
        layers = {network.get_submodule(name.rpartition(".")[0]) for name in names}
        # A block that is used twice has its adapters in both places.
        if with_adapters and (len(layers) > 1 or len(with_adapters) < len(names)):
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
        and type(part) in _WITH_ADAPTERS
        and _is_plain(part)
        # Those of weight norms and of pruning are computed anew in every step.
        and (isinstance(part, nn.MultiheadAttention) or "weight" in part._parameters)
        # An attention of torch computes with the weights of its layers, and does not call them.
        and not any(path.startswith(f"{attention}.") for attention in attentions)
    ]
