"""The one tensor of a network that returns more than that."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn


class _MainOutput:
    """A forward hook that leaves the named entry of an output, flattened.

    A hook, so that the paths of submodules stay what they are. It leaves alone what it does not
    know: named layers can be read whatever the network returns.
    """

    def __init__(self, entry):
        self.entry = entry

    def __call__(self, module, inputs, output):
        if isinstance(output, torch.Tensor):
            return output
        entry = self.entry
        if _is_of_torchvision(output):  # main and auxiliary logits
            entry = "logits"
        elif not _is_model_output(output):
            return output
        value = getattr(output, entry, None)
        return output if value is None else value.flatten(1)


def take_main_output(network: nn.Module, entry: str = "pooler_output") -> None:
    """Make a network return one entry of what it returns, if that is known to be the main one.

    Parameters
    ----------
    network : torch.nn.Module
        Changed in place; the paths of its submodules stay.

    entry : str, default="pooler_output"
        Of a ``ModelOutput`` of transformers. Of the main and auxiliary logits of torchvision's
        networks the main ones are taken.

    Examples
    --------
    >>> import torch
    >>> from skda.backbones._outputs import take_main_output
    >>> network = torch.nn.Linear(2, 3)
    >>> take_main_output(network)
    >>> network(torch.zeros(5, 2)).shape
    torch.Size([5, 3])
    """
    if not any(isinstance(hook, _MainOutput) for hook in network._forward_hooks.values()):
        network.register_forward_hook(_MainOutput(entry))


def describe_output(output: Any) -> str:
    """Return what a network or layer gave, for a message.

    Parameters
    ----------
    output : object
        What it returned.

    Returns
    -------
    description : str
        Its shape, or its type and what to take of it.

    Examples
    --------
    >>> import torch
    >>> from skda.backbones import describe_output
    >>> describe_output(torch.zeros(2, 3, 4))
    'shape (2, 3, 4)'
    """
    if isinstance(output, torch.Tensor):
        return f"shape {tuple(output.shape)}" if output.ndim else "a Tensor of one value"
    name = type(output).__name__
    if _is_model_output(output):
        return f"a {name} without pooler_output ({', '.join(output)})"
    if isinstance(output, Mapping):
        keys = ", ".join(map(repr, list(output)[:5]))
        if "out" in output:
            return (
                f"{name} of {keys}, as a segmentation network does, whose 'out' has classes for "
                "every pixel and no features"
            )
        return f"{name} of {keys}"
    return name


def _is_model_output(output):
    return isinstance(output, Mapping) and any(
        cls.__module__.startswith("transformers.") and cls.__name__ == "ModelOutput"
        for cls in type(output).__mro__
    )


def _is_of_torchvision(output):
    return (
        isinstance(output, tuple)
        and hasattr(output, "logits")
        and type(output).__name__ in ("GoogLeNetOutputs", "InceptionOutputs")
    )
