"""Networks by the name that a library gives them."""

from collections.abc import Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

from torch import nn

from skda._optional import import_optional
from skda.backbones._weights import load_weights
from skda.images import CROP_MODES, ImagePreprocess

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


def make_named_backbone(
    backbone: str, weights: Any, keywords: Mapping[str, Any], *, sha256: str | None = None
) -> tuple[nn.Module, Any]:
    """Build a network of timm or torchvision without its classifier.

    Parameters
    ----------
    backbone : str
        ``"timm/NAME"`` or ``"torchvision/NAME"``.

    weights : "pretrained", None, str, path or mapping
        The library's weights, random ones, or a file or state dict of the whole network,
        classifier included.

    keywords : dict
        For the library's constructor.

    sha256 : str, default=None
        Of the file of weights, in hexadecimal.

    Returns
    -------
    module : torch.nn.Module
        From images to pooled features.

    preprocess : callable
        The network's own, from a PIL image to a tensor of shape (C, H, W).

    Raises
    ------
    ValueError
        If there is no such network, or if the weights do not fit it.

    ImportError
        If the library is not installed.
    """
    library, _, name = backbone.partition("/")
    if library not in _LIBRARIES:
        name = backbone.rpartition("/")[2]
        raise ValueError(
            "module: a network is named with its library, 'timm/NAME' or 'torchvision/NAME', "
            f"got {backbone!r}; write 'timm/{name}' or 'torchvision/{name}'."
        )
    return _LIBRARIES[library](name, weights, keywords, sha256)


def _check_known(library, name, names):
    if name not in names:
        near = get_close_matches(name, names, n=5, cutoff=0.4) or names[:5]
        raise ValueError(
            f"module: {library} has no network {name!r}; the nearest are "
            f"{', '.join(repr(f'{library}/{known}') for known in near)}."
        )


@contextmanager
def _named_errors(backbone, weights):
    """Tell which parameter of the estimator a library complains about."""
    try:
        yield
    except TypeError as error:
        raise TypeError(f"module__*: {backbone} does not take these keywords: {error}") from error
    except (OSError, RuntimeError) as error:
        if weights != "pretrained":
            raise
        raise ValueError(
            f"weights: the pretrained weights of {backbone} cannot be had ({error}); pass the "
            "path of a file, or None for random weights."
        ) from error


def _make_timm(name, weights, keywords, sha256):
    timm = import_optional("timm", "vision")
    # A name may end in the tag of its weights: resnet18.a1_in1k.
    _check_known("timm", name.partition(".")[0], timm.list_models())
    with _named_errors(f"timm/{name}", weights):
        module = timm.create_model(
            name, pretrained=weights == "pretrained", **{**keywords, "num_classes": 0}
        )
    if weights not in ("pretrained", None):
        complete = timm.create_model(name, **keywords)
        load_weights(complete, weights, sha256=sha256)
        state = complete.state_dict()
        module.load_state_dict({key: state[key] for key in module.state_dict()})
    config = timm.data.resolve_data_config({}, model=module)
    if config["crop_mode"] not in CROP_MODES:
        return module, timm.data.create_transform(**config, is_training=False)
    entries = ("crop_pct", "mean", "std", "interpolation", "crop_mode")
    return module, ImagePreprocess(
        size=config["input_size"][1:], **{name: config[name] for name in entries}
    )


def _make_torchvision(name, weights, keywords, sha256):
    models = import_optional("torchvision.models", "vision")
    _check_known("torchvision", name, models.list_models(module=models))
    published = models.get_model_weights(name).DEFAULT if weights == "pretrained" else None
    with _named_errors(f"torchvision/{name}", weights):
        module = models.get_model(name, weights=published, **keywords)
    if weights not in ("pretrained", None):
        load_weights(module, weights, sha256=sha256)
    linear = [path for path, part in module.named_modules() if isinstance(part, nn.Linear)]
    if not linear:
        raise ValueError(
            f"module: torchvision/{name} does not end in a linear classifier; build it with "
            "torchvision, pass the module, and name its layers."
        )
    parent, _, child = linear[-1].rpartition(".")
    setattr(module.get_submodule(parent), child, nn.Identity())
    return module, _published_preprocess(published) if published else ImagePreprocess()


def _published_preprocess(weights):
    own = weights.transforms()
    size, resized = own.crop_size[0], own.resize_size[0]
    return ImagePreprocess(
        size=size,
        crop_pct=size / resized,
        mean=own.mean,
        std=own.std,
        interpolation=own.interpolation.value,
    )


_LIBRARIES = {"timm": _make_timm, "torchvision": _make_torchvision}
