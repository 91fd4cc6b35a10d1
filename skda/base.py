"""The contract of every deep adaptation estimator."""

import copy
import inspect
import warnings
from collections.abc import Callable
from functools import partial
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.base import ClassifierMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.utils import (
    assert_all_finite,
    check_array,
    check_consistent_length,
    check_random_state,
)
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data
from skorch.callbacks import EarlyStopping
from skorch.dataset import Dataset
from torch import nn

from skda._inputs import check_images, n_dimensions
from skda._params import PrefixedParams, check_keywords, estimator
from skda._sklearn_compat import Interval, StrOptions, fit_context
from skda._torch import build_backbone, local_torch_state, resolve_device, seed_generators
from skda.domains import encode_target_labels, split_domains
from skda.exceptions import NoTargetWarning
from skda.losses import coral, mmd
from skda.nn import DomainAdversary, LayerwiseAlignment, record_activations
from skda.training import AdaptationModule, AdaptationNet, DomainDataset
from skda.training._batches import as_tensor

__all__ = ["ALIGNMENTS", "DeepAdaptationClassifier", "estimator"]

ALIGNMENTS = {"coral": coral, "mmd": mmd, "dann": DomainAdversary}

_OPTIMIZERS = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
}


def _moments(rows):
    """Mean and standard deviation of columns or channels; 1 where the deviation is zero."""
    count, total, squares = 0, 0.0, 0.0
    for start in range(0, len(rows), 1024):
        part = AdaptationModule.as_input(as_tensor(rows[start : start + 1024])).double()
        part = part.transpose(0, 1).flatten(1)
        count += part.shape[1]
        total, squares = total + part.sum(dim=1), squares + part.square().sum(dim=1)
    mean = total / count
    return mean, (squares / count - mean.square()).clamp(min=0).sqrt()


def _standardization(domains):
    """Moments of every domain, and of the mixture of all targets if there are several."""
    moments = [_moments(rows) for rows in domains]
    if len(moments) > 2:
        means, deviations = (torch.stack(part) for part in zip(*moments[1:], strict=True))
        variance = deviations.square().mean(dim=0) + means.var(dim=0, correction=0)
        moments.append((means.mean(dim=0), variance.sqrt()))
    shape = (-1,) + (1,) * (domains[0].ndim - 2)
    return [
        (mean.float().view(shape), torch.where(scale > 0, scale, 1).float().view(shape))
        for mean, scale in moments
    ]


