"""What every estimator that trains a network has in common."""

import copy
import os
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
)
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.utils import assert_all_finite, check_consistent_length, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data
from skorch.callbacks import EarlyStopping
from skorch.dataset import Dataset
from torch import nn

from skda._backbones import (
    copy_instance,
    layer_names,
    load_weights,
    make_named_backbone,
    network_of,
)
from skda._images import ImageRows, as_image_list
from skda._inputs import channels_first_shape, check_images, n_dimensions
from skda._params import PrefixedParams, check_keywords, estimator
from skda._preprocess import resolve_preprocess
from skda._sklearn_compat import Interval, StrOptions
from skda._torch import build_backbone, local_torch_state, resolve_device, seed_generators
from skda.nn import DomainLayer, record_activations
from skda.nn._activations import check_submodules
from skda.training import AdaptationModule, AdaptationNet, Block, DomainDataset, list_blocks
from skda.training._batches import as_tensor, take_rows
from skda.training._module import OWN_LAYERS

OPTIMIZERS = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
}


class Holdout:
    """A skorch ``train_split`` that holds out labelled rows, stratified by class.

    Parameters
    ----------
    fraction : float
        Share of the labelled rows.

    random_state : int
        Seed.
    """

    def __init__(self, fraction, random_state):
        self.fraction, self.random_state = fraction, random_state

    def __call__(self, dataset):
        """Return the training data and the validation data."""
        splitter = StratifiedShuffleSplit(
            n_splits=1, test_size=self.fraction, random_state=self.random_state
        )
        train, valid = next(splitter.split(np.zeros(len(dataset.y)), dataset.y))
        training = DomainDataset(
            take_rows(dataset.X, train), dataset.y[train], dataset.targets, dataset.target_labels
        )
        return training, Dataset(take_rows(dataset.X, valid), dataset.y[valid], length=len(valid))


