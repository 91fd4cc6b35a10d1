"""Vision networks of transformers."""

import os
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from skda._optional import import_optional
from skda.backbones._hub import quick_hub
from skda.backbones._library import Classifier, Library, named_errors, replace_submodule
from skda.backbones._outputs import take_main_output
from skda.images import ImagePreprocess

# Processors that resize, crop, rescale and normalise as their attributes say, and no more.
_PLAIN = ("ViT", "DeiT", "CLIP", "Bit", "Siglip", "Pvt", "MobileNetV1", "MobileNetV2", "ConvNext")
_FILTERS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic", 4: "box", 5: "hamming"}
_CLASSIFIERS = ("classifier", "cls_classifier", "distillation_classifier", "head", "dist_head")


class VisionTransformersLibrary(Library):
    """Vision networks of transformers: those for classification without their classifier."""

    name = "transformers"

    def owns(self, network: nn.Module) -> bool:
        """Whether it is a network of transformers that takes pixels."""
        return super().owns(network) and getattr(network, "main_input_name", "") == "pixel_values"

    def make(self, name: str, weights: Any, keywords: Mapping[str, Any]) -> nn.Module:
        """Return a whole network of the hub, or of a local folder."""
        library = import_optional("transformers", "transformers")
        with quick_hub(not os.path.isdir(name)) as is_online:
            options = {"local_files_only": not is_online}
            with named_errors(f"transformers/{name}", True):
                config, unused = library.AutoConfig.from_pretrained(
                    name, return_unused_kwargs=True, **options, **keywords
                )
                config = vision_config(config, name)
            unused = sorted(set(unused) & set(keywords))
            if unused:
                raise TypeError(
                    f"module__{unused[0]}: {type(config).__name__} has no entry {unused[0]!r}."
                )
            config._name_or_path = name
            kind = library.AutoModel
            if any(x.endswith("ForImageClassification") for x in config.architectures or ()):
                kind = library.AutoModelForImageClassification
            if weights is None:
                return kind.from_config(config)
            with named_errors(f"transformers/{name}", True):
                network, report = kind.from_pretrained(
                    name, config=config, output_loading_info=True, dtype=torch.float32, **options
                )
        missing = sorted(report["missing_keys"])
        if missing:
            raise ValueError(
                f"weights: {name} has none for {', '.join(map(repr, missing[:3]))} of "
                f"{type(network).__name__} ({len(missing)} in all), which would be random; build "
                "the network with transformers, without that part, and pass it as module."
            )
        return network

    def preprocess(self, network: nn.Module, weights: Any, notes: list[str]) -> Any:
        """Return that of the image processor beside the network's weights."""
        config: Any = network.config
        name = getattr(config, "_name_or_path", "")
        processor = _processor(name) if name else None
        if processor is None:
            notes.append(
                f"preprocess: {type(network).__name__} came without an image processor, so that "
                "images are only scaled to [0, 1]; pass preprocess=dict(size="
                f"{getattr(config, 'image_size', 224)!r}, mean=..., std=...)."
            )
        return None if processor is None else _as_preprocess(processor)

    def classifier(self, network: nn.Module, is_new: bool) -> Classifier | None:
        """Return the classifier of ``*ForImageClassification``, with as many outputs as labels."""
        if not type(network).__name__.endswith(("ForImageClassification", "WithTeacher")):
            return None
        paths = tuple(
            path
            for path, part in network.named_modules()
            if path.partition(".")[0] in _CLASSIFIERS and isinstance(part, nn.Linear)
        )
        if not paths:
            return None
        part: Any = network.get_submodule(paths[-1])
        n_labels = getattr(network.config, "num_labels", None)
        return Classifier(paths, part.out_features, is_new or part.out_features == n_labels)

    def take_off(self, network: nn.Module, classifier: Classifier) -> None:
        """Put nothing in its place."""
        for path in classifier.paths:
            replace_submodule(network, path, nn.Identity())

    def head_paths(self, network: nn.Module) -> tuple[str, ...]:
        """Return what classifiers are called."""
        return _CLASSIFIERS

    def simplify(self, network: nn.Module) -> None:
        """Return what the classifier gets, or the pooled output."""
        is_classifier = type(network).__name__.endswith(("ForImageClassification", "WithTeacher"))
        take_main_output(network, "logits" if is_classifier else "pooler_output")

    def n_channels(self, network: nn.Module) -> int | None:
        """Return what its configuration says."""
        found = getattr(network.config, "num_channels", None)
        return found if found in (1, 3) else None


