"""Networks by the name that a library gives them, and weights from files."""

import copy
import hashlib
import pickle
from collections.abc import Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from importlib import import_module
from os import fspath
from pathlib import Path

import torch
from sklearn.exceptions import NotFittedError
from torch import nn

from skda._preprocess import CROP_MODES, ImagePreprocess


def import_vision(name):
    """Import one of the optional libraries for images.

    Parameters
    ----------
    name : str
        Of the module.

    Returns
    -------
    module : module
        The module.

    Raises
    ------
    ImportError
        With the command that installs it.
    """
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(
            f"{name} is needed and cannot be imported ({error}); install it with: "
            "pip install skda[vision]"
        ) from error


# What DeCAF calls the layers of AlexNet: pool5 flattened, fc6 and fc7 after their ReLU.
_LAYER_NAMES = {
    "torchvision/alexnet": {"pool5": "classifier.0", "fc6": "classifier.2", "fc7": "classifier.5"}
}


def layer_names(backbone):
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


def make_named_backbone(backbone, weights, keywords, *, sha256=None):
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
            "backbone: a network is named with its library, 'timm/NAME' or 'torchvision/NAME', "
            f"got {backbone!r}; write 'timm/{name}' or 'torchvision/{name}'."
        )
    return _LIBRARIES[library](name, weights, keywords, sha256)


def load_weights(module, weights, *, sha256=None):
    """Load weights into `module`, in place; every key and shape must agree.

    No code of a file is run: a pickle of anything but tensors is refused before it is built.

    Parameters
    ----------
    module : torch.nn.Module
        The network. Weights of another precision are converted to its own.

    weights : str, path or mapping
        A ``.safetensors`` file, a state dict that ``torch.save`` wrote, or a state dict.

    sha256 : str, default=None
        That the file must have, in hexadecimal.

    Raises
    ------
    FileNotFoundError
        If there is no such file.

    ValueError
        If the file cannot be read or has another hash, or with the list of keys that are
        missing, unexpected or of another shape.
    """
    if isinstance(weights, Mapping):
        name, state = "the mapping", weights
    else:
        name, state = _read_weights(weights, sha256)
    strangers = [key for key, value in state.items() if not isinstance(value, torch.Tensor)]
    if strangers:
        raise ValueError(
            f"weights: {name} holds no state dict (tensors by name): its {strangers[0]!r} is a "
            f"{type(state[strangers[0]]).__name__}; pass what module.state_dict() returns and "
            "nothing around it."
        )
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(
            f"weights: {name} does not fit {type(module).__name__}. {error}"
        ) from error


def _read_weights(path, sha256):
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"weights: {fspath(path)!r} is no file; pass the path of a file, 'pretrained' or None."
        )
    if sha256 is not None:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if digest != sha256.lower():
            raise ValueError(
                f"weights_sha256={sha256!r}, but that of {path} is {digest}; the file is damaged "
                "or another one."
            )
    is_safetensors = path.suffix == ".safetensors"
    read = import_vision("safetensors.torch").load_file if is_safetensors else _read_state_dict
    try:
        state = read(path)
    except pickle.UnpicklingError as error:  # torch's message invites to run the code
        raise ValueError(
            f"weights: {path} cannot be read as weights: it holds other things than tensors, and "
            "a pickle of those is refused because it may run code."
        ) from error
    except Exception as error:  # whatever the damage makes of the reader
        raise ValueError(f"weights: {path} cannot be read as weights: {error}") from error
    if not isinstance(state, Mapping):
        raise ValueError(
            f"weights: {path} holds no state dict (tensors by name) but a "
            f"{type(state).__name__}; save module.state_dict()."
        )
    return path, state


def _read_state_dict(path):
    return torch.load(path, map_location="cpu", weights_only=True)


def _check_known(library, name, names):
    if name not in names:
        near = get_close_matches(name, names, n=5, cutoff=0.4) or names[:5]
        raise ValueError(
            f"backbone: {library} has no network {name!r}; the nearest are "
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
    timm = import_vision("timm")
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
    models = import_vision("torchvision.models")
    _check_known("torchvision", name, models.list_models(module=models))
    published = models.get_model_weights(name).DEFAULT if weights == "pretrained" else None
    with _named_errors(f"torchvision/{name}", weights):
        module = models.get_model(name, weights=published, **keywords)
    if weights not in ("pretrained", None):
        load_weights(module, weights, sha256=sha256)
    linear = [path for path, part in module.named_modules() if isinstance(part, nn.Linear)]
    if not linear:
        raise ValueError(
            f"backbone: torchvision/{name} does not end in a linear classifier; build it with "
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


def network_of(fitted, name):
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


def copy_instance(instance, weights, keywords, name):
    """Return a copy of a network that is built already.

    Parameters
    ----------
    instance : torch.nn.Module
        The network.

    weights, keywords : object and dict
        What was asked for beside it, ``weights`` and ``module__*``.

    name : str
        Of the parameter, for messages.

    Returns
    -------
    module : torch.nn.Module
        A copy.

    Raises
    ------
    ValueError
        If random weights were asked for.

    TypeError
        If there are keywords.
    """
    what = f"{name} is an instance of {type(instance).__name__}"
    if keywords:
        raise TypeError(
            f"module__{min(keywords)}: {what} and built already; pass the class instead, or leave "
            "out the module__ keywords."
        )
    if weights is None:
        raise ValueError(
            f"weights: None asks for random weights, but {what} and has its own; pass a class "
            "instead, or leave weights at 'pretrained'."
        )
    return copy.deepcopy(instance)
