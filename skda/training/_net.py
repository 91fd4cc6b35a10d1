"""The skorch net behind every adaptation estimator."""

import contextlib
import pickle

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EpochTimer, LRScheduler, PassthroughScoring, PrintLog
from skorch.dataset import unpack_data
from skorch.utils import TeeGenerator, to_device
from torch import nn

from skda._sklearn_compat import cloudpickle
from skda.nn import Activations, WeightedAlignments, reverse_gradient
from skda.nn._domain_norm import DomainRows
from skda.training._batches import PairedBatches, RowBatches, as_tensor
from skda.training._health import effective_classes, gradient_norm, is_adversary, warn_of_failure
from skda.training._schedules import SCHEDULES, constant
from skda.training._statistics import set_population_statistics

# Of fewer rows a matrix product is rounded otherwise: a row's prediction would depend on how many
# are predicted with it.
_ROWS_OF_A_KERNEL = 16
_LOSSES = ("loss", "classification_loss", "alignment_loss", "adversary_loss")
_AUTOCAST = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def _split_by_rate(groups, multipliers, default_lr):
    """Yield groups of parameters with one learning rate each."""
    for group in groups:
        lr = group.get("lr", default_lr)
        factors = [multipliers.get(parameter, 1) for parameter in group["params"]]
        for factor in dict.fromkeys(factors):
            pairs = zip(group["params"], factors, strict=True)
            yield {**group, "params": [p for p, f in pairs if f == factor], "lr": lr * factor}


def _implements(callback, hook):
    return getattr(type(callback), hook) is not getattr(Callback, hook)


