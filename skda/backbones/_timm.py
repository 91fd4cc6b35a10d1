"""Networks of timm."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import nn

from skda._optional import import_optional
from skda.backbones._hub import quick_hub
from skda.backbones._library import Classifier, Library, check_known, named_errors
from skda.images import CROP_MODES, ImagePreprocess

# Where a name can lead beside timm's own list.
SOURCES = ("hf-hub", "hf_hub", "local-dir")


class TimmLibrary(Library):
    """Networks of timm, of the hub of Hugging Face in timm's format, and of local folders."""

    name = "timm"

    def make(self, name: str, weights: Any, keywords: Mapping[str, Any]) -> nn.Module:
        """Return a whole network: ``"resnet18.a1_in1k"``, ``"hf-hub:user/name"`` or a folder."""
        timm = import_optional("timm", "vision")
        if os.path.isdir(name):
            name = f"local-dir:{name}"
        source, _, path = name.partition(":")
        if source not in SOURCES:
            # A name may end in the tag of its weights: resnet18.a1_in1k.
            check_known("timm", name.partition(".")[0], timm.list_models())
        elif source == "local-dir" and not os.path.isfile(os.path.join(path, "config.json")):
            raise ValueError(
                f"module: {path!r} is no folder of a timm network: it has no config.json; save "
                "one with timm.models.save_for_hf(network, folder)."
            )
        is_on_hub = source in ("hf-hub", "hf_hub")
        asks_hub = is_on_hub or (bool(weights) and source != "local-dir")
        with named_errors(f"timm/{name}", is_on_hub or bool(weights)), quick_hub(asks_hub):
            return timm.create_model(name, pretrained=bool(weights), **keywords)

    def preprocess(self, network: nn.Module, weights: Any, notes: list[str]) -> Any:
        """Return what its configuration says; of the size that it was built for."""
        if not getattr(network, "pretrained_cfg", None):
            return None
        data = import_optional("timm", "vision").data
        config = data.resolve_data_config({}, model=network)
        built_for = getattr(getattr(network, "patch_embed", None), "img_size", None)
        if built_for is not None:
            config["input_size"] = (config["input_size"][0], *built_for)
        is_grey = self.n_channels(network) == 1
        if is_grey:  # as ImagePreprocess.to_grey
            config |= {name: (float(np.mean(config[name])),) for name in ("mean", "std")}
        if config["crop_mode"] not in CROP_MODES or config["crop_pct"] > 1:
            config["input_size"] = (1 if is_grey else 3, *config["input_size"][1:])
            return data.create_transform(**config, is_training=False)
        entries = ("crop_pct", "mean", "std", "interpolation", "crop_mode")
        return ImagePreprocess(
            size=config["input_size"][1:], **{name: config[name] for name in entries}
        )

    def classifier(self, network: nn.Module, is_new: bool) -> Classifier | None:
        """Return what timm says to be the classifier; certain if it has as many outputs."""
        n_classes: Any = getattr(network, "num_classes", 0)
        if not n_classes or not hasattr(network, "get_classifier"):
            return None
        heads: Any = network.get_classifier()  # type: ignore[operator]
        heads = heads if isinstance(heads, tuple | list) else (heads,)
        paths = tuple(
            path for path, part in network.named_modules() if any(part is h for h in heads)
        )
        if not paths or any(isinstance(head, nn.Identity) for head in heads):
            return None
        n_outputs = [getattr(h, "out_features", getattr(h, "out_channels", None)) for h in heads]
        known = [n for n in n_outputs if isinstance(n, int)]
        is_certain = is_new or all(n == n_classes for n in known)
        return Classifier(paths, n_classes if is_certain else known[0], is_certain)

    def take_off(self, network: nn.Module, classifier: Classifier) -> None:
        """Let timm do it; the pooling stays."""
        network.reset_classifier(0)  # type: ignore[operator]

    def head_paths(self, network: nn.Module) -> tuple[str, ...]:
        """Return what its configuration names, and what is there."""
        config: Any = getattr(network, "pretrained_cfg", None) or {}
        named = config.get("classifier") or ()
        named = (named,) if isinstance(named, str) else tuple(named)
        found = self.classifier(network, is_new=True)
        return tuple(dict.fromkeys([*named, *(found.paths if found else ())]))

    def n_channels(self, network: nn.Module) -> int | None:
        """Return those of the first convolution that its configuration names."""
        config: Any = getattr(network, "pretrained_cfg", None) or {}
        first = config.get("first_conv")
        first = first if isinstance(first, str) else next(iter(first or ()), None)
        try:
            part = network.get_submodule(first) if first else None
        except AttributeError:
            part = None
        if part is None:
            return super().n_channels(network)
        found = getattr(part, "in_channels", None)
        return found if found in (1, 3) else None  # others see pixels rearranged, or no image
