"""What every estimator that trains a network has in common."""

import os
from collections.abc import Callable, Mapping
from enum import Enum
from numbers import Integral, Real
from typing import Any, ClassVar

import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin
from torch import nn

from skda._sklearn_compat import Interval, StrOptions
from skda.estimators._assembly import AssemblyMixin
from skda.estimators._export import ExportMixin
from skda.estimators._forward import ForwardMixin
from skda.estimators._going_on import GoingOnMixin
from skda.estimators._keywords import NetKeywords
from skda.estimators._state import StateMixin
from skda.estimators._task import Task
from skda.estimators._training_rows import TrainingRowsMixin
from skda.estimators._weighting import WeightingMixin
from skda.images import LAYOUTS
from skda.rows import INPUTS
from skda.training import PairedBatches


class DeepEstimator(
    ClassNamePrefixFeaturesOutMixin,
    StateMixin,
    ExportMixin,
    ForwardMixin,
    GoingOnMixin,
    TrainingRowsMixin,
    WeightingMixin,
    AssemblyMixin,
    NetKeywords,
):
    r"""A backbone that gives features, and a linear head that gives outputs.

    Subclasses say from which data, and by which loss, both learn; the task says what outputs mean.

    Parameters
    ----------
    module : str, torch.nn.Module, class, factory or fitted estimator, default=None
        The backbone, from inputs to features of shape (n, n_features).

        - A name: ``"timm/NAME"``, ``"torchvision/NAME"``, ``"transformers/NAME"`` or
          ``"sentence-transformers/NAME"``, ``"hf-hub:OWNER/NAME"``, or the folder of a network: a
          network of that library without its classifier.
        - A module: it is copied and keeps its weights. Of a network of these libraries the
          classifier is taken off, unless `layers` names it, and its preprocessing is used.
        - A class or factory: it is called with the ``module__*`` keywords, and with
          ``in_features`` (tables), ``in_channels`` and ``image_size`` (images) or
          ``in_channels`` and ``length`` (series) where it has parameters of these names.
        - A fitted deep estimator of this package: a copy of its backbone. In a search wrap it in
          a :class:`sklearn.frozen.FrozenEstimator`, for a plain clone is not fitted.
        - None: a :class:`skda.nn.MLP` for tables, a :class:`skda.nn.ConvNet` for images and a
          :class:`skda.nn.SeriesNet` for series.

        What is decided for the user, such as a classifier that is taken off, ``verbose=1`` tells.

    weights : {"pretrained"}, path, dict or None, default="pretrained"
        ``"pretrained"`` takes the library's weights of a named network, downloaded on first use,
        and leaves every other backbone as it is. None gives a named network random weights. A
        path is that of a ``.safetensors`` file or of a state dict or checkpoint saved with
        ``torch.save``, a dict is a state dict, and an entry of torchvision's enumerations or its
        name chooses among published ones. Prefixes such as ``module.`` and a classifier that is
        not needed do no harm; every other key must fit the network.

    weights_sha256 : str, default=None
        Hash that the file of `weights` must have, in hexadecimal. Only files have one.

    preprocess : {"auto"}, dict or callable, default="auto"
        From a PIL image in RGB to a tensor of shape (C, H, W), as in
        :class:`skda.feature_extraction.DeepFeatureExtractor`. ``"auto"`` is what a network of
        a library carries; before other networks images are only scaled to [0, 1] and must be of
        one size. Float arrays are taken as they are.

    input : {"auto", "table", "image", "series", "text", "tokens"}, default="auto"
        What the rows of X are, where it cannot be seen. ``"auto"`` takes 2 dimensions for a
        table, 4 for images, and 3 for series if there are at most 16 channels and at least 4
        times as many steps, for grey images if these are square or whole numbers of 8 or 16 bits;
        strings are paths of images, or texts before a network of texts. ``"tokens"`` passes whole
        numbers of shape (n_samples, length) on as they are, as a dict of arrays always is: its
        entries become keyword arguments of the module.

    image_layout : {"auto", "channels_first", "channels_last"}, default="auto"
        Of arrays of images: (n_samples, n_channels, height, width) or (n_samples, height, width,
        n_channels). ``"auto"`` takes the one that is possible, and raises if both are.

    image_reading : dict, default=None
        How pictures are read: ``exif_orientation`` (True: upright), ``background`` of
        transparent pixels (255), ``frame`` of files with several, ``value_range`` of pictures
        with more than 8 bits; see :class:`skda.images.ImageReading`.

    image_store : {"auto"}, None, str or path, default="auto"
        Where images that are decoded once are kept for the next epochs, as pixels of the
        network's size in 8 bits: ``"auto"`` is memory, up to a quarter of what is available, and
        beyond that a temporary file; a folder is where that file is to be, and stays for other
        fits. None decodes images at every use. What a `preprocess` of one's own returns is kept
        in a folder alone.

    on_error : {"raise", "drop"}, default="raise"
        What an image of the training data that cannot be read is: an error with its path, or left
        out with its label, with one warning that says how many were.

    augment : callable or dict, default=None
        From a batch of training rows, a float tensor of shape (n, ...) as the module takes it, to
        another of this shape, at every use anew; a dict has one for ``"source"``, for
        ``"target"`` or for each. Transforms of torchvision do, and draw once for a batch; with
        :func:`skda.training.per_row` they draw for every row. Rows that are validated or
        predicted stay as they are.

    n_frozen : int, default=0
        How many of the module's leading blocks do not learn: neither their weights nor the
        statistics of their batch norms change, and their dropouts are off. A block is a layer
        with weights, and what follows it up to the next one;
        :func:`skda.backbones.list_blocks` lists them.

    freeze : {"none", "all"} or list of str, default="none"
        The alternative to `n_frozen`: the whole module, or the submodules at these paths.

    adapter : {"lora"}, default=None
        What learns in a large module that comes with weights: ``"lora"`` leaves them as they are
        and trains matrices of low rank beside those of its layers (Hu et al., LoRA, ICLR 2022), a
        few hundredths of the weights, so that the optimiser and gradients take little memory. At
        the end of `fit` they are added to the weights: predictions and files are those of the
        module. Needs peft (extra ``lora``), whose ``LoraConfig`` takes the ``adapter__*``
        keywords, such as ``adapter__r=8``. They want about ten times the `lr`.

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
        Rows of a training batch; at least 2.

    gradient_accumulation_steps : int, default=1
        Batches whose gradients are averaged for one step of the optimiser: steps of more rows than
        memory holds. Schedules go by steps; those at the end of an epoch take the batches that are
        left. An alignment compares the rows of one batch, and batch norms have the statistics of
        one, so that with either this is no larger `batch_size`. Methods in which players take turns
        within a batch (ADDA, CoGAN, MCD, WDGRL) raise.

    early_stopping : bool or scorer, default=False
        Whether to hold out rows, and to stop when their loss no longer falls; the best weights
        are kept. A scorer of :mod:`skda.model_selection` that needs no labels, or a callable like
        one, scores the target rows of training after every epoch instead, and no rows need be
        held out: training stops when ``target_score``, in the history, no longer rises.

    validation_fraction : float, default=None
        Share of the rows that is held out to report ``valid_loss`` and
        ``valid_accuracy``; None is 0.1 with early stopping and no hold-out without.

    n_iter_no_change : int, default=10
        Epochs without improvement after which early stopping ends training.

    gradient_checkpointing : bool, default=False
        Whether training keeps the inputs of the module's blocks alone, and computes what is within
        them once more in the backward pass: a half (ResNet-18) to a twentieth (BERT) of the memory
        of activations, for a third to a half more time, to the same weights.
        :func:`skda.backbones.list_blocks` lists the blocks. Not with `compile`, nor CoGAN. What
        training leaves on disk is `checkpoint`.

    device : str or torch.device, default="auto"
        Where to train; ``"auto"`` is the accelerator that torch finds, and else the CPU.

    distributed : {"auto"} or bool, default="auto"
        Whether processes of ``accelerate launch`` or ``torchrun`` train one network together, to
        the weights of one but for rounding; see the user guide. ``"auto"`` does so where there are
        several, but not in workers and other threads. True raises there; False trains alone.

    deterministic : bool, default=True
        Whether cuDNN is held to algorithms that give the same numbers in every fit, as long as
        training lasts. With False it tries them out and takes the fastest for rows of this shape
        (``torch.backends.cudnn.benchmark``), so that fits with one `random_state` differ in their
        last digits. On other devices nothing changes.

    precision : {"float32", "bfloat16", "float16"}, default="float32"
        Precision of the forward pass, by autocast. Weights and losses stay in float32.

    compile : bool, default=False
        Whether to compile the network with ``torch.compile``.

    cuda_graphs : {"auto"} or bool, default="auto"
        Whether training on a CUDA device records its steps once and replays them as one, instead
        of launching hundreds of operations from Python in each: small networks learn about ten
        times as fast, to the same weights. ``"auto"`` does so where it can, if there are 30 steps
        or more, and ``verbose=1`` tells why it cannot: callbacks that look at batches or
        gradients, rows that are not on the device, `compile`, float16, optimisers without a fused
        form, code that waits for the device or counts in Python what it did, or little memory.
        True warns then. On other devices nothing changes.

    n_threads : int, "auto" or None, default="auto"
        How many threads of torch training and predictions take at most, on a CPU; never more than
        torch by itself (``torch.get_num_threads()``), which is what None leaves. Threads of an
        operation wait for each other, so that a small network beside other processes takes many
        times as long with two as with one. ``"auto"`` goes by the multiply-adds of an average layer
        in a step: one thread for every 5 million, of a quarter of the processors, and all threads
        from 500 million on. It is the same number in every fit on a machine, whatever else that
        does: sums over other numbers of threads are rounded otherwise. Where nothing else runs,
        None is faster by up to the half.

    on_interrupt : {"raise", "return"}, default="raise"
        What Ctrl-C does in the middle of training. In both cases no further stage begins, what
        the whole epochs taught is kept, and using it warns. ``"raise"`` then raises
        ``KeyboardInterrupt``, so that a search or a script ends; ``"return"``, for notebooks,
        returns from ``fit`` with a warning. Before the first whole epoch of a network that
        predicts both raise, and the estimator is what it was before the call.

    on_divergence : {"raise", "restore", "ignore"}, default="raise"
        What happens if a loss, a parameter or a statistic is not finite, which is looked for at
        the end of every epoch. ``"raise"`` and ``"restore"`` stop there and keep the last finite
        epoch, with :class:`skda.exceptions.DivergenceError` or with a warning; without such an
        epoch both raise. ``"ignore"`` goes on, and predictions that are not finite raise.

    warm_start : bool, default=False
        Whether to fit again begins with the weights and statistics of the last fit, the
        alignment's among them; optimisers, schedules and the history begin anew. Rows must have
        the form, and labels the classes, of that fit.

    checkpoint : str or path, default=None
        Folder in which training leaves what it has come to, so that ``fit(..., resume=True)``
        goes on after its process is gone. It goes on bit by bit as if nothing had happened, in
        every stage, whenever the process was killed, and refuses other rows, labels or
        parameters; the rows are read once more for that. The last two checkpoints are kept; every
        file is whole or not there, and none holds a pickle. A full disk is warned of, and ends no
        training. A callback that keeps what is no plain value needs ``state_dict`` and
        ``load_state_dict``. A fit without `resume` begins anew, and takes the place of what the
        folder holds. A folder is for one training at a time: leave it at None in a search.

    checkpoint_every : int, default=1
        Epochs from one checkpoint to the next. Ctrl-C and a divergence leave one of the last
        whole epoch.

    callbacks : list of skorch callbacks, default=None
        Copies of them take part in training; ``callbacks__*`` keywords reach them.

    n_jobs : int, default=None
        Threads that decode images and read the items of data sets. None means 1, and -1 all
        processors.

    verbose : int, default=0
        1 shows one bar for all stages on a terminal or in a notebook, and lines elsewhere, one an
        epoch and at most 40 a stage; nothing within a search, which has a `verbose` of its own.
        2 adds the estimated rest of time, and lines within a search.

    keep_training_state : bool, default=False
        Whether a pickle of the fitted estimator holds what only training needs too: the state of
        the optimisers, which takes twice as much as the weights, and the alignment. Without them
        it predicts the same; where it can go on training, optimisers begin anew.

    random_state : int, RandomState instance or None, default=None
        Seeds weights, order of rows and dropout. The global generator of torch is not touched.

    **prefixed_params : keywords
        ``module__*``, ``adapter__*``, ``optimizer__*``, ``criterion__*`` (of
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

    interruption_ : str or None
        What cut training short, in which stage and after how many epochs; None if nothing did.

    history_ : skorch.history.History
        One entry per epoch.

    net_ : skda.training.AdaptationNet
        The trained net.
    """

    module: Any = None
    weights: Any = "pretrained"
    weights_sha256: str | None = None
    preprocess: str | dict | Callable = "auto"
    input: str = "auto"
    image_layout: str = "auto"
    image_reading: dict | None = None
    image_store: Any = "auto"
    on_error: str = "raise"
    augment: Callable | dict | None = None
    n_frozen: int = 0
    freeze: str | list[str] | tuple[str, ...] = "none"
    adapter: str | None = None
    optimizer: str | type = "adam"
    lr: float = 1e-3
    lr_schedule: str | Callable = "annealing"
    head_lr_multiplier: float | str = "auto"
    max_epochs: int = 40
    batch_size: int = 64
    gradient_accumulation_steps: int = 1
    gradient_checkpointing: bool = False
    early_stopping: bool | Callable = False
    validation_fraction: float | None = None
    n_iter_no_change: int = 10
    device: Any = "auto"
    distributed: bool | str = "auto"
    deterministic: bool = True
    precision: str = "float32"
    compile: bool = False
    cuda_graphs: bool | str = "auto"
    n_threads: int | str | None = "auto"
    on_interrupt: str = "raise"
    on_divergence: str = "raise"
    warm_start: bool = False
    checkpoint: Any = None
    checkpoint_every: int = 1
    callbacks: list | None = None
    n_jobs: int | None = None
    verbose: int = 0
    keep_training_state: bool = False
    random_state: Any = None

    # What a subclass may make a parameter.
    layers: ClassVar[tuple[str, ...]] = ("features",)

    # What a subclass may put another in the place of.
    task_class: ClassVar[type[Task]]
    iterator_class: ClassVar[type[PairedBatches]] = PairedBatches
    keyword_prefixes: ClassVar[tuple[str, ...]] = ("module",)
    module_prefixes: ClassVar[tuple[str, ...]] = ("adapter",)
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
        "weights": [str, os.PathLike, Mapping, Enum, None],
        "weights_sha256": [str, None],
        "preprocess": [StrOptions({"auto"}), Mapping, callable],
        "input": [StrOptions(set(INPUTS))],
        "image_layout": [StrOptions(set(LAYOUTS))],
        "image_reading": [Mapping, None],
        "image_store": [str, os.PathLike, None],
        "on_error": [StrOptions({"raise", "drop"})],
        "augment": [callable, Mapping, None],
        "n_frozen": [Interval(Integral, 0, None, closed="left")],
        "freeze": [StrOptions({"none", "all"}), list, tuple],
        "adapter": [StrOptions({"lora"}), None],
        "optimizer": [str, callable],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "lr_schedule": [StrOptions({"annealing", "cosine", "constant"}), callable],
        "head_lr_multiplier": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 2, None, closed="left")],
        "gradient_accumulation_steps": [Interval(Integral, 1, None, closed="left")],
        "gradient_checkpointing": ["boolean"],
        "early_stopping": ["boolean", callable],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither"), None],
        "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
        "device": [str, torch.device],
        "distributed": [StrOptions({"auto"}), "boolean"],
        "deterministic": ["boolean"],
        "precision": [StrOptions({"float32", "bfloat16", "float16"})],
        "compile": ["boolean"],
        "cuda_graphs": [StrOptions({"auto"}), "boolean"],
        "n_threads": [Interval(Integral, 1, None, closed="left"), StrOptions({"auto"}), None],
        "on_interrupt": [StrOptions({"raise", "return"})],
        "on_divergence": [StrOptions({"raise", "restore", "ignore"})],
        "warm_start": ["boolean"],
        "checkpoint": [str, os.PathLike, None],
        "checkpoint_every": [Interval(Integral, 1, None, closed="left")],
        "callbacks": [list, None],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
        "keep_training_state": ["boolean"],
        "random_state": ["random_state"],
    }

    @classmethod
    def _prefixes(cls):
        return (*super()._prefixes(), *cls.module_prefixes)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = []  # features are float32 whatever X is
        tags.input_tags.sparse = True
        return tags

    def __sklearn_is_fitted__(self):
        return hasattr(self, "net_")

    # scikit-learn's set_output sees what a class itself defines, and nothing of a mixin.
    transform = ForwardMixin.transform
