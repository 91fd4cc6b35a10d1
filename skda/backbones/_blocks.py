"""The blocks of a network: what is frozen, copied or re-initialised as a whole."""

from dataclasses import dataclass

from torch import nn

from skda.backbones._adapters import is_adapted


@dataclass(frozen=True)
class Block:
    """A layer with weights and what belongs to it.

    Parameters
    ----------
    name : str
        Path of the layer in the network.

    modules : tuple of str
        Paths of the layer and of the normalisations, activations and dropouts that go with it.

    parameters : tuple of str, default=()
        Names of parameters that belong to no layer, such as a class token.

    Examples
    --------
    >>> from skda.nn import MLP
    >>> from skda.backbones import list_blocks
    >>> list_blocks(MLP(8))[0]
    Block(name='hidden1.0', modules=('hidden1.0', 'hidden1.1', 'hidden1.2'), parameters=())
    """

    name: str
    modules: tuple[str, ...]
    parameters: tuple[str, ...] = ()

    def get_modules(self, network: nn.Module) -> list[nn.Module]:
        """Return its modules in `network`.

        Parameters
        ----------
        network : torch.nn.Module
            The network that the block is a part of.

        Returns
        -------
        modules : list of torch.nn.Module
            In the order of the network.
        """
        return [network.get_submodule(path) for path in self.modules]

    def get_parameters(self, network: nn.Module) -> list[nn.Parameter]:
        """Return its parameters in `network`.

        Parameters
        ----------
        network : torch.nn.Module
            The network that the block is a part of.

        Returns
        -------
        parameters : list of torch.nn.Parameter
            First those that no module has.
        """
        loose = [network.get_parameter(name) for name in self.parameters]
        return loose + [p for module in self.get_modules(network) for p in module.parameters()]

    def reset_parameters(self, network: nn.Module) -> None:
        """Give all its layers in `network` the random weights that they are created with.

        Parameters
        ----------
        network : torch.nn.Module
            The network that the block is a part of.

        Raises
        ------
        ValueError
            If a layer cannot be re-initialised.
        """
        for name in self.parameters:
            self._refuse(f"{name!r} is a parameter of no layer")
        for part in self.get_modules(network):
            for module in part.modules():
                reset = getattr(module, "reset_parameters", None)
                reset = reset or getattr(module, "_reset_parameters", None)
                if reset is not None:
                    reset()
                elif next(module.parameters(recurse=False), None) is not None:
                    self._refuse(f"{type(module).__name__} has no method reset_parameters")

    def _refuse(self, reason):
        raise ValueError(
            f"n_transfer: block {self.name!r} cannot be re-initialised, because {reason}; "
            "transfer this block too."
        )


def list_blocks(network: nn.Module) -> list[Block]:
    """Return the blocks of a network, in the order in which it registers them.

    A block is a layer with weights: a submodule that has a parameter of two or more dimensions.
    Containers (:class:`torch.nn.Sequential`, :class:`torch.nn.ModuleList`, and a network that
    wraps a single other one) are opened; every other submodule, such as a residual or a
    transformer block, is one layer. Normalisations, activations, pooling and dropout belong to
    the layer before them. AlexNet without its classifier has 7 blocks, 5 convolutional ones and
    2 fully connected ones.

    Parameters
    ----------
    network : torch.nn.Module
        The network.

    Returns
    -------
    blocks : list of Block
        First layer first; together they hold all parameters, unless there is no layer at all.

    Examples
    --------
    >>> from skda.nn import ConvNet
    >>> from skda.backbones import list_blocks
    >>> [block.name for block in list_blocks(ConvNet(1, (28, 28)))]
    ['conv1.0', 'conv2.0', 'hidden1.0']
    """
    blocks = []
    modules, parameters = [], []
    for path, part in _parts("", network, is_network=True):
        if isinstance(part, nn.Parameter):
            parameters.append(path)
            continue
        if any(p.ndim > 1 for p in part.parameters()):
            # What came before the first layer goes with it.
            blocks.append((path, *((modules, parameters) if not blocks else ([], []))))
            _, modules, parameters = blocks[-1]
        modules.append(path)
    return [Block(name, tuple(modules), tuple(loose)) for name, modules, loose in blocks]


def _parts(path, module, *, is_network=False):
    """Yield the layers below `module`, and the parameters of opened modules, with their paths."""
    children = {} if is_adapted(module) else dict(module.named_children())
    if not children or not (is_network or isinstance(module, nn.Sequential | nn.ModuleList)):
        yield path, module
        return
    start = f"{path}." if path else ""
    for name, parameter in module.named_parameters(recurse=False):
        yield f"{start}{name}", parameter
    learning = _learning(module)
    for name, child in children.items():
        is_alone = len(learning) == 1 and child is learning[0]
        # The encoder of a language network holds its layers in a list, and nothing else; norms of
        # several domains are in one too, but no layers.
        inside = _learning(child) if any(p.ndim > 1 for p in child.parameters()) else []
        holds_list = len(inside) == 1 and isinstance(inside[0], nn.ModuleList)
        wrapped = is_network and (is_alone or holds_list)
        yield from _parts(f"{start}{name}", child, is_network=wrapped)


def _learning(module):
    """The children of a module that have parameters."""
    return [child for child in module.children() if any(True for _ in child.parameters())]