class AdaptationNet(NeuralNet):
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

    lr_schedule : {"annealing", "constant"} or callable, default="annealing"
        Factor of the learning rate by training progress. An
        :class:`skorch.callbacks.LRScheduler` among the callbacks takes its place.

    head_lr_multiplier : float, default=1.0
        How much faster the head and the alignment learn than the backbone.

    precision : {"float32", "bfloat16", "float16"}, default="float32"
        Of the network's forward pass; losses and weights stay in float32.

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
    _evaluated_sizes = None  # rows outside training are of the target

    def __init__(
        self,
        module,
        criterion=nn.CrossEntropyLoss,
        *args,
        alignment=None,
        trade_off=1.0,
        trade_off_schedule="constant",
        lr_schedule="annealing",
        head_lr_multiplier=1.0,
        precision="float32",
        optimizer=torch.optim.Adam,
        lr=1e-3,
        batch_size=64,
        iterator_train=PairedBatches,
        iterator_valid=RowBatches,
        iterator_valid__batch_size=1024,
        train_split=None,
        **kwargs,
    ):
        self.alignment = alignment
        self.trade_off = trade_off
        self.trade_off_schedule = trade_off_schedule
        self.lr_schedule = lr_schedule
        self.head_lr_multiplier = head_lr_multiplier
        self.precision = precision
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
        callbacks = [
            ("epoch_timer", EpochTimer()),
            ("valid_loss", PassthroughScoring(name="valid_loss")),
            ("valid_accuracy", PassthroughScoring(name="valid_accuracy", lower_is_better=False)),
        ]
        if self.verbose:
            callbacks.append(("print_log", PrintLog()))
        return callbacks

    # -- parts --------------------------------------------------------------------------------

    def initialize_module(self):
        """Initialise ``module_`` and ``alignment_``."""
        super().initialize_module()
        self.alignment_ = nn.Identity() if self.alignment is None else self.alignment
        return self

    def torch_compile(self, module, name):
        """Compile the network in place, so that the net can still be pickled."""
        if self.compile and name == "module":
            module.compile(**self.get_params_for("compile"))
        return module

    def initialize_optimizer(self, triggered_directly=None):
        """Initialise the optimiser, with its fused form where torch has one."""
        named = [(f"backbone.{k}", p) for k, p in self.module_.backbone.named_parameters()]
        named = [(name, p) for name, p in named + self._new_parameters() if self._learns(p)]
        self.optimizer_ = self._make_optimizer("optimizer", named)
        return self

    def _make_optimizer(self, name, named_parameters):
        """Return the optimiser of this name, whose keywords are ``name__*``."""
        (groups,), kwargs = self.get_params_for_optimizer(name, named_parameters)
        multipliers = self._lr_multipliers()
        if any(multiplier != 1 for multiplier in multipliers.values()):
            groups = list(_split_by_rate(groups, multipliers, kwargs["lr"]))
        return self._fused_if_possible(getattr(self, name), groups, kwargs)

    def _param_groups(self):
        """Return the groups of all optimisers, of which skorch keeps the names."""
        optimizers = [getattr(self, f"{name}_") for name in self._optimizers]
        return [group for optimizer in optimizers for group in optimizer.param_groups]

    def _new_parameters(self):
        """Return the named parameters of all but the backbone."""
        new = [
            (name, parameter)
            for name, parameter in self.module_.named_parameters()
            if not name.startswith("backbone.")
        ]
        new += self.alignment_.named_parameters(prefix="alignment")
        new += self.criterion_.named_parameters(prefix="criterion")
        return new

    def _find_adversary(self):
        return any(map(is_adversary, self.alignment_.modules()))

    def _adversary_parameters(self):
        """Return the named parameters of the adversary, if there is one."""
        return list(self.alignment_.named_parameters(prefix="alignment"))

    def _learns(self, parameter):
        """Whether the optimiser is to know a parameter."""
        return parameter.requires_grad

    def _lr_multipliers(self):
        """Return by parameter the factors of the learning rate, 1 for what is left out."""
        return {p: self.head_lr_multiplier for _, p in self._new_parameters()}

    @staticmethod
    def _fused_if_possible(optimizer, groups, kwargs):
        has_fused = optimizer in (torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD)
        if has_fused and not {"fused", "foreach", "differentiable"} & set(kwargs):
            with contextlib.suppress(RuntimeError):  # no fused form on this device
                return optimizer(groups, fused=True, **kwargs)
        return optimizer(groups, **kwargs)

    def get_iterator(self, dataset, training=False):
        """Return batches of all domains for training, of consecutive rows otherwise."""
        if not (training and self.iterator_train is PairedBatches):
            return super().get_iterator(dataset, training=training)
        kwargs = {"batch_size": self.batch_size, **self.get_params_for("iterator_train")}
        return PairedBatches(
            dataset,
            device=self.device,
            with_target=self._needs_target(dataset),
            **kwargs,
        )

    def _needs_target(self, dataset):
        return self.trade_off != 0 or dataset.target_labels is not None

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
        self._scaler = None
        self._evaluated_sizes = self.module_.rows.sizes = None
        self._complete_target_statistics(X)
        if self._has_adversary:
            warn_of_failure(self.history[self._first_epoch :])

    def partial_fit(self, X, y=None, classes=None, **fit_params):
        """Train without starting anew, as in :meth:`skorch.NeuralNet.partial_fit`."""
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

    def _pool_target_statistics(self):
        if self.module_.n_targets > 1:
            for norm in self.module_.domain_batch_norms():
                norm.pool_targets()

    def run_single_epoch(self, iterator, training, prefix, step_fn, **fit_params):
        """Run one epoch; losses stay on the device until its end.

        Batch hooks are called only if somebody implements them: they cost more than a step of a
        small network.
        """
        if not training:
            if iterator is not None:
                self.module_.rows.sizes = DomainRows.SOURCE_ALONE
                super().run_single_epoch(iterator, training, prefix, step_fn, **fit_params)
            return
        if self._n_steps is None:
            self._n_steps = len(iterator) * self.max_epochs
        self.module_.rows.sizes = getattr(iterator, "sizes", None)
        self._set_training(True)
        losses = []
        for batch in iterator:
            if self._notifies_batches:
                self.notify("on_batch_begin", batch=batch, training=True)
            step = step_fn(batch, **fit_params)
            losses.append([step[name].detach() for name in self._loss_names(step)])
            if self._notifies_batches:
                self.history.record_batch(f"{prefix}_loss", step["loss"].item())
                self.history.record_batch(f"{prefix}_batch_size", len(batch[1]))
                self.notify("on_batch_end", batch=batch, training=True, **step)
        names = self._loss_names(step)
        means = torch.stack([torch.stack(row) for row in losses]).double().mean(dim=0).tolist()
        for name, mean in zip(names, means, strict=True):
            self.history.record(f"{prefix}_loss" if name == "loss" else name, mean)
        if "trade_off" in step:
            self.history.record("trade_off", step["trade_off"])
        earlier = [row[f"{prefix}_loss"] for row in self.history[:-1]]
        self.history.record(f"{prefix}_loss_best", all(means[0] < loss for loss in earlier))
        self.history.record(f"{prefix}_batch_count", len(losses))
        self._pool_target_statistics()
        self._end_epoch_of_alignment()
        if not self._notifies_batches:
            self.history.new_batch()  # a Checkpoint looks at the last one, even if it is empty

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
            adversary = [parameter for _, parameter in self._adversary_parameters()]
            encoder = self.module_.backbone.parameters()
            # Of the epoch's last step.
            self.history.record("encoder_gradient_norm", gradient_norm(encoder))
            self.history.record("adversary_gradient_norm", gradient_norm(adversary))
            if self._predicted:
                n_classes = self.module_.head.out_features
                predicted = torch.cat(self._predicted)
                self.history.record("target_classes", effective_classes(predicted, n_classes))
                self._predicted.clear()

    @staticmethod
    def _loss_names(step):
        return [name for name in _LOSSES if name in step]

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
        self._trade_off = self.trade_off * self._trade_off_factor(progress)
        self.optimizer_.zero_grad()
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
        self._step_optimizers(self.optimizer_)
        return step

    def _step_optimizers(self, *optimizers):
        if self._scaler is None:
            for optimizer in optimizers:
                optimizer.step()
            return
        for optimizer in optimizers:
            self._scaler.step(optimizer)
        self._scaler.update()  # once all of them have looked at the scale

    def _backward(self, loss, inputs=None):
        (loss if self._scaler is None else self._scaler.scale(loss)).backward(inputs=inputs)

    def _descend(self, loss, *optimizers):
        """Take a step of its own on a loss, beside the one of `train_step`."""
        for optimizer in optimizers:
            optimizer.zero_grad()
        self._backward(loss)
        self._step_optimizers(*optimizers)

    def train_step_single(self, batch, **fit_params):
        """Forward both domains at once, and backward through the sum of the losses.

        Parameters
        ----------
        batch : tuple of (torch.Tensor, torch.Tensor)
            As in `train_step`.

        **fit_params : dict
            Passed on by skorch; not used.

        Returns
        -------
        step : dict
            As in `train_step`.
        """
        X, y = batch
        y = to_device(y, self.device)
        logits, activations = self.infer(X, **fit_params)
        labelled = self.module_.labelled_logits(logits, len(y))
        loss = classification_loss = self.criterion_(labelled, y)
        step = {
            "y_pred": labelled,
            "classification_loss": classification_loss,
            "trade_off": self._trade_off,
        }
        if self.trade_off != 0 and self._is_aligned(len(logits)):
            step.update(self._train_adversary(activations, y))
            alignment_loss, weighted = self.get_alignment_loss(activations, y)
            loss = classification_loss + weighted
            step["alignment_loss"] = alignment_loss
            if self._has_adversary:
                self._predicted.append(logits[self.module_.rows.sizes[0] :].detach().argmax(dim=1))
        step["loss"] = loss
        self._backward(loss)
        return step

    def _train_adversary(self, activations, labels):
        """Let an adversary learn by itself; return its losses by name."""
        return {}

    def _is_aligned(self, n_rows):
        sizes = self.module_.rows.sizes
        return self.alignment is not None and sizes is not None and sizes[0] < n_rows

    def get_alignment_loss(self, activations, labels):
        """Return the alignment loss, and what it adds to the training loss.

        Parameters
        ----------
        activations : dict of str to torch.Tensor
            Activations of a training batch by layer, source rows first.

        labels : torch.Tensor of shape (n_labels,)
            Class numbers of the first rows of the batch.

        Returns
        -------
        alignment_loss : torch.Tensor of shape ()
            The loss itself.

        weighted : torch.Tensor of shape ()
            The loss with the trade-off in place.
        """
        if not isinstance(self.alignment_, WeightedAlignments):
            return self._part_loss(self.alignment_, activations, labels, 1.0)
        losses = [
            self._part_loss(alignment, activations, labels, weight)
            for alignment, weight in self.alignment_.parts()
        ]
        return tuple(sum(column) for column in zip(*losses, strict=True))

    def _part_loss(self, alignment, activations, labels, weight):
        """Return the loss of one alignment times its weight, and what it adds to the training."""
        adversarial = getattr(alignment, "adversarial", False)
        if adversarial:
            # The reversal carries the trade-off, so that the adversary learns at full strength.
            strength = self._trade_off * weight
            activations = {name: reverse_gradient(x, strength) for name, x in activations.items()}
        loss = alignment(*self._by_domain(activations, labels))
        # An alignment with an opponent that learns by another loss returns both.
        loss, opponent_loss = loss if isinstance(loss, tuple) else (loss, 0.0)
        if not isinstance(loss, torch.Tensor) or loss.ndim:
            shape = getattr(loss, "shape", None)
            given = type(loss).__name__ if shape is None else f"shape {tuple(shape)}"
            raise ValueError(
                f"alignment must return a scalar tensor, but it gave {given}; name at least one "
                "layer, and average or add up what the alignment returns."
            )
        weighted = loss if adversarial else self._trade_off * weight * loss
        return weight * loss, weighted + opponent_loss

    def _by_domain(self, activations, labels):
        """Return the activations of the source's rows and those of the targets' rows."""
        n_source = self.module_.rows.sizes[0]
        source, target = (
            Activations({name: x[rows] for name, x in activations.items()}, (), labels[rows])
            for rows in (slice(None, n_source), slice(n_source, None))
        )
        if not len(target.labels):
            target.labels = None
        return source, target

    def validation_step(self, batch, **fit_params):
        """Evaluate one batch of held-out source rows."""
        self._set_training(False)
        X, y = unpack_data(batch)
        y = to_device(y, self.device)
        with torch.no_grad():
            logits, _ = self.infer(X, **fit_params)
            logits = self.module_.labelled_logits(logits, len(y))
            loss = self.criterion_(logits, y)
        accuracy = (logits.argmax(dim=1) == y).float().mean()
        self.history.record_batch("valid_accuracy", accuracy.item())
        return {"loss": loss, "y_pred": logits}

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

    # -- inference ----------------------------------------------------------------------------

    def evaluation_step(self, batch, training=False):
        """Forward one batch of target rows, also for a callback in the middle of training."""
        X, y = unpack_data(batch)
        n_rows = len(X)
        if n_rows < _ROWS_OF_A_KERNEL and not training:
            X = torch.cat([X, X[-1:].expand(_ROWS_OF_A_KERNEL - n_rows, *X.shape[1:])])
        sizes, self.module_.rows.sizes = self.module_.rows.sizes, self._evaluated_sizes
        try:
            logits, activations = super().evaluation_step((X, y), training=training)
        finally:
            self.module_.rows.sizes = sizes
        return logits[:n_rows], {name: value[:n_rows] for name, value in activations.items()}

    def infer(self, x, **fit_params):
        """Forward rows, in the net's precision.

        Parameters
        ----------
        x : torch.Tensor or ndarray
            Rows.

        **fit_params : dict
            Passed on by skorch; not used.

        Returns
        -------
        logits : torch.Tensor of shape (n, n_classes)
            In float32 whatever the precision.

        activations : dict of str to torch.Tensor
            By layer, in float32.
        """
        return self._infer(self.module_, x)

    def _infer(self, module, x):
        x = to_device(x, self.device)
        if self.precision == "float32":
            return module(x)
        with torch.autocast(torch.device(self.device).type, dtype=_AUTOCAST[self.precision]):
            logits, activations = module(x)
        return logits.float(), {name: value.float() for name, value in activations.items()}

    def predict(self, X):
        """Predict the class of rows of the target domain.

        Parameters
        ----------
        X : ndarray, torch.Tensor or Dataset
            Rows.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Class numbers.
        """
        return self.predict_proba(X).argmax(axis=1)

    @contextlib.contextmanager
    def source_statistics(self):
        """Within this context rows are normalised as rows of the source, not of the target.

        To look at the features of source rows; predictions of an estimator are for the target.
        """
        self._evaluated_sizes = self.module_.rows.sizes = DomainRows.SOURCE_ALONE
        try:
            yield
        finally:
            self._evaluated_sizes = self.module_.rows.sizes = None

    def estimate_target_statistics(self, targets):
        """Set the batch norms' target statistics to those of the target rows under this network.

        Needed where training saw no target rows. The statistics are exact: mean and biased
        variance over all rows of a domain, measured with the layers below already adapted, and
        with dropout off. A domain with up to ``iterator_valid__batch_size`` rows takes one
        forward; one of n batches about n for every batch norm, each only as far as that layer.

        Parameters
        ----------
        targets : sequence of arrays
            The rows of every target domain.
        """
        module = self.module_
        size = self.iterator_valid__batch_size
        self._set_training(False)
        try:
            for number, rows in enumerate(targets):
                module.rows.sizes = DomainRows.target_alone(number)

                def forward(part, rows=rows):
                    # Not the compiled network, which would pass over hooks.
                    self._infer(module.forward, as_tensor(rows[part]))

                with torch.no_grad():
                    set_population_statistics(
                        [norm.norms[number + 1] for norm in module.domain_batch_norms()],
                        forward,
                        [slice(start, start + size) for start in range(0, len(rows), size)],
                    )
        finally:
            module.rows.sizes = None
        self._pool_target_statistics()
