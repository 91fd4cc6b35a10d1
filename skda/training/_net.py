"""The skorch net behind every adaptation estimator."""

import inspect
import pickle
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from skorch import NeuralNet
from skorch.callbacks import EpochTimer, PassthroughScoring
from torch import nn

from skda._sklearn_compat import cloudpickle
from skda.training._batches import PairedBatches, RowBatches
from skda.training._class_shares import SharesMixin
from skda.training._evaluation import EvaluationMixin, accuracy
from skda.training._health import check_reversal, is_adversary
from skda.training._loop import LoopMixin
from skda.training._module import AdaptationModule
from skda.training._net_threads import ThreadsMixin
from skda.training._objective import ObjectiveMixin
from skda.training._optimizers import OptimizationMixin
from skda.training._progress import EpochLog
from skda.training._stages import Stage, StageMixin
from skda.training._weights import WeightsMixin


class AdaptationNet(
    WeightsMixin,
    LoopMixin,
    ThreadsMixin,
    SharesMixin,
    StageMixin,
    ObjectiveMixin,
    EvaluationMixin,
    OptimizationMixin,
    NeuralNet,
):
    r"""A skorch net whose loss is a classification loss plus an alignment of domains.

    .. math:: \ell = \ell_c(\text{source}, y)
              + \lambda(p) \, \ell_A(\text{source}, \text{target})

    Train it with ``fit(DomainDataset(X, y, targets), None)``. All of skorch works with it:
    callbacks, checkpoints, ``set_params``, pickling. The history holds ``train_loss``,
    ``classification_loss``, ``alignment_loss`` and ``trade_off`` of every epoch, and
    ``valid_loss`` and ``valid_accuracy`` (on held-out source rows) where there is a
    ``train_split``.

    Parameters
    ----------
    module : AdaptationModule
        The network.

    alignment : torch.nn.Module, default=None
        From two dicts of activations (source, target) to a scalar; its parameters learn with the
        network's. With an attribute ``adversarial = True`` the features learn against it: their
        gradient is reversed and scaled by the trade-off, while the alignment itself learns at
        full strength. It may return a pair of the loss and a loss of its own parameters, which is
        added as it is.

    trade_off : float, default=1.0
        Weight of the alignment. With 0 training is that of the source alone.

    trade_off_schedule : {"progressive", "constant"} or callable, default="constant"
        Factor of `trade_off` by training progress in [0, 1]. Progress advances with every step
        and is 1 at the last one.

    lr_schedule : {"annealing", "cosine", "constant"} or callable, default="annealing"
        Factor of the learning rate by training progress. An
        :class:`skorch.callbacks.LRScheduler` among the callbacks takes its place.

    head_lr_multiplier : float, default=1.0
        How much faster the head and the alignment learn than the backbone.

    layer_decay : float, default=1.0
        Factor of the learning rate from every transferred block to the one below it; the last
        block has it once.

    n_transfer : int, default=None
        How many leading blocks come from an earlier training; None is all. The others learn as
        fast as the head.

    precision : {"float32", "bfloat16", "float16"}, default="float32"
        Of the network's forward pass; losses and weights stay in float32.

    valid_metric : callable, default=skda.training.accuracy
        From outputs and labels of held-out rows to a scalar tensor; the history has its mean as
        ``valid_`` and its name.

    augment : callable or dict, default=None
        From a training batch, a float tensor of shape (n, ...) before it is standardised, to
        another of this shape; or a dict of one for ``"source"`` and one for ``"target"``. A
        transform of torchvision draws once for a batch, within :func:`per_row` for every row.

    gradient_accumulation_steps : int, default=1
        Batches whose losses are averaged for one step of the optimiser, which schedules go by;
        the last step of an epoch has the batches that are left.

    gradient_checkpointing : bool, default=False
        Whether blocks of the backbone compute their activations once more in the backward pass,
        in place of keeping them.

    cuda_graphs : {"auto"} or bool, default="auto"
        Whether steps are recorded and replayed as one, which a CUDA device does several times as
        fast. ``"auto"`` does so where it can and where 30 steps or more are to come; True wherever
        it can, and warns where it cannot.

    n_threads : int, "auto" or None, default=None
        How many threads of torch training takes at most, on a CPU. ``"auto"`` is as many as an
        average layer fills, of a quarter of the processors if it is soon done; None all.

    work : (int, int), default=None
        Multiply-adds of the backbone for a row, forward, and of how many products, for
        ``n_threads="auto"``. None is not known, and takes all threads.

    target_shares : ndarray of shape (n_targets, n_classes) or callable, default=None
        Class shares of the targets, by which source rows are drawn. A function gives those of a
        target from the probabilities of its rows, and the shares that these are for, before every
        epoch but the first. The history has them as ``target_shares``.

    on_divergence : {"raise", "ignore"}, default="raise"
        What becomes of losses, parameters and statistics that are not finite, which are looked
        for at the end of every epoch.

    stages : sequence of Stage, default=()
        What learns in which epochs, see :class:`Stage`. With none, all does that is not frozen.

    criterion, optimizer, lr, max_epochs, batch_size, callbacks, verbose, device, compile, ...
        As in :class:`skorch.NeuralNet`.

    Examples
    --------
    >>> import torch
    >>> from skda.datasets import load_shifted_digits
    >>> from skda.losses import coral
    >>> from skda.nn import MLP, LayerwiseAlignment
    >>> from skda.training import AdaptationModule, AdaptationNet, DomainDataset
    >>> digits = load_shifted_digits(random_state=0)
    >>> module = AdaptationModule(
    ...     MLP(64), torch.nn.Linear(64, 10), layers=("logits",), n_targets=1
    ... )
    >>> alignment = LayerwiseAlignment({"logits": coral})
    >>> net = AdaptationNet(module, alignment=alignment, max_epochs=2, verbose=0)
    >>> as_float = lambda X: X.astype("float32")
    >>> net = net.fit(
    ...     DomainDataset(as_float(digits.X), digits.y, (as_float(digits.X_target),)), None
    ... )
    >>> len(net.history[:, "alignment_loss"])
    2
    """

    # Given instances are trained in place, and must find their device when unpickled.
    cuda_dependent_attributes_ = [*NeuralNet.cuda_dependent_attributes_, "module", "alignment"]
    # Parts that learn against the others, such as ("head",). () is the alignment, if one of its
    # parts is adversarial.
    adversary: ClassVar[tuple[str, ...]] = ()
    # What shows how far training is: of the training that this net is a part of, or its own.
    _progress: Any = None
    _own_progress: Any = None
    # Those that train it together, while they do.
    _processes: Any = None
    _sharing: Any = None
    # Whether a backward pass finds the network as the forward pass had it.
    recomputes: ClassVar[bool] = True
    # Whether its outputs are predictions, or what a later stage makes use of.
    classifies: ClassVar[bool] = True

    def __init__(
        self,
        module: AdaptationModule,
        criterion: Any = nn.CrossEntropyLoss,
        *args: Any,
        alignment: nn.Module | None = None,
        trade_off: float = 1.0,
        trade_off_schedule: str | Callable = "constant",
        lr_schedule: str | Callable = "annealing",
        head_lr_multiplier: float = 1.0,
        layer_decay: float = 1.0,
        n_transfer: int | None = None,
        precision: str = "float32",
        valid_metric: Callable = accuracy,
        augment: Any = None,
        gradient_accumulation_steps: int = 1,
        gradient_checkpointing: bool = False,
        cuda_graphs: Any = "auto",
        n_threads: int | str | None = None,
        work: tuple[int, int] | None = None,
        target_shares: Any = None,
        on_divergence: str = "raise",
        stages: tuple[Stage, ...] = (),
        optimizer: Any = torch.optim.Adam,
        lr: float = 1e-3,
        batch_size: int = 64,
        iterator_train: Any = PairedBatches,
        iterator_valid: Any = RowBatches,
        iterator_valid__batch_size: int = 1024,
        train_split: Any = None,
        **kwargs: Any,
    ):
        self.alignment = alignment
        self.trade_off = trade_off
        self.trade_off_schedule = trade_off_schedule
        self.lr_schedule = lr_schedule
        self.head_lr_multiplier = head_lr_multiplier
        self.layer_decay = layer_decay
        self.n_transfer = n_transfer
        self.precision = precision
        self.valid_metric = valid_metric
        self.augment = augment
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self.gradient_checkpointing = gradient_checkpointing
        self.cuda_graphs = cuda_graphs
        self.n_threads = n_threads
        self.work = work
        self.target_shares = target_shares
        self.on_divergence = on_divergence
        self.stages = stages
        super().__init__(
            module,
            criterion,
            *args,
            optimizer=optimizer,
            lr=lr,
            batch_size=batch_size,
            iterator_train=iterator_train,
            iterator_valid=iterator_valid,
            iterator_valid__batch_size=iterator_valid__batch_size,
            train_split=train_split,
            **kwargs,
        )

    @property
    def _default_callbacks(self):
        # Training losses are recorded by run_single_epoch, once an epoch.
        metric = f"valid_{self.valid_metric.__name__}"
        callbacks = [
            ("epoch_timer", EpochTimer()),
            ("valid_loss", PassthroughScoring(name="valid_loss")),
            (metric, PassthroughScoring(name=metric, lower_is_better=False)),
        ]
        if self.verbose:
            callbacks.append(("print_log", EpochLog()))
        return callbacks

    # -- parts --------------------------------------------------------------------------------

    def initialize_module(self):
        """Initialise ``module_`` and ``alignment_``."""
        super().initialize_module()
        self.alignment_ = nn.Identity() if self.alignment is None else self.alignment
        check_reversal(self.alignment_)
        self._begin_stages()
        return self

    def torch_compile(self, module, name):
        """Compile the network in place, so that the net can still be pickled."""
        if self.compile and name == "module":
            module.compile(**self.get_params_for("compile"))
        return module

    def _find_adversary(self):
        if self.alignment is None:
            return False
        return bool(self.adversary) or any(map(is_adversary, self.alignment_.modules()))

    def adversary_parameters(self):
        """Return the named parameters of what learns against the others, empty if nothing does.

        Returns
        -------
        parameters : list of (str, torch.nn.Parameter)
            With their names.
        """
        if self.alignment is None:
            return []
        prefixes = tuple(f"{part}." for part in self.adversary or ("alignment",))
        return [pair for pair in self._new_parameters() if pair[0].startswith(prefixes)]

    def get_iterator(self, dataset, training=False):
        """Return batches of all domains for training, of consecutive rows otherwise."""
        iterator = self.iterator_train
        is_paired = isinstance(iterator, type) and issubclass(iterator, PairedBatches)
        if not (training and is_paired):
            batches = super().get_iterator(dataset, training=training)
            return self.note_batches(batches) if training else batches
        kwargs = {"batch_size": self.batch_size, **self.get_params_for("iterator_train")}
        batches = iterator(
            dataset,
            device=self.device,
            with_target=self._needs_target(dataset),
            **kwargs,
        )
        return self.note_batches(batches)

    def _needs_target(self, dataset):
        if self.stages:
            return any(stage.batches != "source" for stage in self.stages)
        return self.trade_off != 0 or dataset.target_labels is not None

    def successor(self, net_class: type | None = None, **params: Any) -> Any:
        """Return a net that goes on with the network of this one.

        Parameters
        ----------
        net_class : class, default=None
            Of the new net; None is that of this one.

        **params : dict
            What the new net has otherwise. Keywords of the optimiser go with `optimizer`; the
            order of rows, the batch size, the device and all else stay as they are.

        Returns
        -------
        net : AdaptationNet
            Not trained yet, with an optimiser, a history and callbacks of its own.
        """
        # Not what stands in the net while it trains, which skorch returns too.
        own = {"current_trade_off", *(name for name in vars(self) if name.startswith("_"))}
        kept = {name: v for name, v in self.get_params(deep=False).items() if name not in own}
        if "optimizer" in params:
            kept = {name: v for name, v in kept.items() if not name.startswith("optimizer__")}
        return (net_class or type(self))(**{**kept, **params})

    def __setstate__(self, state):
        super().__setstate__(state)
        # A pickle of an earlier version lacks the parameters that have come since.
        for cls in type(self).__mro__:
            for name, parameter in inspect.signature(cls.__init__).parameters.items():
                if cls.__module__.startswith("skda.") and parameter.default is not parameter.empty:
                    vars(self).setdefault(name, parameter.default)

    def __getstate__(self):
        try:
            return super().__getstate__()
        except (AttributeError, pickle.PicklingError):
            # A module class of a script or notebook has no name in a worker process, which got it
            # by value, and has to give it back in the same way.
            state = vars(self).copy()
            prefixes = tuple(self.cuda_dependent_attributes_)
            dependent = {name: state.pop(name) for name in vars(self) if name.startswith(prefixes)}
            return {**state, "__cuda_dependent_attributes__": cloudpickle.dumps(dependent)}
