"""What the parameters `module`, `weights` and ``module__*`` of an estimator stand for."""

import copy
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from torch import nn

from skda.backbones._factories import (
    asks_for_rows,
    build_backbone,
    gives_weights,
    is_library_function,
)
from skda.backbones._language import find_language, make_language_backbone
from skda.backbones._library import channels_of_first_layer
from skda.backbones._names import find_library, layer_names, library_of
from skda.backbones._outputs import take_main_output
from skda.backbones._state_dicts import check_finite
from skda.backbones._weight_files import check_weights_hash
from skda.backbones._weights import load_weights
from skda.images import ImagePreprocess
from skda.nn import DomainLayer

_ANY_ROWS = (0, 0, 0)  # for factories that do not look at them


class BackboneResolver:
    """From what a user gives for a network to the network.

    Extraction, fine-tuning and adaptation all get theirs here. A network of timm, torchvision or
    transformers says how images become its inputs, whether it is named, an instance or what a
    function makes; named ones and those of functions are built before the rows are known, others
    for the shape of the rows. The classifier of such a network is taken off. Networks for texts
    are those of transformers and sentence-transformers that are named.

    Parameters
    ----------
    module : str, torch.nn.Module, class, factory, fitted estimator or None
        As documented by the estimators.

    weights : "pretrained", path, mapping, entry of an enumeration of torchvision, or None
        As documented by the estimators.

    keywords : dict
        Those given as ``module__*``.

    sha256 : str, default=None
        Of the file of weights, in hexadecimal.

    keep : sequence of str, default=()
        Layers that the user names. A classifier whose path is among them stays.

    Attributes
    ----------
    preprocess : callable or None
        The network's own, from a PIL image to its input, or a :class:`skda.text.TextPreprocess`;
        after `start`.

    n_channels : int or None
        How many channels the images have that the network takes: 3, or 1 for grey ones; None if
        that is not known. After `start`.

    notes : list of str
        What was decided for the user, a line each: a classifier that was taken off, weights that
        were left out.

    Examples
    --------
    >>> import torch
    >>> from skda.backbones import BackboneResolver
    >>> resolver = BackboneResolver(None, "pretrained", {"hidden_layer_sizes": (8,)})
    >>> resolver.start()
    >>> resolver.build((3,))(torch.zeros(2, 3)).shape
    torch.Size([2, 8])
    """

    _named: Any
    n_channels: int | None

    def __init__(
        self,
        module: Any,
        weights: Any,
        keywords: Mapping[str, Any],
        *,
        sha256: str | None = None,
        keep: Iterable[str] = (),
    ):
        check_weights_hash(weights, sha256)
        self.module, self.weights, self.keywords, self.sha256 = module, weights, keywords, sha256
        self.keep = (keep,) if isinstance(keep, str) else tuple(keep)
        self.notes: list[str] = []
        # A fitted estimator knows how images became its inputs.
        self.preprocess = getattr(module, "preprocess_", None)
        shape = getattr(module, "input_shape_", ())
        self.n_channels = shape[0] if len(shape) == 3 and shape[0] in (1, 3) else None
        self._named = None
        self._taken_off: tuple[str, ...] = ()

    def start(self) -> None:
        """Build what needs no rows; its random weights are those of torch's generator now."""
        module = self.module
        if isinstance(module, str):
            if found := find_language(module, self.keywords):
                self._named, self.preprocess = make_language_backbone(
                    *found, self.weights, self.keywords, sha256=self.sha256
                )
                check_finite(self._named, module)
                return
            library, name = find_library(module)
            published = library.published(name, self.weights)
            self._named = library.make(name, published, self.keywords)
            self._finish(self._named, library, published, is_new=True)
            check_finite(self._named, module)
        elif isinstance(module, nn.Module):
            network = unwrapped(module)
            library = library_of(first_part(network))
            self._inspect(network, library, self._published(network))
        elif self._is_early_factory:
            self._named = build_backbone(module, _ANY_ROWS, self.keywords)
            self._note_random_weights()
            self._finish_given(self._named)

    @property
    def _is_early_factory(self):
        is_factory = callable(self.module) and not isinstance(self.module, nn.Module)
        return (
            is_factory
            and not isinstance(self.module, BaseEstimator)
            and not asks_for_rows(self.module)
        )

    @property
    def has_weights(self) -> bool:
        """Whether the network comes with weights that are worth keeping."""
        if isinstance(self.module, str):
            return self.weights is not None
        if isinstance(self.module, nn.Module | BaseEstimator) or self._loads_weights:
            return True
        return callable(self.module) and gives_weights(self.module, self.keywords)

    @property
    def _loads_weights(self):
        return self.weights is not None and not (
            isinstance(self.weights, str) and self.weights == "pretrained"
        )

    def layer_paths(self, layers: Iterable[str]) -> list[str]:
        """Return the paths of layers, some of which the literature has other names for.

        Parameters
        ----------
        layers : iterable of str
            As the user names them.

        Returns
        -------
        paths : list of str
            Of submodules.

        Raises
        ------
        ValueError
            If one of them is a classifier that was taken off.
        """
        names = layer_names(self.module)
        paths = [names.get(layer, layer) for layer in layers]
        for path in paths:
            if path in self._taken_off:
                raise ValueError(
                    f"layers: {path!r} is the classifier of the network, which was taken off; "
                    "name it in the parameter layers, or align at 'features' or 'logits'."
                )
        return paths

    def build(self, input_shape: Sequence[int]) -> nn.Module:
        """Return a network for rows of one shape: new, a copy, or all of a fitted estimator's.

        Parameters
        ----------
        input_shape : tuple of int
            (n_features,) or (n_channels, height, width).

        Returns
        -------
        network : torch.nn.Module
            Of a fitted estimator a :class:`skda.training.AdaptationModule`.
        """
        module = self.module
        if isinstance(module, BaseEstimator):
            module = network_of(module, "module")
        return self._build(module, input_shape)

    def build_to_train(
        self, input_shape: Sequence[int], *, standardizes: bool = False
    ) -> nn.Module:
        """Return a network for rows of one shape, all of which can learn, on the CPU.

        Parameters
        ----------
        input_shape : tuple of int
            (n_features,) or (n_channels, height, width).

        standardizes : bool, default=False
            Whether the new estimator standardizes rows by domain.

        Returns
        -------
        backbone : torch.nn.Module
            Of a fitted estimator a copy of its backbone.

        Raises
        ------
        ValueError
            If the backbone of a fitted estimator takes standardized rows, and the new estimator
            does not standardize.
        """
        module = self.module
        if isinstance(module, BaseEstimator):
            module = self._backbone_of(module, standardizes)
        network = self._build(module, input_shape)
        if isinstance(self.module, str):
            return network
        return DomainLayer.keep_target(network.cpu())  # left by an earlier training

    def _build(self, module, input_shape) -> nn.Module:
        if isinstance(module, str) or self._is_early_factory:
            if self._named is None:
                self.start()
            return cast(nn.Module, self._named)
        if isinstance(module, nn.Module):
            self._check_instance(module)
            network = copy.deepcopy(unwrapped(module))
        else:
            network = build_backbone(module, input_shape, self.keywords)
            self._note_random_weights()
        if not isinstance(self.module, BaseEstimator):
            self._finish_given(network)
        elif self._loads_weights:
            self._load(network, (), None)
        return network

    def _check_instance(self, instance):
        what = f"module is an instance of {type(instance).__name__}"
        if self.keywords:
            raise TypeError(
                f"module__{min(self.keywords)}: {what} and built already; pass the class instead, "
                "or leave out the module__ keywords."
            )
        if self.weights is None:
            raise ValueError(
                f"weights: None asks for random weights, but {what} and has its own; pass a class "
                "instead, or leave weights at 'pretrained'."
            )

    def _published(self, network):
        """Return the entry of a library's weights that a user names for an instance."""
        library = library_of(network)
        return library.published(network, self.weights) if library is not None else None

    def _finish_given(self, network):
        library = library_of(network)
        is_of_library = not isinstance(self.module, nn.Module) and self._is_early_factory
        # A function of a library makes the classifier that it was asked for.
        is_new = is_of_library and is_library_function(self.module)
        self._finish(network, library, self._published(network), is_new=is_new)

    def _finish(self, network, library, published, *, is_new):
        """Load weights, learn what the network carries, and leave its features as its output."""
        if published is not None and self.sha256 is not None:
            raise ValueError(
                f"weights_sha256 is the hash of a file, but weights={self.weights!r} names "
                f"published ones, {published}; leave it out, or pass the path of their file."
            )
        found = library.classifier(network, is_new) if library is not None else None
        is_kept = found is not None and (
            not found.is_certain or bool(set(found.paths) & set(self.keep))
        )
        if self._loads_weights and not (isinstance(self.module, str) and published is not None):
            head = ()
            if library is not None:
                head = (
                    *library.extra_paths(network),
                    *(() if is_kept else library.head_paths(network)),
                )
            self._load(network, head, published)
        self._inspect(network, library or library_of(first_part(network)), published)
        if library is None:
            if type(network).__module__.partition(".")[0] not in ("torch", "skda"):
                take_main_output(network)
            return
        library.simplify(network)
        if found is not None:
            self._end_before(network, library, found, is_kept)

    def _end_before(self, network, library, found, is_kept):
        paths = ", ".join(map(repr, found.paths))
        name = f"{type(network).__name__} of {library.name}"
        if not is_kept:
            library.take_off(network, found)
            self._taken_off = found.paths
            if not isinstance(self.module, str):
                self._note(
                    f"module: the classifier {paths} ({found.n_classes} classes) of {name} was "
                    "taken off; name it in layers to keep it."
                )
        elif not found.is_certain:
            self._note(
                f"module: the last layer {paths} of {name} was kept, since its {found.n_classes} "
                "outputs may be features; if they are classes, put torch.nn.Identity() in its "
                "place."
            )
        elif "features" in self.keep:
            raise ValueError(
                f"layers: {paths} is the classifier of {name}, and with it 'features', the output "
                "of the network, would be the same; name the layer before it in place of "
                "'features', or leave out the classifier."
            )

    def _load(self, network, head, published):
        weights = self.weights
        if published is not None:
            weights = published.get_state_dict(progress=False, check_hash=True)
            if hasattr(network, "transform_input"):  # as torchvision sets it with weights
                network.transform_input = True
        for note in load_weights(network, weights, sha256=self.sha256, head=head):
            self._note(note)

    def _inspect(self, network, library, published):
        """Learn how images become inputs of a network, and how many channels they have."""
        part, notes = first_part(network), []
        if library is None:
            self.n_channels = channels_of_first_layer(part)
            return
        self.n_channels = library.n_channels(part)
        own = library.preprocess(part, published, notes)
        is_grey = self.n_channels == 1 and isinstance(own, ImagePreprocess)
        self.preprocess = own.to_grey() if is_grey else own
        for note in notes:
            self._note(note)

    def _note_random_weights(self):
        is_asked = isinstance(self.weights, str) and self.weights == "pretrained"
        if is_asked and is_library_function(self.module) and not self.has_weights:
            self._note(
                "module: this function of a library gives random weights unless it is asked for "
                "others; use module__pretrained=True (timm) or module__weights='DEFAULT' "
                "(torchvision), or pass the path of a file as weights."
            )

    def _note(self, note):
        if note not in self.notes:
            self.notes.append(note)

    def _backbone_of(self, fitted, standardizes):
        module = copy.deepcopy(network_of(fitted, "module"))
        if module.standardizer is not None and not standardizes:
            raise ValueError(
                f"module: this {type(fitted).__name__} standardized its rows, as standardize= says "
                "or, of a table in mixed units, by default, and so its backbone takes standardized "
                "rows; fit it with standardize=None, or let both standardize."
            )
        while module.frozen:
            module.unfreeze()
        return module.backbone


def unwrapped(network: nn.Module) -> nn.Module:
    """Return the network inside of a ``DataParallel`` or of what ``torch.compile`` returned."""
    while True:
        if isinstance(network, nn.DataParallel | nn.parallel.DistributedDataParallel):
            network = network.module
        elif isinstance(getattr(network, "_orig_mod", None), nn.Module):
            network = cast(nn.Module, network._orig_mod)
        else:
            return network


def first_part(network: nn.Module) -> nn.Module:
    """Return what an image meets first: the network, or the first part of a sequence."""
    while type(network) is nn.Sequential and len(network):
        network = network[0]
    return network


def network_of(fitted: Any, name: str) -> Any:
    """Return the network of a fitted estimator.

    Parameters
    ----------
    fitted : estimator
        A deep estimator of this package.

    name : str
        Of the parameter, for messages.

    Returns
    -------
    module : skda.training.AdaptationModule
        Its network, no copy.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If it is not fitted.
    """
    if not hasattr(fitted, "net_"):
        raise NotFittedError(
            f"{name}: this {type(fitted).__name__} is not fitted; fit it first. If it was, it has "
            "been cloned: wrap it in sklearn.frozen.FrozenEstimator."
        )
    return fitted.net_.module_
