"""Networks by the name that a library gives them."""

import json
import os
from typing import Any

from torch import nn

from skda.backbones._library import Library
from skda.backbones._timm import SOURCES, TimmLibrary
from skda.backbones._torchvision import TorchvisionLibrary
from skda.backbones._vision_transformers import VisionTransformersLibrary

LIBRARIES: tuple[Library, ...] = (
    TimmLibrary(),
    TorchvisionLibrary(),
    VisionTransformersLibrary(),
)

# What DeCAF calls the layers of AlexNet: pool5 flattened, fc6 and fc7 after their ReLU.
_LAYER_NAMES = {
    "torchvision/alexnet": {"pool5": "classifier.0", "fc6": "classifier.2", "fc7": "classifier.5"}
}


def layer_names(backbone: Any) -> dict[str, str]:
    """Return paths of submodules by the names that the literature has for them.

    Parameters
    ----------
    backbone : object
        The parameter of the estimator.

    Returns
    -------
    names : dict of str to str
        Empty for most networks.
    """
    return _LAYER_NAMES.get(backbone, {}) if isinstance(backbone, str) else {}


def find_library(backbone: str) -> tuple[Library, str]:
    """Return the library that a name is of, and the name without it.

    Parameters
    ----------
    backbone : str
        ``"timm/NAME"``, ``"torchvision/NAME"`` or ``"transformers/NAME"``; ``"hf-hub:USER/NAME"``
        is timm's, and the path of a folder is of the library that saved it.

    Returns
    -------
    library : Library
        The library.

    name : str
        For its ``make``.

    Raises
    ------
    ValueError
        If there is no such library.
    """
    known = {library.name: library for library in LIBRARIES}
    library, _, name = backbone.partition("/")
    if library in known and name:
        return known[library], name
    if backbone.partition(":")[0] in SOURCES:
        return known["timm"], backbone
    if os.path.isdir(os.path.expanduser(backbone)):
        folder = os.path.expanduser(backbone)
        return known[_library_of_folder(folder)], folder
    name = backbone.rpartition("/")[2]
    raise ValueError(
        "module: a network is named with its library, 'timm/NAME', 'torchvision/NAME' or "
        f"'transformers/NAME', or is a folder or 'hf-hub:USER/NAME', got {backbone!r}; write "
        f"'timm/{name}' or 'torchvision/{name}'."
    )


def _library_of_folder(folder):
    path = os.path.join(folder, "config.json")
    try:
        with open(path, encoding="utf-8") as file:
            config = json.load(file)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"module: {folder!r} is no folder of a network: {path} cannot be read ({error})."
        ) from error
    return "transformers" if "model_type" in config else "timm"


def library_of(network: nn.Module) -> Library | None:
    """Return the library that the class of a network is of; None for a user's own classes."""
    return next((library for library in LIBRARIES if library.owns(network)), None)
