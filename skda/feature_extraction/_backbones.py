"""Networks by the name that a library gives them, and weights from files."""

import pickle
from contextlib import contextmanager
from difflib import get_close_matches
from importlib import import_module
from os import fspath
from pathlib import Path

import torch
from torch import nn


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


def make_named_backbone(backbone, weights, keywords):
    """Build a network of timm or torchvision without its classifier.

    Parameters
    ----------
    backbone : str
        ``"timm/NAME"`` or ``"torchvision/NAME"``.

    weights : "pretrained", None, str or path
        The library's weights, random ones, or a file of the whole network, classifier included.

    keywords : dict
        For the library's constructor.

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
    return _LIBRARIES[library](name, weights, keywords)


def load_weights(module, path):
    """Load a file of weights into `module`, in place; every key and shape must agree.

    Parameters
    ----------
    module : torch.nn.Module
        The network. Weights of another precision are converted to its own.

    path : str or path
        A ``.safetensors`` file, or a state dict that ``torch.save`` wrote.

    Raises
    ------
    FileNotFoundError
        If there is no such file.

    ValueError
        If the file cannot be read, or with the list of keys that are missing, unexpected or of
        another shape.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"weights: {fspath(path)!r} is no file; pass the path of a file, 'pretrained' or None."
        )
    if path.suffix == ".safetensors":
        read, failures = import_vision("safetensors.torch").load_file, (Exception,)
    else:
        read, failures = _read_state_dict, (RuntimeError, EOFError, pickle.UnpicklingError)
    try:
        state = read(path)
    except failures as error:
        raise ValueError(f"weights: {path} cannot be read as weights: {error}") from error
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise ValueError(
            f"weights: {path} holds no state dict (tensors by name); save "
            "module.state_dict() and nothing around it."
        )
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(
            f"weights: {path} does not fit {type(module).__name__}. {error}"
        ) from error


def _read_state_dict(path):
    return torch.load(path, map_location="cpu", weights_only=True)


def _is_file(weights):
    return weights is not None and weights != "pretrained"


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


def _make_timm(name, weights, keywords):
    timm = import_vision("timm")
    # A name may end in the tag of its weights: resnet18.a1_in1k.
    _check_known("timm", name.partition(".")[0], timm.list_models())
    with _named_errors(f"timm/{name}", weights):
        module = timm.create_model(
            name, pretrained=weights == "pretrained", **{**keywords, "num_classes": 0}
        )
    if _is_file(weights):
        complete = timm.create_model(name, **keywords)
        load_weights(complete, weights)
        state = complete.state_dict()
        module.load_state_dict({key: state[key] for key in module.state_dict()})
    config = timm.data.resolve_data_config({}, model=module)
    return module, timm.data.create_transform(**config, is_training=False)


def _make_torchvision(name, weights, keywords):
    models = import_vision("torchvision.models")
    _check_known("torchvision", name, models.list_models(module=models))
    published = models.get_model_weights(name).DEFAULT if weights == "pretrained" else None
    with _named_errors(f"torchvision/{name}", weights):
        module = models.get_model(name, weights=published, **keywords)
    if _is_file(weights):
        load_weights(module, weights)
    linear = [path for path, part in module.named_modules() if isinstance(part, nn.Linear)]
    if not linear:
        raise ValueError(
            f"backbone: torchvision/{name} does not end in a linear classifier; build it with "
            "torchvision, pass the module, and name its layers."
        )
    parent, _, child = linear[-1].rpartition(".")
    setattr(module.get_submodule(parent), child, nn.Identity())
    return module, published.transforms() if published else _imagenet_preprocess()


def _imagenet_preprocess():
    transforms = import_vision("torchvision.transforms")
    return transforms.Compose(
        [
            transforms.Resize(256),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
        ]
    )


_LIBRARIES = {"timm": _make_timm, "torchvision": _make_torchvision}
