"""What every estimator that trains a network has in common."""

import copy
import os
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import nn

from skda._sklearn_compat import Interval, StrOptions
from skda._torch import local_torch_state, resolve_device, seed_generators
from skda.backbones import BackboneResolver, check_keywords
from skda.estimators._inputs import InputMixin
from skda.estimators._keywords import NetKeywords
from skda.estimators._net_params import common_net_params
from skda.estimators._network import example_rows, frozen_blocks, probe_widths
from skda.estimators._task import Task
from skda.images import resolve_preprocess
from skda.training import (
    OPTIMIZERS,
    AdaptationModule,
    AdaptationNet,
    PairedBatches,
    Seeds,
    Stage,
    Training,
    run_stages,
)


class DeepEstimator(ClassNamePrefixFeaturesOutMixin, TransformerMixin, InputMixin, NetKeywords):
    r"""A backbone that gives features, and a linear head that gives outputs.

    Subclasses say from which data, and by which loss, both learn; the task says what outputs mean.

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
        :func:`skda.backbones.list_blocks` lists them.

    freeze : {"none", "all"} or list of str, default="none"
        The alternative to `n_frozen`: the whole module, or the submodules at these paths.

    optimizer : {"adam", "adamw", "sgd", "rmsprop", "adagrad"} or class, default="adam"
        The optimiser, in upper or lower case; ``optimizer__*`` keywords reach it.

    lr : float, default=1e-3
        Learning rate at the start.

    lr_schedule : {"annealing", "cosine", "constant"} or callable, default="annealing"
        Factor of `lr` as a function of training progress in [0, 1], see
        :func:`skda.training.annealing` and :func:`skda.training.cosine`, which warms up. A
        :class:`skorch.callbacks.LRScheduler` among the callbacks takes its place.

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
        Where to train; ``"auto"`` takes the accelerator that torch finds, such as a CUDA device,
        and the CPU where there is none.

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

    # What a subclass may put another in the place of.
    task_class: ClassVar[type[Task]]
    net_class: ClassVar[type[AdaptationNet]] = AdaptationNet
    module_class: ClassVar[type[AdaptationModule]] = AdaptationModule
    head_class: ClassVar[type[nn.Module]] = nn.Linear
    iterator_class: ClassVar[type[PairedBatches]] = PairedBatches
    feature_layer: ClassVar[str] = "features"
    keyword_prefixes: ClassVar[tuple[str, ...]] = ("module",)
    net_prefixes: ClassVar[tuple[str, ...]] = (
        "optimizer",
        "criterion",
        "callbacks",
        "iterator_train",
        "iterator_valid",
        "compile",
    )
    _hooks = (
        "name_layers",
        "make_backbone",
        "make_module",
        "make_alignment",
        "make_loss",
        "net_params",
        "make_stages",
        "finish_fit",
    )

    _parameter_constraints = {
        "module": [str, nn.Module, callable, BaseEstimator, None],
        "weights": [str, os.PathLike, Mapping, None],
        "preprocess": [StrOptions({"auto"}), Mapping, callable],
        "n_frozen": [Interval(Integral, 0, None, closed="left")],
        "freeze": [StrOptions({"none", "all"}), list, tuple],
        "optimizer": [str, callable],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "lr_schedule": [StrOptions({"annealing", "cosine", "constant"}), callable],
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

    def transform(self, X: Any) -> np.ndarray:
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

    # -- training -----------------------------------------------------------------------------

    def _encode_labels(self, y, X):
        """Return labels as the network learns them, and keep what the task has learned of them."""
        self._task = self.task_class(type(self).__name__)
        codes = self._task.encode(y, X)
        vars(self).update(self._task.fitted_attributes())
        return codes

    def _draw_seeds(self):
        seeds = check_random_state(self.random_state).randint(np.iinfo(np.int32).max, size=5)
        return Seeds(*seeds.tolist())

    def _start(self):
        """Build a named network, which says how images become inputs; return what is known."""
        self._optimizer_class()
        device, seeds = resolve_device(self.device), self._draw_seeds()
        resolver = BackboneResolver(self.module, self.weights, self.params_for("module"))
        with local_torch_state(device):
            seed_generators(seeds.backbone, device)
            resolver.start()
        self.preprocess_ = resolve_preprocess(self.preprocess, resolver.preprocess)
        return {"device": device, "seeds": seeds, "resolver": resolver}

    def _train(self, dataset, start):
        """Build the network, train it stage by stage, and keep it."""
        training = Training(dataset, **start)
        with local_torch_state(training.device):
            self._build_backbone(training)
            run_stages(self.make_stages(training), training)
        self.finish_fit(training)

    def _build_backbone(self, training):
        seed_generators(training.seeds.module, training.device)
        training.backbone = self.make_backbone(training)
        layers = self.name_layers(training)
        if isinstance(layers, str):
            raise TypeError(
                f"layers must be a tuple of names, got {layers!r}; write ({layers!r},)."
            )
        training.layers = tuple(training.resolver.layer_paths(layers))
        example = example_rows(training.dataset)
        (feature_layer,) = training.resolver.layer_paths([self.feature_layer])
        training.widths = probe_widths(
            training.backbone, example, [*training.layers, feature_layer]
        )
        training.widths["features"] = training.widths[feature_layer]

    def build_net(
        self, training: Training, net_class: type[AdaptationNet] | None = None, **params: Any
    ) -> AdaptationNet:
        """Return a net around the backbone as it is now; what a stage has for its ``make_net``.

        Parameters
        ----------
        training : skda.training.Training
            What is known so far.

        net_class : class, default=None
            None is that of the estimator.

        **params : dict
            What the net has otherwise than `net_params` says.

        Returns
        -------
        net : skda.training.AdaptationNet
            Not trained yet.
        """
        training.backbone.cpu()
        module = self.make_module(training)
        # What the alignment draws leaves what the network draws as it is.
        seed_generators(training.seeds.alignment, training.device)
        own = self.net_params(training)
        params = {**common_net_params(self, training), **own, **params}
        return (net_class or self.net_class)(module, **params)

    def _optimizer_class(self):
        if not isinstance(self.optimizer, str):
            return self.optimizer
        if self.optimizer.lower() not in OPTIMIZERS:
            raise ValueError(
                f"optimizer must be one of {', '.join(map(repr, OPTIMIZERS))} or a class of torch, "
                f"got {self.optimizer!r}."
            )
        return OPTIMIZERS[self.optimizer.lower()]

    # -- hooks, as skda.base documents them ---------------------------------------------------

    def name_layers(self, training: Training) -> Sequence[str]:
        """Return the names of the layers whose activations are needed."""
        return self.layers

    def make_backbone(self, training: Training) -> nn.Module:
        """Return the network from inputs to features."""
        standardizes = getattr(self, "standardize", None) is not None
        return training.resolver.build_to_train(self.input_shape_, standardizes=standardizes)

    def make_module(
        self, training: Training, *, bottleneck: nn.Module | None = None, **params: Any
    ) -> AdaptationModule:
        """Return the network with its head."""
        width = training.widths["features"]
        if bottleneck is not None:
            width = probe_widths(bottleneck, torch.zeros(2, width), ())["features"]
        training.widths |= {"features": width, "logits": self._task.n_outputs}
        (feature_layer,) = training.resolver.layer_paths([self.feature_layer])
        return self.module_class(
            training.backbone,
            self.head_class(width, self._task.n_outputs),
            layers=tuple(dict.fromkeys([*training.layers, "features", "logits"])),
            feature_layer=feature_layer,
            bottleneck=bottleneck,
            frozen=frozen_blocks(training.backbone, self.n_frozen, self.freeze),
            **params,
        )

    def net_params(self, training: Training) -> dict[str, Any]:
        """Return the keywords of the net that are a subclass's own."""
        return {}

    def make_stages(self, training: Training) -> list[Stage]:
        """Return the stages of training: one, in which all learns that is not frozen."""
        return [Stage(name="train", batches="source", make_net=self.build_net)]

    def finish_fit(self, training: Training) -> None:
        """Keep what was trained."""
        self._n_features_out = training.widths["features"]
        self._keep(training.net)

    # -- helpers ------------------------------------------------------------------------------

    def _keep(self, net):
        self.net_, self.history_, self.n_iter_ = net, net.history, len(net.history)

    def make_part(self, name: str, part: Any, *sizes: Any) -> Any:
        """Return a copy of a module, or what a class or factory makes for these sizes."""
        keywords = self.params_for(name)
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
        """Return outputs and features of rows of the target domain, on the CPU."""
        activations = self.activations_of(X, ("logits", "features"))
        return self._task.outputs(activations["logits"]), activations["features"]

    def activations_of(
        self, X: Any, layers: Sequence[str] = ("features",), domain: Any = None
    ) -> dict[str, torch.Tensor]:
        """Return the activations of rows of a domain, under the statistics of that domain.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or images as in fit
            Rows.

        layers : sequence of str, default=("features",)
            ``"features"``, ``"logits"``, and what `layers` of the estimator names.

        domain : {"source", "target"}, int or None, default=None
            Where the rows come from; a number is that of one of several target domains, None the
            target.

        Returns
        -------
        activations : dict of str to torch.Tensor of shape (n_samples, ...)
            By layer, on the CPU.
        """
        check_is_fitted(self)
        return self.net_.activations_of(self._validate_X(X, reset=False), layers, domain)
