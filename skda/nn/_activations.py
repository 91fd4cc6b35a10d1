"""Reading the output of named submodules."""

from collections.abc import Iterable, MutableMapping
from difflib import get_close_matches
from typing import Any

from torch import nn
from torch.utils.hooks import RemovableHandle


class _Recorder:
    """A forward hook that can be pickled and deep-copied with its module."""

    def __init__(self, store, name):
        self.store, self.name = store, name

    def __call__(self, module, inputs, output):
        self.store[self.name] = output


def forget_recorders(module: nn.Module) -> None:
    """End every recording inside `module`."""
    for part in module.modules():
        for key, hook in list(part._forward_hooks.items()):
            if isinstance(hook, _Recorder):
                del part._forward_hooks[key]


def record_activations(
    module: nn.Module, names: Iterable[str], store: MutableMapping[str, Any]
) -> list[RemovableHandle]:
    """Make `module` write the outputs of its submodules `names` into `store` at every forward.

    Parameters
    ----------
    module : torch.nn.Module
        The network.

    names : iterable of str
        Paths of submodules, as ``module.named_modules()`` spells them.

    store : dict
        Receives ``store[name] = output``.

    Returns
    -------
    handles : list of torch.utils.hooks.RemovableHandle
        One per name; ``remove()`` ends the recording.

    Raises
    ------
    ValueError
        If the module has no such submodule; the message lists the nearest names.

    Examples
    --------
    >>> import torch
    >>> from skda.nn import MLP, record_activations
    >>> network, outputs = MLP(3, hidden_layer_sizes=(8, 2)), {}
    >>> handles = record_activations(network, ["hidden1"], outputs)
    >>> features = network(torch.zeros(5, 3))
    >>> outputs["hidden1"].shape
    torch.Size([5, 8])
    """
    check_submodules(module, names, "layers")
    return [
        module.get_submodule(name).register_forward_hook(_Recorder(store, name)) for name in names
    ]


def check_submodules(
    module: nn.Module, names: Iterable[str], parameter: str, also: Iterable[str] = ()
) -> None:
    """Raise if `module` has no submodule of one of these names.

    Parameters
    ----------
    module : torch.nn.Module
        The network.

    names : iterable of str
        Paths of submodules.

    parameter : str
        Where the user gave them, for the message.

    also : iterable of str, default=()
        Other names that are valid.

    Raises
    ------
    ValueError
        With the nearest names.
    """
    known = [*also, *(path for path, _ in module.named_modules(remove_duplicate=False) if path)]
    for name in names:
        if name not in known:
            near = get_close_matches(str(name), known, n=5, cutoff=0.4) or known[:10]
            raise ValueError(
                f"{parameter}: {type(module).__name__} has no submodule {name!r}; the nearest are "
                f"{', '.join(map(repr, near)) or 'none'}."
            )
