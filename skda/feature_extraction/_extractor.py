"""Features of any deep network, as a transformer."""

import copy
import os
from collections.abc import Callable
from dataclasses import field
from numbers import Integral
from threading import Lock
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import nn

from skda._inputs import check_images, n_dimensions
from skda._params import PrefixedParams, estimator
from skda._sklearn_compat import Interval, StrOptions, fit_context
from skda._torch import build_backbone, local_torch_state, resolve_device, seed_generators
from skda.feature_extraction._backbones import load_weights, make_named_backbone
from skda.feature_extraction._images import as_image_list, read_image
from skda.nn import record_activations
from skda.training import AdaptationModule
from skda.training._batches import as_tensor

# Hooks fire for every thread that runs the network, so one thread at a time may have them.
_HOOKS = Lock()


@estimator
class DeepFeatureExtractor(ClassNamePrefixFeaturesOutMixin, TransformerMixin, PrefixedParams):
    r"""Activations of a deep network as features for any scikit-learn estimator.

    The network is not trained: rows go through it once, in eval mode, ::

        features(x) = [pool(a_1(x)), pool(a_2(x)), ...]

    where a_l is the output of the l-th of the chosen `layers`. With a network pretrained on
    ImageNet and a linear support vector machine after it this is the recipe of [1]_ and [2]_;
    layers close to the end transfer better between domains than early ones [1]_. Unlike there,
    no unit norm, dropout or power is applied: put a
    :class:`sklearn.preprocessing.Normalizer` after the extractor.

    Parameters
    ----------
    backbone : str, torch.nn.Module, class, factory or fitted estimator, default=None
        The network.

        - ``"timm/NAME"`` or ``"torchvision/NAME"``: a network of that library without its
          classifier (for torchvision: the last linear layer).
        - A module: it is copied. A class or factory is called with the ``module__*`` keywords,
          and with ``in_features`` (tables), ``in_channels`` and ``image_size`` (images) where it
          has parameters of these names.
        - A fitted estimator of :mod:`skda.adaptation`: its backbone, with the statistics of the
          target domain. In a search wrap it in a :class:`sklearn.frozen.FrozenEstimator`, for a
          plain clone is not fitted.
        - None: an untrained :class:`skda.nn.MLP` for tables and :class:`skda.nn.ConvNet` for
          images. Such random features are the control that others are compared with.

    layers : str or tuple of str, default="features"
        Where features are read; several layers are put side by side. ``"features"`` is the
        output of the network; in a named network, that of the pooling before its classifier.
        Every other name is the path of a submodule, as ``module.named_modules()`` spells it; of
        a submodule that runs several times the last output counts.

    weights : {"pretrained"}, path or None, default="pretrained"
        ``"pretrained"`` takes the library's weights of a named network, downloaded on first use,
        and leaves every other backbone as it is. None gives a named network random weights. A
        path is that of a ``.safetensors`` file or of a state dict saved with ``torch.save``,
        and every key must fit the network, its classifier included.

    pooling : {"avg", "max", "flatten"}, default="avg"
        What becomes of activations with more than 2 dimensions: the average or maximum over
        positions, or all values. Positions are the dimensions after the second, and the second
        one in activations of shape (n, n_tokens, n_channels).

    preprocess : {"auto"} or callable, default="auto"
        From a PIL image in RGB to a tensor or array of shape (C, H, W). ``"auto"`` is what a
        named network wants; with weights that are not torchvision's, its networks get ImageNet's
        usual resize to 256 pixels, centre crop to 224 and normalisation. Before other networks
        images are only scaled to [0, 1] and must be of one size. Float arrays are taken as they
        are.

    batch_size : int, default=32
        Rows that are decoded and run through the network at a time. Features do not depend on it
        beyond rounding.

    device : str or torch.device, default="auto"
        Where the network runs; ``"auto"`` takes a CUDA device where there is one.

    random_state : int, RandomState instance or None, default=None
        Seeds random weights. The global generator of torch is not touched.

    **prefixed_params : keywords
        ``module__*``, for the class, factory or library that makes the network.

    Attributes
    ----------
    module_ : torch.nn.Module
        The network.

    preprocess_ : callable or None
        From a PIL image to the network's input; None if images are only scaled to [0, 1].

    input_shape_ : tuple of int
        Shape of a row as the network takes it: (n_features,) or (n_channels, height, width).

    layer_sizes_ : dict of str to int
        Number of features of every layer, in the order of `layers`.

    n_features_in_ : int
        Number of columns of a table, number of values of a row of an image array, 1 for a list
        of images or paths.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if X has names that are all strings.

    See Also
    --------
    skda.adaptation.DeepCORALClassifier : Learns features that suit a target domain.

    References
    ----------
    .. [1] J. Donahue et al. DeCAF: A Deep Convolutional Activation Feature for Generic Visual
       Recognition. ICML 2014.

    .. [2] A. S. Razavian et al. CNN Features off-the-shelf: an Astounding Baseline for
       Recognition. CVPR Workshops 2014.

    Examples
    --------
    A pretrained network is ``DeepFeatureExtractor("timm/mobilenetv2_100")``. Random features of
    tables, the control:

    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.svm import LinearSVC
    >>> from skda.datasets import load_shifted_digits
    >>> from skda.feature_extraction import DeepFeatureExtractor
    >>> digits = load_shifted_digits(random_state=0)
    >>> extractor = DeepFeatureExtractor(layers=("hidden1", "features"), random_state=0)
    >>> extractor.fit_transform(digits.X).shape
    (898, 192)
    >>> svm = make_pipeline(extractor, LinearSVC()).fit(digits.X, digits.y)
    >>> svm.predict(digits.X_target).shape
    (899,)
    """

    backbone: Any = field(default=None, kw_only=False)
    layers: str | tuple[str, ...] = "features"
    weights: Any = "pretrained"
    pooling: str = "avg"
    preprocess: str | Callable = "auto"
    batch_size: int = 32
    device: Any = "auto"
    random_state: Any = None

    _prefixes = ("module",)

    _parameter_constraints = {
        "backbone": [str, nn.Module, callable, BaseEstimator, None],
        "layers": [str, tuple, list],
        "weights": [str, os.PathLike, None],
        "pooling": [StrOptions({"avg", "max", "flatten"})],
        "preprocess": [StrOptions({"auto"}), callable],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "device": [str, torch.device],
        "random_state": ["random_state"],
    }

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None):
        """Build the network and run the first row through it.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or images
            Tables; or images: floats of shape (n_samples, n_channels, height, width), uint8 of
            shape (n_samples, height, width, n_channels), or a list, Series or DataFrame column
            of PIL images or of paths.

        y : None
            Ignored.

        Returns
        -------
        self : object
            The fitted extractor.

        Raises
        ------
        ValueError
            If data, parameters or weights are not as described.

        TypeError
            If X is sparse or mixes images with other things, or if a parameter does not exist.

        ImportError
            If an optional library is needed that is not installed.
        """
        self._check_param_names()
        layers = self._layer_names()
        X = self._validate_X(X, reset=True)
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        device = resolve_device(self.device)
        with local_torch_state(device):
            seed_generators(seed, device)
            # A named network says how images become inputs, inputs say how wide others are.
            module, self.preprocess_ = None, None
            if isinstance(self.backbone, str):
                module, self.preprocess_ = make_named_backbone(
                    self.backbone, self.weights, self._params_for("module")
                )
            if callable(self.preprocess):
                self.preprocess_ = self.preprocess
            example = self._read(X, slice(0, 1))
            self.input_shape_ = tuple(example.shape[1:])
            if module is None:
                module = self._make_module()
            self.module_ = module.to(device).eval()
            try:
                activations = self._activations(example.to(device), layers)
            except (AssertionError, RuntimeError, TypeError) as error:
                raise ValueError(
                    f"backbone: {type(self.module_).__name__} failed on an input of shape "
                    f"{tuple(example.shape)}: {error}. It must take the rows of X, after the "
                    "preprocessing of images."
                ) from error
        self.layer_sizes_ = {layer: x.shape[1] for layer, x in activations.items()}
        return self

    def transform(self, X):
        """Return the features of every row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or images as in fit
            Rows.

        Returns
        -------
        features : ndarray of shape (n_samples, n_features_out)
            In float32.
        """
        check_is_fitted(self)
        X = self._validate_X(X, reset=False)
        features = np.empty((len(X), self._n_features_out), dtype=np.float32)
        device = resolve_device(self.device)
        self.module_.to(device)
        with local_torch_state(device):
            for start in range(0, len(X), self.batch_size):
                rows = slice(start, start + self.batch_size)
                inputs = self._read(X, rows, self.input_shape_).to(device)
                activations = self._activations(inputs, self.layer_sizes_)
                features[rows] = torch.cat(list(activations.values()), dim=1).cpu().numpy()
        return features

    def get_feature_names_out(self, input_features=None):
        """Return the names of the features: class name, layer (if there are several), number.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Ignored.

        Returns
        -------
        names : ndarray of shape (n_features_out,) of str objects
            Such as ``"deepfeatureextractor0"`` or ``"deepfeatureextractor_hidden1_0"``.
        """
        check_is_fitted(self)
        if len(self.layer_sizes_) == 1:
            return super().get_feature_names_out(input_features)
        prefix = type(self).__name__.lower()
        names = [
            f"{prefix}_{layer}_{number}"
            for layer, size in self.layer_sizes_.items()
            for number in range(size)
        ]
        return np.asarray(names, dtype=object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # features are float32 whatever X is
        return tags

    def __sklearn_is_fitted__(self):
        return hasattr(self, "layer_sizes_")

    def __getstate__(self):
        state = dict(super().__getstate__())
        module = state.get("module_")
        if module is not None and any(p.device.type != "cpu" for p in module.parameters()):
            # A machine without this one's devices must be able to load it.
            state["module_"] = copy.deepcopy(module).cpu()
        return state

    @property
    def _n_features_out(self):
        return sum(self.layer_sizes_.values())

    # -- data ---------------------------------------------------------------------------------

    def _validate_X(self, X, *, reset):
        """Return rows as a float32 table, as float32 or uint8 images, or as a list of images."""
        images = as_image_list(X)
        if images is None:
            try:
                n_dims = n_dimensions(X)
            except ValueError as error:  # numpy's, for a ragged list
                raise ValueError(
                    "X is a list of rows of different shapes; give all rows one shape, or pass a "
                    f"list of PIL images or paths. ({error})"
                ) from error
            if n_dims < 3:
                return self._validate_table(X, reset=reset)
            if n_dims != 4:
                raise ValueError(
                    f"X has {n_dims} dimensions; pass a table of shape (n_samples, "
                    "n_features), or images: floats of shape (n_samples, n_channels, height, "
                    "width) or uint8 of shape (n_samples, height, width, n_channels). Images of "
                    "one channel need that dimension too."
                )
            X, shape = check_images(X, "X")
            if not reset and shape != self.input_shape_ and not self._is_preprocessed(X):
                raise ValueError(
                    f"X has rows of shape {shape}, but {type(self).__name__} was fitted on rows "
                    f"of shape {self.input_shape_}; resize them to that shape."
                )
        if reset or hasattr(X, "columns"):
            validate_data(self, X, reset=reset, skip_check_array=True, ensure_2d=False)  # names
        if reset:
            self.n_features_in_ = int(np.prod(shape)) if images is None else 1
        return X if images is None else images

    def _validate_table(self, X, *, reset):
        if not reset and len(self.input_shape_) == 3:
            raise ValueError(
                f"X has {n_dimensions(X)} dimensions, but {type(self).__name__} was fitted on "
                f"images, inputs of shape {self.input_shape_}; pass images."
            )
        return validate_data(self, X, dtype=np.float32, reset=reset)

    def _is_preprocessed(self, X):
        return isinstance(X, list) or (X.dtype == np.uint8 and self.preprocess_ is not None)

    def _read(self, X, rows, shape=None):
        """Return some rows as inputs of the network, of the given shape."""
        if not self._is_preprocessed(X):
            return AdaptationModule.as_input(as_tensor(X[rows]))
        inputs = []
        for number, item in enumerate(X[rows], start=rows.start):
            inputs.append(self._as_input(read_image(item)))
            if shape is not None and inputs[-1].shape != shape:
                raise ValueError(
                    f"X[{number}] becomes an input of shape {tuple(inputs[-1].shape)}, but the "
                    f"first row of fit one of shape {shape}; pass as preprocess a callable that "
                    "resizes images to one size."
                )
        return torch.stack(inputs)

    def _as_input(self, image):
        if self.preprocess_ is None:
            return torch.from_numpy(np.array(image)).permute(2, 0, 1).float().div(255)
        array = self.preprocess_(image)
        if not hasattr(array, "ndim") or array.ndim != 3:
            raise ValueError(
                "preprocess must return a tensor or array of shape (C, H, W), got "
                f"{getattr(array, 'shape', type(array).__name__)}."
            )
        return torch.as_tensor(array, dtype=torch.float32)

    # -- the network --------------------------------------------------------------------------

    def _layer_names(self):
        layers = (self.layers,) if isinstance(self.layers, str) else tuple(self.layers)
        if not layers or len(set(layers)) < len(layers):
            raise ValueError(f"layers must name one or several different layers, got {layers!r}.")
        return layers

    def _make_module(self):
        """Return a network for rows of ``input_shape_``, copied or new."""
        module = self._copy_backbone()
        if module is None:
            keywords = self._params_for("module")
            module = build_backbone(self.backbone, self.input_shape_, keywords, "backbone")
        if self.weights not in ("pretrained", None):
            load_weights(module, self.weights)
        return module

    def _copy_backbone(self):
        """Return a copy of the backbone if it is built already."""
        backbone, name = self.backbone, type(self.backbone).__name__
        if isinstance(backbone, BaseEstimator):
            if not hasattr(backbone, "net_"):
                raise NotFittedError(
                    f"backbone: this {name} is not fitted; fit it first. If it was, it has been "
                    "cloned: wrap it in sklearn.frozen.FrozenEstimator."
                )
            backbone = backbone.net_.module_
        if not isinstance(backbone, nn.Module):
            return None
        keywords = self._params_for("module")
        if keywords:
            raise TypeError(
                f"module__{min(keywords)}: backbone is an instance of {name} and built already; "
                "pass the class instead, or leave out the module__ keywords."
            )
        if self.weights is None:
            raise ValueError(
                f"weights: None asks for random weights, but backbone is an instance of {name} "
                "and has its own; pass the class instead, or leave weights at 'pretrained'."
            )
        return copy.deepcopy(backbone)

    def _activations(self, inputs, layers):
        """Return the pooled activations of a batch by layer."""
        module, adapted = self.module_, isinstance(self.module_, AdaptationModule)
        outputs = _PooledOutputs(self.pooling)
        inside = [layer for layer in layers if layer != "features"]
        with _HOOKS, torch.inference_mode():
            handles = record_activations(module.backbone if adapted else module, inside, outputs)
            try:
                output = module(inputs)
            finally:
                for handle in handles:
                    handle.remove()
            outputs["features"] = output[1]["features"] if adapted else output
        for layer in layers:
            output = outputs.get(layer)
            shape = getattr(output, "shape", ())
            if len(shape) != 2 or len(output) != len(inputs):
                given = f"shape {tuple(shape)}" if shape else type(output).__name__
                raise ValueError(
                    f"layers: {layer!r} must give one row of activations per sample, got {given}; "
                    "choose another layer."
                )
        return {layer: outputs[layer] for layer in layers}


class _PooledOutputs(dict):
    """Outputs of layers, pooled when they come: a later layer may overwrite them in place."""

    def __init__(self, pooling):
        self.pooling = pooling

    def __setitem__(self, layer, output):
        if isinstance(output, torch.Tensor) and output.ndim >= 2:
            output = self._pool(output.float())
        super().__setitem__(layer, output)

    def _pool(self, x):
        if x.ndim == 2 or self.pooling == "flatten":
            return x.flatten(1).clone()
        x = x.transpose(1, 2) if x.ndim == 3 else x.flatten(2)
        return x.mean(dim=2) if self.pooling == "avg" else x.amax(dim=2)