@estimator
class DeepClassifier(
    ClassNamePrefixFeaturesOutMixin, ClassifierMixin, TransformerMixin, PrefixedParams
):
    r"""A backbone that gives features, and a linear head that gives classes.

    Subclasses say from which data, and by which loss, both learn.

    Parameters
    ----------
    module : str, torch.nn.Module, class, factory or fitted estimator, default=None
        The backbone, from inputs to features of shape (n, n_features).

        - ``"timm/NAME"`` or ``"torchvision/NAME"``: a network of that library without its
          classifier.
        - A module: it is copied and keeps its weights.
        - A class or factory: it is called with the ``module__*`` keywords, and with
          ``in_features`` (tables), ``in_channels`` and ``image_size`` (images) where it has
          parameters of these names.
        - A fitted deep estimator of this package: a copy of its backbone. In a search wrap it in
          a :class:`sklearn.frozen.FrozenEstimator`, for a plain clone is not fitted.
        - None: a :class:`skda.nn.MLP` for tables and a :class:`skda.nn.ConvNet` for images.

    weights : {"pretrained"}, path, dict or None, default="pretrained"
        ``"pretrained"`` takes the library's weights of a named network, downloaded on first use,
        and leaves every other backbone as it is. None gives a named network random weights. A
        path is that of a ``.safetensors`` file or of a state dict saved with ``torch.save``, a
        dict is a state dict; every key must fit the network, its classifier included.

    preprocess : {"auto"}, dict or callable, default="auto"
        From a PIL image in RGB to a tensor of shape (C, H, W), as in
        :class:`skda.feature_extraction.DeepFeatureExtractor`. ``"auto"`` is what a named network
        wants; before other networks images are only scaled to [0, 1] and must be of one size.
        Float arrays are taken as they are.

    n_frozen : int, default=0
        How many of the module's leading blocks do not learn: neither their weights nor the
        statistics of their batch norms change, and their dropouts are off. A block is a layer
        with weights, and what follows it up to the next one;
        :func:`skda.training.list_blocks` lists them.

    freeze : {"none", "all"} or list of str, default="none"
        The alternative to `n_frozen`: the whole module, or the submodules at these paths.

    optimizer : {"adam", "adamw", "sgd", "rmsprop", "adagrad"} or class, default="adam"
        The optimiser; ``optimizer__*`` keywords reach it.

    lr : float, default=1e-3
        Learning rate at the start.

    lr_schedule : {"annealing", "constant"} or callable, default="annealing"
        Factor of `lr` as a function of training progress in [0, 1], see
        :func:`skda.training.annealing`. A :class:`skorch.callbacks.LRScheduler` among the
        callbacks takes its place.

    head_lr_multiplier : float or "auto", default="auto"
        How much faster the head learns than the module. ``"auto"`` is 10 for a module that
        comes with weights (a named network, a file, an instance, a fitted estimator), and 1 for
        others.

    max_epochs : int, default=40
        Number of epochs.

    batch_size : int, default=64
        Rows of a training step; at least 2.

    early_stopping : bool, default=False
        Whether to hold out rows, and to stop when their loss no longer falls; the best weights
        are kept.

    validation_fraction : float, default=None
        Share of the rows that is held out to report ``valid_loss`` and
        ``valid_accuracy``; None is 0.1 with early stopping and no hold-out without.

    n_iter_no_change : int, default=10
        Epochs without improvement after which early stopping ends training.

    device : str or torch.device, default="auto"
        Where to train; ``"auto"`` takes a CUDA device where there is one.

    precision : {"float32", "bfloat16", "float16"}, default="float32"
        Precision of the forward pass, by autocast. Weights and losses stay in float32.

    compile : bool, default=False
        Whether to compile the network with ``torch.compile``.

    callbacks : list of skorch callbacks, default=None
        Copies of them take part in training; ``callbacks__*`` keywords reach them.

    verbose : int, default=0
        1 prints a line per epoch.

    random_state : int, RandomState instance or None, default=None
        Seeds weights, order of rows and dropout. The global generator of torch is not touched.

    **prefixed_params : keywords
        ``module__*``, ``optimizer__*``, ``criterion__*`` (of
        :class:`torch.nn.CrossEntropyLoss`), ``callbacks__*``, ``iterator_train__*``
        (of :class:`skda.training.PairedBatches`), ``iterator_valid__*`` and ``compile__*``.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes.

    n_features_in_ : int
        Number of columns of a table, number of values of an image, 1 for a list of images or
        paths.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if X has names that are all strings.

    input_shape_ : tuple of int
        Shape of a row as the network takes it: (n_features,) or (n_channels, height, width).

    preprocess_ : callable or None
        From a PIL image to the network's input; None if images are only scaled to [0, 1].

    n_iter_ : int
        Number of epochs.

    history_ : skorch.history.History
        One entry per epoch.

    net_ : skda.training.AdaptationNet
        The trained net.
    """

    module: Any = None
    weights: Any = "pretrained"
    preprocess: str | dict | Callable = "auto"
    n_frozen: int = 0
    freeze: str | list[str] | tuple[str, ...] = "none"
    optimizer: str | type = "adam"
    lr: float = 1e-3
    lr_schedule: str | Callable = "annealing"
    head_lr_multiplier: float | str = "auto"
    max_epochs: int = 40
    batch_size: int = 64
    early_stopping: bool = False
    validation_fraction: float | None = None
    n_iter_no_change: int = 10
    device: Any = "auto"
    precision: str = "float32"
    compile: bool = False
    callbacks: list | None = None
    verbose: int = 0
    random_state: Any = None

    # What a subclass may make a parameter.
    layers: ClassVar[tuple[str, ...]] = ("features",)

    _feature_layer = "features"
    _net_class = AdaptationNet
    _net_prefixes = (
        "optimizer",
        "criterion",
        "callbacks",
        "iterator_train",
        "iterator_valid",
        "compile",
    )
    _prefixes = ("module", *_net_prefixes)

    _parameter_constraints = {
        "module": [str, nn.Module, callable, BaseEstimator, None],
        "weights": [str, os.PathLike, Mapping, None],
        "preprocess": [StrOptions({"auto"}), Mapping, callable],
        "n_frozen": [Interval(Integral, 0, None, closed="left")],
        "freeze": [StrOptions({"none", "all"}), list, tuple],
        "optimizer": [StrOptions(set(OPTIMIZERS)), callable],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "lr_schedule": [StrOptions({"constant", "annealing"}), callable],
        "head_lr_multiplier": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither"), None],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "device": [str, torch.device],
        "precision": [StrOptions({"float32", "bfloat16", "float16"})],
        "compile": ["boolean"],
        "callbacks": [list, None],
        "verbose": ["verbose"],
        "random_state": ["random_state"],
    }

    def predict(self, X):
        """Predict the class of every row; an adapted network takes it to be of the target.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or images as in fit
            Rows.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Classes.
        """
        logits, _ = self._forward(X)
        return self.classes_[logits.argmax(dim=1).numpy()]

    def predict_proba(self, X):
        """Predict the probability of every class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or images as in fit
            Rows.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``.
        """
        logits, _ = self._forward(X)
        return logits.double().softmax(dim=1).numpy()

    def decision_function(self, X):
        """Return the logits of the classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or images as in fit
            Rows.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Logits; for two classes their difference, positive for ``classes_[1]``.
        """
        logits, _ = self._forward(X)
        if len(self.classes_) == 2:
            logits = logits[:, 1] - logits[:, 0]
        return logits.numpy()

    def transform(self, X):
        """Return the features: the output of the module.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or images as in fit
            Rows.

        Returns
        -------
        features : ndarray of shape (n_samples, n_features_out)
            In float32.
        """
        _, features = self._forward(X)
        return features.numpy()

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # features are float32 whatever X is
        return tags

    def __sklearn_is_fitted__(self):
        return hasattr(self, "net_")

    @property
    def _n_features_out(self):
        return self.net_.module_.head.in_features

    # -- data ---------------------------------------------------------------------------------

    def _validate_X(self, X, *, reset):
        """Return rows as float32 tables, as images, or as images that are decoded when read."""
        images, is_list = self._as_images(X, "X")
        if images is None:
            if not reset and len(self.input_shape_) == 3:
                raise ValueError(
                    f"X has {n_dimensions(X)} dimensions, but {type(self).__name__} was fitted on "
                    f"images of shape {self.input_shape_}; pass images."
                )
            X = validate_data(self, X, dtype=np.float32, reset=reset)
            if reset:
                self.input_shape_ = X.shape[1:]
            return X
        shape = channels_first_shape(images, "X")
        if hasattr(X, "columns"):
            validate_data(self, X, reset=reset, skip_check_array=True)  # names
        if reset:
            self.input_shape_ = shape
            self.n_features_in_ = 1 if is_list else int(np.prod(np.shape(X)[1:]))
        elif shape != self.input_shape_:
            raise ValueError(
                f"X has rows of shape {shape}, but {type(self).__name__} was fitted on rows "
                f"of shape {self.input_shape_}."
            )
        return images

    def _as_images(self, X, name):
        """Return images (None if X is a table), and whether X is a list of images or paths."""
        items = as_image_list(X)
        if items is not None:
            return ImageRows(items, self.preprocess_), True
        if n_dimensions(X) != 4:
            return None, False
        images = check_images(X, name)[0]
        if images.dtype == np.uint8 and self.preprocess_ is not None:
            images = ImageRows(images, self.preprocess_)
        return images, False

    def _validate_y(self, y, X):
        """Set ``classes_`` and return class numbers."""
        self.classes_, codes = np.unique(self._check_labels(y, X), return_inverse=True)
        self._check_classes()
        return codes.astype(np.int64)

    def _check_labels(self, y, X):
        """Return labels of the rows of X as an array."""
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target "
                "y is None."
            )
        y = column_or_1d(y, warn=True)
        assert_all_finite(y, input_name="y")
        check_consistent_length(X, y)
        check_classification_targets(y)
        return y

    def _check_classes(self):
        if len(self.classes_) < 2:
            raise ValueError(
                f"y holds one class, {self.classes_[0]!r}; {type(self).__name__} needs rows of at "
                "least two classes."
            )

    # -- the network --------------------------------------------------------------------------

    def _draw_seeds(self):
        seeds = check_random_state(self.random_state).randint(np.iinfo(np.int32).max, size=5)
        return _Start(resolve_device(self.device), *seeds.tolist())

    def _start(self):
        """Draw seeds, and build a named network: it says how images become its inputs."""
        start = self._draw_seeds()
        # A fitted estimator knows how images became its inputs.
        preprocess = getattr(self.module, "preprocess_", None)
        if isinstance(self.module, str):
            with local_torch_state(start.device), _own_name("backbone", "module"):
                seed_generators(start.backbone_seed, start.device)
                start.backbone, preprocess = make_named_backbone(
                    self.module, self.weights, self._params_for("module")
                )
        self.preprocess_ = resolve_preprocess(self.preprocess, preprocess)
        return start

    def _train(self, dataset, start):
        """Build the net, train it and keep it."""
        net = self._make_net(dataset, start)
        with local_torch_state(start.device):
            seed_generators(start.training_seed, start.device)
            net.fit(dataset, None)
        self._keep(net)

    def _keep(self, net):
        self.net_, self.history_, self.n_iter_ = net, net.history, len(net.history)

    def _make_net(self, dataset, start):
        """Return a net for these rows."""
        with local_torch_state(start.device):
            # Each stage has a seed of its own: what one draws leaves the others as they are.
            seed_generators(start.module_seed, start.device)
            module, widths = self._make_module(dataset, start)
            seed_generators(start.alignment_seed, start.device)
            own = self._net_params(dataset, widths)
        optimizer = OPTIMIZERS.get(self.optimizer, self.optimizer)
        keywords = self._params_for("optimizer")
        check_keywords("optimizer", optimizer, keywords, also=("param_groups",))
        check_keywords("criterion", nn.CrossEntropyLoss, self._params_for("criterion"))
        callbacks = [copy_callback(callback) for callback in self.callbacks or ()]
        fraction = self.validation_fraction
        if self.early_stopping:
            fraction = fraction or 0.1
            stopper = EarlyStopping(
                monitor="valid_loss",
                patience=self.n_iter_no_change,
                load_best=True,
                sink=print if self.verbose else _silence,
            )
            callbacks.append(("early_stopping", stopper))
        multiplier = self.head_lr_multiplier
        if multiplier == "auto":
            multiplier = 10.0 if self._is_pretrained() else 1.0
        # Predictions go in large batches, of at most 64 MiB.
        rows = int(np.clip(2**24 // np.prod(self.input_shape_), 1, 1024))
        params = {
            "iterator_train__random_state": start.order_seed,
            "iterator_valid__batch_size": rows,
        }
        for prefix in self._net_prefixes:
            given = self._params_for(prefix)
            params.update({f"{prefix}__{name}": value for name, value in given.items()})
        return self._net_class(
            module,
            lr_schedule=self.lr_schedule,
            head_lr_multiplier=multiplier,
            precision=self.precision,
            optimizer=optimizer,
            lr=self.lr,
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            train_split=Holdout(fraction, start.order_seed) if fraction else None,
            callbacks=callbacks,
            compile=self.compile,
            device=start.device,
            verbose=self.verbose,
            **{**params, **own},
        )

    def _net_params(self, dataset, widths):
        """Return the keywords of the net that are a subclass's own."""
        return {}

    def _make_module(self, dataset, start):
        """Return the network, and the width of every layer that is named."""
        backbone = self._make_backbone() if start.backbone is None else start.backbone
        example = as_tensor(dataset.X[np.arange(2) % len(dataset.X)])
        layers = self._layer_paths(backbone)
        feature_layer = layer_names(self.module).get(self._feature_layer, self._feature_layer)
        example = AdaptationModule.as_input(example)
        widths = _probe(backbone, example, [*layers, feature_layer])
        widths["features"] = widths[feature_layer]
        self._prepare_backbone(backbone, dataset, start)
        bottleneck = self._make_bottleneck(widths["features"])
        if bottleneck is not None:
            widths["features"] = _probe(bottleneck, torch.zeros(2, widths["features"]), ())[
                "features"
            ]
        n_classes = len(self.classes_)
        head = nn.Linear(widths["features"], n_classes)
        widths["logits"] = n_classes
        module = AdaptationModule(
            backbone,
            head,
            layers=tuple(dict.fromkeys([*layers, "features", "logits"])),
            feature_layer=feature_layer,
            bottleneck=bottleneck,
            frozen=self._frozen_blocks(backbone),
            **self._module_params(dataset),
        )
        return module, widths

    def _layer_paths(self, backbone):
        """Return `layers` with the paths of those that the literature has other names for."""
        paths = layer_names(self.module)
        return [paths.get(layer, layer) for layer in self._layer_names(backbone)]

    def _layer_names(self, backbone):
        """Return the names of the layers whose activations are needed."""
        return self.layers

    def _make_bottleneck(self, in_features):
        """Return a module between the backbone and the head, or None."""

    def _prepare_backbone(self, backbone, dataset, start):
        """Change weights of the backbone, in place, before training."""

    def _module_params(self, dataset):
        """Return the keywords of the network that are a subclass's own."""
        return {}

    def _make_backbone(self):
        module = self.module
        if isinstance(module, BaseEstimator):
            module = self._backbone_of(module)
        if isinstance(module, nn.Module):
            keywords = self._params_for("module")
            backbone = copy_instance(module, self.weights, keywords, "module").cpu()
        else:
            keywords = self._params_for("module")
            backbone = build_backbone(module, self.input_shape_, keywords, "module")
        if self.weights not in ("pretrained", None):
            load_weights(backbone, self.weights)
        return DomainLayer.keep_target(backbone)  # left by an earlier training

    def _backbone_of(self, fitted):
        """Return a copy of the backbone of a fitted estimator, all of which learns."""
        module = copy.deepcopy(network_of(fitted, "module"))
        if module.standardizer is not None and getattr(self, "standardize", None) is None:
            raise ValueError(
                f"module: this {type(fitted).__name__} was fitted with standardize='domain', and "
                "its backbone takes standardized rows; fit it with standardize=None, or let both "
                "standardize."
            )
        while module.frozen:
            module.unfreeze()
        return module.backbone

    def _is_pretrained(self):
        """Whether the backbone comes with weights that are worth keeping."""
        if isinstance(self.module, str):
            return self.weights is not None
        return isinstance(self.module, nn.Module | BaseEstimator) or self.weights not in (
            "pretrained",
            None,
        )

    def _frozen_blocks(self, backbone):
        blocks = list_blocks(backbone)
        if self.n_frozen > len(blocks):
            names = ", ".join(repr(block.name) for block in blocks) or "none"
            raise ValueError(
                f"n_frozen={self.n_frozen}, but {type(backbone).__name__} has {len(blocks)} "
                f"blocks: {names}."
            )
        if self.freeze == "none":
            return blocks[: self.n_frozen]
        if self.n_frozen:
            raise ValueError(
                f"n_frozen={self.n_frozen} and freeze={self.freeze!r} were both given; use one of "
                "them."
            )
        if self.freeze == "all":
            return blocks or [Block("", ("",))]
        check_submodules(backbone, self.freeze, "freeze")
        return [Block(path, (path,)) for path in self.freeze]

    def _make_part(self, name, part, *sizes):
        """Return a copy of a module, or what a class or factory makes for these sizes."""
        keywords = self._params_for(name)
        if isinstance(part, nn.Module):
            if keywords:
                raise TypeError(
                    f"{name}__{min(keywords)}: {name} is an instance of {type(part).__name__} and "
                    "built already; pass the class instead, or leave out the keywords."
                )
            return copy.deepcopy(part)
        check_keywords(name, part, keywords)
        return part(*sizes, **keywords)

    def _forward(self, X):
        """Return logits and features of rows of the target domain, on the CPU."""
        activations = self._activations(X, ("logits", "features"))
        return activations["logits"], activations["features"]

    def _activations(self, X, layers):
        """Return the activations of rows of the target domain by layer, on the CPU."""
        check_is_fitted(self)
        X = self._validate_X(X, reset=False)
        # Maps of convolutions, which a method may align, are too large to be kept for all rows.
        parts = [
            [activations[layer] for layer in layers]
            for _, activations in self.net_.forward_iter(Dataset(X, length=len(X)))
        ]
        return dict(zip(layers, map(torch.cat, zip(*parts, strict=True)), strict=True))


# -- helpers ----------------------------------------------------------------------------------


def _probe(backbone, example, layers):
    """Return the widths of the backbone's features and of the named layers."""
    name = type(backbone).__name__
    outputs = {}
    inside = [layer for layer in layers if layer not in OWN_LAYERS]
    handles = record_activations(backbone, inside, outputs)
    was_training = backbone.training
    backbone.eval()
    try:
        with torch.no_grad():
            outputs["features"] = backbone(example)
    except (RuntimeError, TypeError, ValueError) as error:
        raise ValueError(
            f"module: {name} failed on an input of shape {tuple(example.shape)}: {error}. It must "
            "take the rows of X and return features of shape (n, n_features)."
        ) from error
    finally:
        backbone.train(was_training)
        for handle in handles:
            handle.remove()
    outputs["inputs"] = example
    features = outputs["features"]
    if not isinstance(features, torch.Tensor) or features.ndim != 2 or len(features) != 2:
        shape = getattr(features, "shape", None)
        given = type(features).__name__ if shape is None else f"shape {tuple(shape)}"
        raise ValueError(
            f"module: {name} must return features of shape (n, n_features), but 2 rows gave "
            f"{given}; end it with a torch.nn.Flatten or a pooling layer."
        )
    for layer, output in outputs.items():
        if not isinstance(output, torch.Tensor) or len(output) != 2 or output.ndim < 2:
            raise ValueError(
                f"layers: {layer!r} does not give one row of activations per sample; choose "
                "another submodule."
            )
    return {layer: output.flatten(1).shape[1] for layer, output in outputs.items()}


@dataclass
class _Start:
    """What is known before the rows are: where to train, and from which random numbers."""

    device: Any
    module_seed: int
    alignment_seed: int
    order_seed: int
    training_seed: int
    backbone_seed: int
    backbone: nn.Module | None = None


@contextmanager
def _own_name(theirs, own):
    """Tell errors about a parameter by the name that it has here."""
    try:
        yield
    except ValueError as error:
        raise ValueError(str(error).replace(f"{theirs}:", f"{own}:", 1)) from error


def copy_callback(callback):
    try:
        return copy.deepcopy(callback)
    except TypeError:  # it holds an open file or a connection
        return callback


def _silence(*args):
    pass