class SourceHoldout:
    """A skorch ``train_split`` that holds out source rows, stratified by class.

    Parameters
    ----------
    fraction : float
        Share of the source rows.

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
            dataset.X[train], dataset.y[train], dataset.targets, dataset.target_labels
        )
        return training, Dataset(dataset.X[valid], dataset.y[valid])


@estimator
class DeepAdaptationClassifier(
    ClassNamePrefixFeaturesOutMixin, ClassifierMixin, TransformerMixin, PrefixedParams
):
    r"""Deep classifier that learns on a source domain and adapts to a target domain.

    A backbone gives features, a linear head gives classes, and both learn from ::

        loss = cross_entropy(source, y) + trade_off * alignment(source, target)

    where the alignment compares the activations of source and target rows at chosen layers. Every
    adaptation method of :mod:`skda.adaptation` is this class with an alignment of its own; by
    itself it takes any.

    Parameters
    ----------
    alignment : {"coral", "mmd", "dann"}, callable or torch.nn.Module, default="coral"
        What is to become small between the domains: a name, a function from source features of
        shape (n, n_features) and target features of shape (m, n_features) to a scalar tensor, or
        a module with such a ``forward``, whose parameters learn too. A module with an attribute
        ``adversarial = True`` is an opponent: the features learn to make its loss large, through
        gradient reversal. A module *class* is built with the width of the layer. Modules are
        copied, one copy per layer.

    layers : tuple of str, default=("features",)
        Where the domains are aligned: ``"features"`` (the output of the module), ``"logits"``, or
        paths of submodules of the module; the losses of several layers are added.

    trade_off : float, default=1.0
        Weight of the alignment. With 0 the network learns from the source alone, bit for bit as
        without target data, and only the statistics of its batch norms come from the target.

    trade_off_schedule : {"constant", "progressive"} or callable, default="constant"
        Factor of `trade_off` as a function of training progress in [0, 1]: ``"progressive"``
        grows from 0 to 1, see :func:`skda.training.progressive`.

    module : torch.nn.Module, class or factory, default=None
        The backbone, from inputs to features of shape (n, n_features). None makes a
        :class:`skda.nn.MLP` for tables and a :class:`skda.nn.ConvNet` for images. An instance is
        copied and keeps its weights. A class or factory is called with the ``module__*``
        keywords, and with ``in_features`` (tables), ``in_channels`` and ``image_size`` (images)
        where it has parameters of these names.

    batch_norm : {"domain", "shared"}, default="domain"
        Whether the module's batch norms keep statistics for every domain, the target's of which
        then serve predictions, or mix all domains.

    standardize : {"domain"} or None, default=None
        With ``"domain"`` columns of tables, or channels of images, are brought to zero mean and
        unit variance in each domain by that domain's own moments.

    optimizer : {"adam", "adamw", "sgd", "rmsprop", "adagrad"} or class, default="adam"
        The optimiser; ``optimizer__*`` keywords reach it.

    lr : float, default=1e-3
        Learning rate at the start.

    lr_schedule : {"annealing", "constant"} or callable, default="annealing"
        Factor of `lr` as a function of training progress in [0, 1], see
        :func:`skda.training.annealing`. A :class:`skorch.callbacks.LRScheduler` among the
        callbacks takes its place.

    head_lr_multiplier : float or "auto", default="auto"
        How much faster the head and the alignment learn than the module. ``"auto"`` is 10 for a
        module given as an instance, which counts as pretrained, and 1 for others.

    max_epochs : int, default=40
        Number of epochs. An epoch goes once through the larger domain; through the source with a
        `trade_off` of 0.

    batch_size : int, default=64
        Source rows, and as many target rows, of a training step; at least 2.

    early_stopping : bool, default=False
        Whether to hold out source rows, and to stop when their loss no longer falls; the best
        weights are kept. No target label is involved; with a growing trade-off the best source
        loss may come before the adaptation.

    validation_fraction : float, default=None
        Share of the source rows that is held out to report ``valid_loss`` and
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
        ``module__*``, ``optimizer__*``, ``alignment__*``, ``criterion__*`` (of
        :class:`torch.nn.CrossEntropyLoss`), ``callbacks__*``, ``iterator_train__*``
        (of :class:`skda.training.PairedBatches`), ``iterator_valid__*`` and ``compile__*``.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes of the source.

    n_features_in_ : int
        Number of columns of a table, number of values of an image.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns, if X has names that are all strings.

    input_shape_ : tuple of int
        Shape of a row: (n_features,) or (n_channels, height, width).

    n_iter_ : int
        Number of epochs.

    history_ : skorch.history.History
        One entry per epoch, with ``train_loss``, ``classification_loss``, ``alignment_loss``,
        ``trade_off`` and the ``valid_*`` figures: ``history_[:, "train_loss"]``.

    net_ : skda.training.AdaptationNet
        The trained net.

    See Also
    --------
    skda.adaptation.DANNClassifier : Adversarial alignment.
    skda.adaptation.DANClassifier : Alignment by maximum mean discrepancy.
    skda.adaptation.DeepCORALClassifier : Alignment of covariances.

    Examples
    --------
    >>> from skda.base import DeepAdaptationClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> digits = load_shifted_digits(random_state=0)
    >>> def mean_distance(source, target):
    ...     return (source.mean(dim=0) - target.mean(dim=0)).square().sum()
    >>> clf = DeepAdaptationClassifier(alignment=mean_distance, max_epochs=3, random_state=0)
    >>> clf = clf.fit(digits.X, digits.y, X_target=digits.X_target)
    >>> clf.predict(digits.X_target).shape
    (899,)
    """

    alignment: str | Callable = "coral"
    layers: tuple[str, ...] = ("features",)
    trade_off: float = 1.0
    trade_off_schedule: str | Callable = "constant"
    module: nn.Module | Callable | None = None
    batch_norm: str = "domain"
    standardize: str | None = None
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

    _net_prefixes = (
        "optimizer",
        "criterion",
        "callbacks",
        "iterator_train",
        "iterator_valid",
        "compile",
    )
    _prefixes = ("module", "alignment", *_net_prefixes)

    _parameter_constraints = {
        "alignment": [StrOptions(set(ALIGNMENTS)), callable],
        "layers": [tuple, list],
        "trade_off": [Interval(Real, 0, None, closed="left")],
        "trade_off_schedule": [StrOptions({"constant", "progressive"}), callable],
        "module": [nn.Module, callable, None],
        "batch_norm": [StrOptions({"domain", "shared"})],
        "standardize": [StrOptions({"domain"}), None],
        "optimizer": [StrOptions(set(_OPTIMIZERS)), callable],
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

    # In a Pipeline or a search the target reaches fit without a set_fit_request.
    __metadata_request__fit = {
        "X_target": True,
        "y_target": True,
        "sample_domain": True,
    }

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, *, X_target=None, y_target=None, sample_domain=None):
        """Train on labelled source rows and adapt to unlabeled target rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or images
            Source rows. Images are floats of shape (n_samples, n_channels, height, width) or
            uint8 of shape (n_samples, height, width, n_channels).

        y : array-like of shape (n_samples,)
            Labels of any type.

        X_target : array-like or tuple of array-likes, default=None
            Unlabeled target rows; a tuple for several target domains. In a cross-validation
            always pass a tuple: an array with as many rows as X would be cut into folds.

        y_target : array-like or tuple of array-likes, default=None
            The labels of a few target rows, -1, None or NaN elsewhere. Labelled target rows
            take part in the classification loss.

        sample_domain : array-like of shape (n_samples,), default=None
            The alternative to `X_target`: X and y hold rows of both domains, positive numbers
            mark source rows, negative ones target rows, whose labels are ignored.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If data or parameters are not as described.

        TypeError
            If X is sparse, or if a parameter does not exist.
        """
        self._check_param_names()
        if sample_domain is not None and y_target is not None:
            raise ValueError(
                "y_target goes with X_target, not with sample_domain; pass the target rows in "
                "X_target."
            )
        X, y, targets = split_domains(X, y, X_target, sample_domain)
        X = self._validate_X(X, reset=True)
        codes = self._validate_y(y, X)
        target_labels = None
        if y_target is not None:
            target_labels = encode_target_labels(y_target, targets, self.classes_)
        targets = tuple(
            self._validate_target(rows, X, "X_target" if len(targets) == 1 else f"X_target[{n}]")
            for n, rows in enumerate(targets)
        )
        if not targets:
            warnings.warn(
                f"{type(self).__name__} was fitted without target data and trains on the source "
                "alone; pass unlabeled rows of the target domain as X_target.",
                NoTargetWarning,
                stacklevel=2,
            )
        dataset = DomainDataset(X, codes, targets, target_labels)
        random_state = check_random_state(self.random_state)
        module_seed, alignment_seed, order_seed, training_seed = random_state.randint(
            np.iinfo(np.int32).max, size=4
        ).tolist()
        device = resolve_device(self.device)
        with local_torch_state(device):
            # Each stage has a seed of its own: what one draws leaves the others as they are.
            seed_generators(module_seed, device)
            module, widths = self._make_module(dataset)
            seed_generators(alignment_seed, device)
            alignment = self._make_alignment(widths) if targets and self.trade_off else None
            net = self._make_net(module, alignment, device, order_seed)
            seed_generators(training_seed, device)
            net.fit(dataset, None)
        self.net_ = net
        self.history_ = net.history
        self.n_iter_ = len(net.history)
        return self

    def predict(self, X):
        """Predict the class of every row, taken to be of the target domain.

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
        """Return the adapted features: the output of the module.

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
        """Return rows as float32 tables, or as float32 or uint8 images."""
        if n_dimensions(X) != 4:
            if not reset and len(self.input_shape_) == 3:
                raise ValueError(
                    f"X has {n_dimensions(X)} dimensions, but {type(self).__name__} was fitted on "
                    f"images of shape {self.input_shape_}; pass images."
                )
            X = validate_data(self, X, dtype=np.float32, reset=reset)
            if reset:
                self.input_shape_ = X.shape[1:]
            return X
        X, shape = check_images(X, "X")
        if reset:
            self.input_shape_ = shape
            self.n_features_in_ = int(np.prod(shape))
        elif shape != self.input_shape_:
            raise ValueError(
                f"X has rows of shape {shape}, but {type(self).__name__} was fitted on rows "
                f"of shape {self.input_shape_}."
            )
        return X

    def _validate_target(self, rows, X, name):
        """Return the rows of a target domain, in the form of the source's."""
        if hasattr(rows, "columns") and hasattr(self, "feature_names_in_"):
            columns, expected = list(rows.columns), self.feature_names_in_.tolist()
            if columns != expected:
                raise ValueError(
                    f"{name} has the columns {columns[:5]}, X has {expected[:5]}; give both the "
                    "same columns in the same order."
                )
        if n_dimensions(rows) == 4:
            rows, shape = check_images(rows, name)
        else:
            rows = check_array(rows, dtype=np.float32, input_name=name, estimator=self)
            shape = rows.shape[1:]
        if shape != self.input_shape_ or rows.dtype != X.dtype:
            raise ValueError(
                f"{name} has rows of shape {shape} and type {rows.dtype}, X of shape "
                f"{self.input_shape_} and type {X.dtype}; source and target must have the same "
                "features. In a pipeline, let skda.make_pipeline transform the target with the "
                "source."
            )
        return rows

    def _validate_y(self, y, X):
        """Set ``classes_`` and return class numbers."""
        if y is None:
            raise ValueError(
                f"This {type(self).__name__} estimator requires y to be passed, but the target "
                "y is None."
            )
        y = column_or_1d(y, warn=True)
        assert_all_finite(y, input_name="y")
        check_consistent_length(X, y)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"y holds one class, {self.classes_[0]!r}; {type(self).__name__} needs rows of at "
                "least two classes."
            )
        return codes.astype(np.int64)

    # -- the network --------------------------------------------------------------------------

    def _make_module(self, dataset):
        """Return the network, and the width of every layer that is aligned."""
        backbone = self._make_backbone()
        example = AdaptationModule.as_input(as_tensor(dataset.X[:2]))
        widths = _probe(backbone, example, self.layers)
        n_classes = len(self.classes_)
        head = nn.Linear(widths["features"], n_classes)
        widths["logits"] = n_classes
        module = AdaptationModule(
            backbone,
            head,
            layers=tuple(dict.fromkeys([*self.layers, "features"])),
            n_targets=len(dataset.targets),
            batch_norm=self.batch_norm,
            moments=_standardization(dataset.domains) if self.standardize else None,
        )
        return module, widths

    def _make_backbone(self):
        if isinstance(self.module, nn.Module):
            return self._make_part("module", self.module, None)
        keywords = self._params_for("module")
        return build_backbone(self.module, self.input_shape_, keywords, "module")

    def _make_alignment(self, widths):
        """Return the module that compares the domains' activations."""
        return LayerwiseAlignment(
            {layer: self._make_layer_alignment(widths[layer]) for layer in self.layers}
        )

    def _make_layer_alignment(self, width):
        alignment = self.alignment
        if isinstance(alignment, str):
            alignment = ALIGNMENTS[alignment]
        if isinstance(alignment, nn.Module) or inspect.isclass(alignment):
            return self._make_part("alignment", alignment, width)
        keywords = self._params_for("alignment")
        check_keywords("alignment", alignment, keywords)
        return partial(alignment, **keywords) if keywords else alignment

    def _make_part(self, name, part, width):
        """Return a copy of a module, or what a class or factory makes for this width."""
        keywords = self._params_for(name)
        if isinstance(part, nn.Module):
            if keywords:
                raise TypeError(
                    f"{name}__{min(keywords)}: {name} is an instance of {type(part).__name__} and "
                    "built already; pass the class instead, or leave out the keywords."
                )
            return copy.deepcopy(part)
        check_keywords(name, part, keywords)
        return part(width, **keywords)

    def _make_net(self, module, alignment, device, order_seed):
        optimizer = _OPTIMIZERS.get(self.optimizer, self.optimizer)
        keywords = self._params_for("optimizer")
        check_keywords("optimizer", optimizer, keywords, also=("param_groups",))
        check_keywords("criterion", nn.CrossEntropyLoss, self._params_for("criterion"))
        callbacks = [_copy_callback(callback) for callback in self.callbacks or ()]
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
            multiplier = 10.0 if isinstance(self.module, nn.Module) else 1.0
        # Predictions go in large batches, of at most 64 MiB.
        rows = int(np.clip(2**24 // np.prod(self.input_shape_), 1, 1024))
        params = {
            "iterator_train__random_state": order_seed,
            "iterator_valid__batch_size": rows,
        }
        for prefix in self._net_prefixes:
            given = self._params_for(prefix)
            params.update({f"{prefix}__{name}": value for name, value in given.items()})
        return AdaptationNet(
            module,
            alignment=alignment,
            trade_off=self.trade_off,
            trade_off_schedule=self.trade_off_schedule,
            lr_schedule=self.lr_schedule,
            head_lr_multiplier=multiplier,
            precision=self.precision,
            optimizer=optimizer,
            lr=self.lr,
            max_epochs=self.max_epochs,
            batch_size=self.batch_size,
            train_split=SourceHoldout(fraction, order_seed) if fraction else None,
            callbacks=callbacks,
            compile=self.compile,
            device=device,
            verbose=self.verbose,
            **params,
        )

    def _forward(self, X):
        """Return logits and features of rows of the target domain, on the CPU."""
        check_is_fitted(self)
        X = self._validate_X(X, reset=False)
        outputs = [
            (logits, activations["features"])
            for logits, activations in self.net_.forward_iter(Dataset(X))
        ]
        logits, features = zip(*outputs, strict=True)
        return torch.cat(logits), torch.cat(features)


# -- helpers ----------------------------------------------------------------------------------


def _probe(backbone, example, layers):
    """Return the widths of the backbone's features and of the named layers."""
    name = type(backbone).__name__
    outputs = {}
    inside = [layer for layer in layers if layer not in ("features", "logits")]
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


def _copy_callback(callback):
    try:
        return copy.deepcopy(callback)
    except TypeError:  # it holds an open file or a connection
        return callback


def _silence(*args):
    pass
