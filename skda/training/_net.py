"""The skorch net behind every adaptation estimator."""

import pickle
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, ClassVar

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EpochTimer, LRScheduler, PassthroughScoring, PrintLog
from skorch.utils import TeeGenerator
from torch import nn

from skda._random import drawing
from skda._sklearn_compat import cloudpickle
from skda.nn import DomainRows
from skda.training._batches import PairedBatches, RowBatches
from skda.training._drawing import draws_of_compiled, own_draws
from skda.training._evaluation import EvaluationMixin, accuracy
from skda.training._health import effective_classes, gradient_norm, is_adversary, warn_of_failure
from skda.training._module import AdaptationModule
from skda.training._objective import ObjectiveMixin
from skda.training._optimizers import OptimizationMixin
from skda.training._schedules import SCHEDULES, constant
from skda.training._stages import Stage, StageMixin


def _implements(callback, hook):
    return getattr(type(callback), hook) is not getattr(Callback, hook)


class AdaptationNet(StageMixin, ObjectiveMixin, EvaluationMixin, OptimizationMixin, NeuralNet):
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
            callbacks.append(("print_log", PrintLog()))
        return callbacks

    # -- parts --------------------------------------------------------------------------------

    def initialize_module(self):
        """Initialise ``module_`` and ``alignment_``."""
        super().initialize_module()
        self.alignment_ = nn.Identity() if self.alignment is None else self.alignment
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
        """Return the named parameters of what learns against the others, empty if nothing does."""
        if self.alignment is None:
            return []
        prefixes = tuple(f"{part}." for part in self.adversary or ("alignment",))
        return [pair for pair in self._new_parameters() if pair[0].startswith(prefixes)]

    def get_iterator(self, dataset, training=False):
        """Return batches of all domains for training, of consecutive rows otherwise."""
        iterator = self.iterator_train
        is_paired = isinstance(iterator, type) and issubclass(iterator, PairedBatches)
        if not (training and is_paired):
            return super().get_iterator(dataset, training=training)
        kwargs = {"batch_size": self.batch_size, **self.get_params_for("iterator_train")}
        return iterator(
            dataset,
            device=self.device,
            with_target=self._needs_target(dataset),
            **kwargs,
        )

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

    # -- the loop -----------------------------------------------------------------------------

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        """Prepare what lasts for one call of ``fit``."""
        super().on_train_begin(net, X, y, **kwargs)
        hooks = ("on_batch_begin", "on_batch_end")
        callbacks = [callback for _, callback in self.callbacks_]
        self._notifies_batches = any(_implements(c, h) for c in callbacks for h in hooks) or any(
            getattr(type(self), hook) is not getattr(NeuralNet, hook) for hook in hooks
        )
        self._notifies_gradients = any(_implements(c, "on_grad_computed") for c in callbacks)
        schedule = self.lr_schedule
        if any(isinstance(c, LRScheduler) for c in callbacks):
            schedule = "constant"
        self._lr_factor = SCHEDULES.get(schedule, schedule)
        if self._lr_factor is not constant:
            for group in self._param_groups():
                group["initial_lr"] = group["lr"]  # set_params may have changed it
        self._trade_off_factor = SCHEDULES.get(self.trade_off_schedule, self.trade_off_schedule)
        self._step, self._n_steps = 0, None
        if not self._needs_target(X):
            # The target's statistics come at the end; until then callbacks evaluate with those
            # of the source.
            self._evaluated_sizes = DomainRows.SOURCE_ALONE
        self._first_epoch, self._predicted = len(self.history), []
        self._has_adversary = self._find_adversary()
        self._scaler = None
        if self.precision == "float16":
            self._scaler = torch.amp.GradScaler(torch.device(self.device).type)

    def on_train_end(self, net, X=None, y=None, **kwargs):
        """Drop what lasts for one call of ``fit``, and complete the target's statistics."""
        super().on_train_end(net, X, y, **kwargs)
        if self._lr_factor is not constant:
            for group in self._param_groups():
                group["lr"] = group["initial_lr"]
        self._scaler = self._evaluated_sizes = None
        if self.stages:
            self._end_stages()
        self._complete_target_statistics(X)
        if self._has_adversary:
            warn_of_failure(self.history[self._first_epoch :])

    def partial_fit(self, X, y=None, classes=None, **fit_params):
        """Train without starting anew, as in :meth:`skorch.NeuralNet.partial_fit`."""
        with draws_of_compiled(self):
            super().partial_fit(X, y, classes, **fit_params)
        if any(getattr(callback, "load_best", False) for _, callback in self.callbacks_):
            # The best weights came back with the statistics that they had during training.
            self._complete_target_statistics(X)
        return self

    def _complete_target_statistics(self, X):
        if self._needs_target(X):
            self._pool_target_statistics()
        else:
            self.estimate_target_statistics(X.targets)

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Run one epoch; losses stay on the device until its end.

        Batch hooks are called only if somebody implements them: they cost more than a step of a
        small network.
        """
        if not training:
            if iterator is not None:
                rows = self.module_.rows.of(DomainRows.SOURCE_ALONE)
                with rows, own_draws(self, iterator, training=False) as begin_step:
                    begin_step()
                    super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)
            return
        if self._n_steps is None:
            self._n_steps = len(iterator) * self.max_epochs
        self._set_training(True)
        rows = self.module_.rows.of(getattr(iterator, "sizes", None))
        with rows, own_draws(self, iterator, training=True) as begin_step:
            step, losses = self._run_steps(iterator, begin_step, prefix, step_fn, **fit_params)
            means = torch.stack([torch.stack(row) for row in losses]).cpu().double().mean(dim=0)
        names = self._loss_names(step)
        for name, mean in zip(names, means.tolist(), strict=True):
            self.history.record(f"{prefix}_loss" if name == "loss" else name, mean)
        if "trade_off" in step:
            self.history.record("trade_off", step["trade_off"])
        *earlier, loss = [row[f"{prefix}_loss"] for row in self.history]
        self.history.record(f"{prefix}_loss_best", all(loss < other for other in earlier))
        self.history.record(f"{prefix}_batch_count", len(losses))
        self._pool_target_statistics()
        self._end_epoch_of_alignment()
        if not self._notifies_batches:
            self.history.new_batch()  # a Checkpoint looks at the last one, even if it is empty

    def _run_steps(self, iterator, begin_step, prefix, step_fn, **fit_params):
        """Return what the last step of an epoch gave, and the losses of all."""
        losses, names = [], None
        for batch in iterator:
            begin_step()
            if self._notifies_batches:
                self.notify("on_batch_begin", batch=batch, training=True)
            step = step_fn(batch, **fit_params)
            names = names or self._loss_names(step)
            losses.append([step[name].detach() for name in names])
            if self._notifies_batches:
                self.history.record_batch(f"{prefix}_loss", step["loss"].item())
                self.history.record_batch(f"{prefix}_batch_size", len(batch[1]))
                self.notify("on_batch_end", batch=batch, training=True, **step)
        return step, losses

    def _end_epoch_of_alignment(self):
        """Let the alignment's parts finish the epoch, and record their figures and the health."""
        figures = {}
        for part in self.alignment_.modules():
            if hasattr(part, "end_epoch"):
                for name, value in (part.end_epoch() or {}).items():
                    figures.setdefault(name, []).append(value)
        for name, values in figures.items():
            self.history.record(name, sum(values) / len(values))
        if self._has_adversary:
            adversary = [parameter for _, parameter in self.adversary_parameters()]
            encoder = self.module_.backbone.parameters()
            # Of the epoch's last step.
            self.history.record("encoder_gradient_norm", gradient_norm(encoder))
            self.history.record("adversary_gradient_norm", gradient_norm(adversary))
            if self._predicted:
                predicted = torch.cat(self._predicted)
                self.history.record("target_classes", effective_classes(predicted))
                self._predicted.clear()

    @staticmethod
    def _loss_names(step):
        return [name for name in step if name.endswith("loss")]

    def train_step(self, batch, **fit_params):
        """Train on one batch.

        Parameters
        ----------
        batch : tuple of (torch.Tensor, torch.Tensor)
            Rows of all domains, source first, and labels of the first of them.

        **fit_params : dict
            Passed on by skorch; not used.

        Returns
        -------
        step : dict
            ``loss``, its terms ``classification_loss`` and ``alignment_loss``, ``trade_off``, and
            the logits ``y_pred`` of the labelled rows.
        """
        # partial_fit(..., epochs=...) may go on beyond max_epochs.
        progress = min(self._step / (self._n_steps - 1), 1.0) if self._n_steps > 1 else 1.0
        self._step += 1
        if self._lr_factor is not constant:
            factor = self._lr_factor(progress)
            for group in self._param_groups():
                group["lr"] = group["initial_lr"] * factor
        self.current_trade_off = self.trade_off * self._trade_off_factor(progress)
        self.optimizer_.zero_grad()
        with drawing() if self.augment is not None else nullcontext():
            batch = self.augmented(batch)
        step = self.train_step_single(batch, **fit_params)
        if self._notifies_gradients:
            if self._scaler is not None:
                self._scaler.unscale_(self.optimizer_)
            self.notify(
                "on_grad_computed",
                named_parameters=TeeGenerator(self.get_all_learnable_params()),
                batch=batch,
                training=True,
            )
        self.step_optimizers(self.optimizer_)
        return step

    def step_optimizers(self, *optimizers: Any) -> None:
        """Let optimisers take a step, with the scale of float16 taken out of the gradients."""
        if self._scaler is None:
            for optimizer in optimizers:
                optimizer.step()
            return
        for optimizer in optimizers:
            self._scaler.step(optimizer)
        self._scaler.update()  # once all of them have looked at the scale

    def backward(self, loss: torch.Tensor, inputs: Any = None) -> None:
        """Add the gradients of a loss, of some parameters alone if `inputs` names them."""
        (loss if self._scaler is None else self._scaler.scale(loss)).backward(inputs=inputs)

    def descend(self, loss: torch.Tensor, *optimizers: Any) -> None:
        """Take a step of its own on a loss, beside the one of `train_step`."""
        for optimizer in optimizers:
            optimizer.zero_grad()
        self.backward(loss)
        self.step_optimizers(*optimizers)

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