def vision_config(config: Any, name: str) -> Any:
    """Return the configuration of a vision network, or of the vision half of a pair."""
    auto = import_optional("transformers.models.auto.modeling_auto", "transformers")
    kinds = [
        *auto.MODEL_FOR_IMAGE_MAPPING_NAMES,
        *auto.MODEL_FOR_IMAGE_CLASSIFICATION_MAPPING_NAMES,
    ]
    half = getattr(config, "vision_config", None)
    classifies = any(x.endswith("ForImageClassification") for x in config.architectures or ())
    if half is not None and not classifies:
        return half
    if config.model_type in kinds:
        return config
    raise ValueError(
        f"module: transformers/{name} takes no images ({config.model_type!r}); pass a network for "
        "images or texts, or build it with transformers and pass the module."
    )


def _processor(name):
    """Return the image processor of a folder or of the hub, if there is one."""
    library = import_optional("transformers", "transformers")
    try:
        with quick_hub(not os.path.isdir(name)) as is_online:
            return library.AutoImageProcessor.from_pretrained(name, local_files_only=not is_online)
    except (OSError, ValueError, ImportError):
        return None


def _as_preprocess(processor):
    entries = processor.to_dict()
    name = type(processor).__name__.removesuffix("Fast").removesuffix("Pil")
    is_plain = name.removesuffix("ImageProcessor") in _PLAIN
    if not is_plain or not entries.get("do_resize") or not _rescales(entries):
        return ProcessorPreprocess(processor)
    geometry = _geometry(entries, name)
    if geometry is None:
        return ProcessorPreprocess(processor)
    normalises = entries.get("do_normalize")
    return ImagePreprocess(
        **geometry,
        mean=tuple(entries["image_mean"]) if normalises else 0.0,
        std=tuple(entries["image_std"]) if normalises else 1.0,
        interpolation=_FILTERS[int(entries["resample"])],
    )


def _geometry(entries, name) -> dict[str, Any] | None:
    """Return size, crop and mode of a processor, and None if they are of another kind."""
    size, crop = dict(entries["size"]), entries.get("crop_size")
    if name.startswith("ConvNext"):
        edge = size.get("shortest_edge", 0)
        share, mode = (entries["crop_pct"], "center") if edge < 384 else (1.0, "squash")
        return {"size": edge, "crop_pct": share, "crop_mode": mode} if edge else None
    is_cropped = bool(entries.get("do_center_crop") and crop)
    if size.keys() == {"shortest_edge"} and is_cropped:
        resized, mode = (size["shortest_edge"],) * 2, "center"
    elif size.keys() == {"height", "width"}:
        resized, mode = (size["height"], size["width"]), "squash"
    else:
        return None
    wanted: Any = (crop["height"], crop["width"]) if is_cropped else resized
    share = wanted[0] / resized[0]
    if wanted[1] / resized[1] != share or share > 1:
        return None
    return {"size": wanted, "crop_pct": share, "crop_mode": mode}


def _rescales(entries):
    return entries.get("do_rescale") and abs(entries["rescale_factor"] * 255 - 1) < 1e-6


class ProcessorPreprocess:
    """From a PIL image to the input of a network, by an image processor of transformers.

    Parameters
    ----------
    processor : object
        The processor.
    """

    def __init__(self, processor: Any):
        self.processor = processor

    def __call__(self, image: Any) -> torch.Tensor:
        """Return pixels of shape (C, H, W)."""
        return self.processor(images=image, return_tensors="pt")["pixel_values"][0]
