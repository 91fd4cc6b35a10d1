"""Reading the output of named submodules."""

from difflib import get_close_matches


class _Recorder:
    """A forward hook that can be pickled and deep-copied with its module."""

    def __init__(self, store, name):
        self.store, self.name = store, name

    def __call__(self, module, inputs, output):
        self.store[self.name] = output


def forget_recorders(module):
    """End every recording inside `module`."""
    for part in module.modules():
        for key, hook in list(part._forward_hooks.items()):
            if isinstance(hook, _Recorder):
                del part._forward_hooks[key]


def record_activations(module, names, store):
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
    submodules = dict(module.named_modules())
    for name in names:
        if name not in submodules or name == "":
            known = [path for path in submodules if path]
            near = get_close_matches(name, known, n=5, cutoff=0.4) or known[:10]
            raise ValueError(
                f"layers: {type(module).__name__} has no submodule {name!r}; the nearest are "
                f"{', '.join(map(repr, near)) or 'none'}."
            )
    return [submodules[name].register_forward_hook(_Recorder(store, name)) for name in names]
