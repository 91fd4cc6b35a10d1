"""Networks of torchvision."""

import os
import re
from collections.abc import Mapping
from enum import Enum
from typing import Any

from torch import nn

from skda._optional import import_optional
from skda.backbones._library import (
    Classifier,
    Library,
    check_known,
    named_errors,
    replace_submodule,
)
from skda.images import ImagePreprocess

# Where the networks of a file have their classifiers.
_CLASSIFIERS = {
    "alexnet": "classifier.6",
    "convnext": "classifier.2",
    "densenet": "classifier",
    "efficientnet": "classifier.1",
    "googlenet": "fc",
    "inception": "fc",
    "maxvit": "classifier.5",
    "mnasnet": "classifier.1",
    "mobilenetv2": "classifier.1",
    "mobilenetv3": "classifier.3",
    "regnet": "fc",
    "resnet": "fc",
    "shufflenetv2": "fc",
    "squeezenet": "classifier.1",
    "swin_transformer": "head",
    "vgg": "classifier.6",
    "vision_transformer": "heads.head",
}
# Classifiers in the middle, which only serve training from scratch.
_AUXILIARY = {"googlenet": ("aux1", "aux2"), "inception": ("AuxLogits",)}
_N_CLASSES = 1000  # of all weights that torchvision offers


class TorchvisionLibrary(Library):
    """The classification networks of torchvision."""

    name = "torchvision"

    def owns(self, network: nn.Module) -> bool:
        """Whether it is a classification network: others return maps or boxes."""
        return super().owns(network) and _file(network) in _CLASSIFIERS

    def make(self, name: str, weights: Any, keywords: Mapping[str, Any]) -> nn.Module:
        """Return a whole network, such as ``"resnet50"``."""
        models = import_optional("torchvision.models", "vision")
        check_known("torchvision", name, models.list_models(module=models))
        if weights is None and name in ("googlenet", "inception_v3"):
            keywords = {"init_weights": True, **keywords}  # its default, which it warns about
        with named_errors(f"torchvision/{name}", weights is not None):
            return models.get_model(name, weights=weights, **keywords)

    def published(self, network: Any, weights: Any) -> Any:
        """Return an entry of torchvision's enumerations of weights.

        ``"pretrained"`` is the default of a named network; entries are themselves, or named, as
        in ``"IMAGENET1K_V1"`` or ``"ResNet18_Weights.IMAGENET1K_V1"``.
        """
        models = import_optional("torchvision.models", "vision")
        is_named = isinstance(network, str)
        if is_named:
            check_known("torchvision", network, models.list_models(module=models))
        name = weights.name if isinstance(weights, Enum) else weights
        kind = type(weights).__name__ if isinstance(weights, Enum) else None
        if name == "pretrained":
            name = "DEFAULT" if is_named else None
        if not isinstance(name, str) or os.path.exists(name):
            return None
        match = re.fullmatch(r"(?:(\w+_Weights)\.)?(DEFAULT|IMAGENET1K_\w+)", name)
        if match is None:
            return None
        kinds: list[Any] = (
            [models.get_model_weights(network)]
            if is_named
            else list(dict.fromkeys(type(entry) for entry in self._entries(network)))
        )
        wanted = [k for k in kinds if (kind or match[1]) in (None, k.__name__)]
        if len(wanted) == 1 and match[2] in wanted[0].__members__:
            return wanted[0][match[2]]
        known = [f"{kind.__name__}.{entry}" for kind in kinds for entry in kind.__members__]
        raise ValueError(
            f"weights: {str(weights)!r} names none of torchvision's weights for this network; "
            f"those are {', '.join(known[:10]) or 'unknown'}. Pass one of them, or the path of a "
            "file."
        )

    def preprocess(self, network: nn.Module, weights: Any, notes: list[str]) -> Any:
        """Return that of its weights; of unknown ones that of the default of its architecture."""
        if isinstance(weights, Enum):
            return _as_preprocess(weights)
        entries = self._entries(network)
        if not entries:
            notes.append(
                f"preprocess: {type(network).__name__} is none of torchvision's architectures, and "
                "gets ImageNet's usual resize to 256, crop to 224 and normalisation."
            )
            return ImagePreprocess()
        default = next((e for e in entries if e is type(e).DEFAULT), entries[0])
        own = _as_preprocess(default)
        others = [str(entry) for entry in entries if _as_preprocess(entry) != own]
        if others:
            notes.append(
                f"preprocess: a network of torchvision does not say which weights it has; that of "
                f"{default} was taken, and that of {', '.join(others)} differs: if they are those, "
                "name them as weights."
            )
        return own

    def _entries(self, network):
        """Return the weights of torchvision that an instance can hold."""
        models = import_optional("torchvision.models", "vision")
        family = [
            entry
            for name in models.list_models(module=models)
            if models.get_model_builder(name).__module__ == type(network).__module__
            for entry in models.get_model_weights(name)
        ]
        found = [entry for entry in family if self._has_size_of(network, entry)]
        if not found and len({repr(_as_preprocess(entry)) for entry in family}) == 1:
            return family
        return found

    def _has_size_of(self, network, entry):
        """Whether a network has as many parameters as weights, classifiers aside."""
        head = self.head_paths(network)[0]
        n_own = sum(p.numel() for path, p in network.named_parameters() if not _below(path, head))
        n_head = entry.meta["num_params"] - n_own
        found = self.classifier(network, is_new=True)
        if found is not None:
            part: Any = network.get_submodule(head)
            n_inputs = getattr(part, "in_features", getattr(part, "in_channels", 0))
            return n_head == _N_CLASSES * (n_inputs + 1)
        n_inputs, rest = divmod(n_head, _N_CLASSES)
        return rest == 0 and 64 < n_inputs <= 8193  # weights of a layer with a bias

    def classifier(self, network: nn.Module, is_new: bool) -> Classifier | None:
        """Return its last layer; certain if it has the 1000 classes of torchvision's weights."""
        (path,) = self.head_paths(network)
        try:
            part = network.get_submodule(path)
        except AttributeError:
            return None
        if not isinstance(part, nn.Linear | nn.Conv2d):
            return None
        n = part.out_features if isinstance(part, nn.Linear) else part.out_channels
        return Classifier((path,), n, is_new or n == _N_CLASSES)

    def take_off(self, network: nn.Module, classifier: Classifier) -> None:
        """Put nothing in its place."""
        replace_submodule(network, classifier.paths[0], nn.Identity())

    def head_paths(self, network: nn.Module) -> tuple[str, ...]:
        """Return the path that networks of its file have."""
        return (_CLASSIFIERS[_file(network)],)

    def extra_paths(self, network: nn.Module) -> tuple[str, ...]:
        """Return the auxiliary classifiers."""
        return _AUXILIARY.get(_file(network), ())

    def simplify(self, network: nn.Module) -> None:
        """Take off the auxiliary classifiers, whose outputs come along in training."""
        for path in self.extra_paths(network):
            setattr(network, path, None)
        if self.extra_paths(network):
            network.aux_logits = False  # type: ignore[assignment]


def _file(network):
    parts = type(network).__module__.split(".")
    return parts[2] if len(parts) == 3 else ""


def _below(path, parent):
    return path.startswith(f"{parent}.")


def _as_preprocess(weights):
    own = weights.transforms()
    size, resized = own.crop_size[0], own.resize_size[0]
    return ImagePreprocess(
        size=size,
        crop_pct=size / resized,
        mean=own.mean,
        std=own.std,
        interpolation=own.interpolation.value,
    )
