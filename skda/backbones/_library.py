"""What is asked of a library of networks."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, ClassVar

from torch import nn


@dataclass(frozen=True)
class Classifier:
    """What a network ends in.

    Parameters
    ----------
    paths : tuple of str
        Its submodules; several where a network has a head for a teacher too.

    n_classes : int
        Of outputs.

    is_certain : bool
        Whether these outputs are classes, and cannot be features that a user wants.
    """

    paths: tuple[str, ...]
    n_classes: int
    is_certain: bool


class Library(ABC):
    """Networks of a library: by name, and what their instances carry.

    Notes that these methods add say in one line each what was decided for the user.
    """

    name: ClassVar[str]

    def owns(self, network: nn.Module) -> bool:
        """Whether the class of a network is of this library, and not a user's own."""
        return type(network).__module__.partition(".")[0] == self.name

    @abstractmethod
    def make(self, name: str, weights: Any, keywords: Mapping[str, Any]) -> nn.Module:
        """Return a whole network, classifier included.

        Parameters
        ----------
        name : str
            Without that of the library.

        weights : object
            What :meth:`published` returned, or None for random weights.

        keywords : dict
            For the library's constructor.
        """

    def published(self, network: Any, weights: Any) -> Any:
        """Return the weights that a name stands for among those that the library offers.

        Parameters
        ----------
        network : str or torch.nn.Module
            Name or instance.

        weights : object
            As the user gave them.

        Returns
        -------
        weights : object
            ``"pretrained"``, an entry of the library, or None for what is to be read as a file or
            mapping.
        """
        return "pretrained" if isinstance(weights, str) and weights == "pretrained" else None

    @abstractmethod
    def preprocess(self, network: nn.Module, weights: Any, notes: list[str]) -> Any:
        """Return what brings images to the input of a network, or None if that is unknown."""

    @abstractmethod
    def classifier(self, network: nn.Module, is_new: bool) -> Classifier | None:
        """Return what a network ends in; `is_new` if the library has just made it."""

    @abstractmethod
    def take_off(self, network: nn.Module, classifier: Classifier) -> None:
        """Make a network end before its classifier, in place."""

    @abstractmethod
    def head_paths(self, network: nn.Module) -> tuple[str, ...]:
        """Return where networks of this class have their classifiers, present or not."""

    def extra_paths(self, network: nn.Module) -> tuple[str, ...]:
        """Return submodules that serve the pretraining alone."""
        return ()

    def simplify(self, network: nn.Module) -> None:
        """Make a network return one tensor, in training too; in place."""
        return None

    def n_channels(self, network: nn.Module) -> int | None:
        """Return how many channels the images have that a network takes."""
        return channels_of_first_layer(network)


def channels_of_first_layer(network: nn.Module) -> int | None:
    """Return how many channels a network takes whose first layer is a convolution of images.

    Parameters
    ----------
    network : torch.nn.Module
        Any; layers count in the order in which they were registered.

    Returns
    -------
    n_channels : int or None
        1 or 3; None if the first layer with weights is another one.
    """
    for module in network.modules():
        if next(module.parameters(recurse=False), None) is not None:
            found = module.in_channels if isinstance(module, nn.Conv2d) else None
            return found if found in (1, 3) else None
    return None


def replace_submodule(network: nn.Module, path: str, part: nn.Module) -> None:
    """Put another submodule at a path, in place."""
    parent, _, child = path.rpartition(".")
    setattr(network.get_submodule(parent), child, part)


def check_known(library: str, name: str, names: list[str]) -> None:
    """Raise with the nearest names if a library has no such network."""
    if name not in names:
        near = get_close_matches(name, names, n=5, cutoff=0.4) or names[:5]
        raise ValueError(
            f"module: {library} has no network {name!r}; the nearest are "
            f"{', '.join(repr(f'{library}/{known}') for known in near)}."
        )


@contextmanager
def named_errors(backbone: str, is_pretrained: bool):
    """Tell which parameter of the estimator a library complains about."""
    try:
        yield
    except TypeError as error:
        raise TypeError(f"module__*: {backbone} does not take these keywords: {error}") from error
    except (OSError, RuntimeError) as error:
        if not is_pretrained:
            raise
        raise ValueError(
            f"weights: the pretrained weights of {backbone} cannot be had ({error}); pass the "
            "path of a file, or None for random weights."
        ) from error
