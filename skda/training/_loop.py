"""The loop over epochs and steps, and what is looked after in it."""

import math
from contextlib import nullcontext
from typing import Any, ClassVar

import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, GradientNormClipping, LRScheduler
from skorch.utils import TeeGenerator

from skda._random import drawing
from skda._torch import StepValues
from skda.nn import DomainRows, SharedBatchNorm
from skda.training._accumulation import AccumulationMixin, n_optimizer_steps
from skda.training._drawing import own_draws
from skda.training._health import effective_classes, gradient_norms, warn_of_failure
from skda.training._recomputing import check_recomputing, recomputed
from skda.training._recording import RecordingMixin
from skda.training._recovery import RecoveryMixin
from skda.training._schedules import SCHEDULES, constant
from skda.training._sharing import SharedSteps
from skda.training._stacking import take_epoch_with_others


def _implements(callback, hook):
    return getattr(type(callback), hook) is not getattr(Callback, hook)


class LoopMixin(AccumulationMixin, RecordingMixin, RecoveryMixin):
    """Epochs and steps of a net."""

    _lr_factor: Any = None
    _shares_norms = False  # whether some layers have statistics that domains share
    # Losses differ in scale, and with them what is a strong alignment.
    usual_trade_off: ClassVar[float] = 1.0

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        """Prepare what lasts for one call of ``fit``."""
        super().on_train_begin(net, X, y, **kwargs)
        self.check_accumulation()
        check_recomputing(self)
        hooks = ("on_batch_begin", "on_batch_end")
        callbacks = [callback for _, callback in self.callbacks_]
        self._notifies_batches = any(_implements(c, h) for c in callbacks for h in hooks) or any(
            getattr(type(self), hook) is not getattr(NeuralNet, hook) for hook in hooks
        )
        looking = [c for c in callbacks if _implements(c, "on_grad_computed")]
        self._notifies_gradients = bool(looking)
        self._clips_alone = all(type(c) is GradientNormClipping for c in looking)
        schedule = self.lr_schedule
        if any(isinstance(c, LRScheduler) for c in callbacks):
            schedule = "constant"
        for group in self._param_groups():
            group["initial_lr"] = group["lr"]  # set_params may have changed it
        self._lr_factor = SCHEDULES.get(schedule, schedule)
        self._trade_off_factor = SCHEDULES.get(self.trade_off_schedule, self.trade_off_schedule)
        self._step, self._n_steps = 0, None
        if not self._needs_target(X):
            # The target's statistics come at the end; until then callbacks evaluate with those
            # of the source.
            self._evaluated_sizes = DomainRows.SOURCE_ALONE
        self._recording = None
        self._first_epoch, self._predicted = len(self.history), StepValues()
        self._has_adversary = self._find_adversary()
        self._shares_norms = any(isinstance(m, SharedBatchNorm) for m in self.module_.modules())
        if self._processes is not None:
            self._sharing = SharedSteps(self, self._processes)
        self._scaler = None
        if self.precision == "float16":
            self._scaler = torch.amp.GradScaler(torch.device(self.device).type)

    def on_train_end(self, net, X: Any = None, y=None, **kwargs):
        """Drop what lasts for one call of ``fit``, and complete the target's statistics."""
        super().on_train_end(net, X, y, **kwargs)
        self._leave_training()
        self._complete_target_statistics(X)
        if self._has_adversary:
            labels = torch.as_tensor(X.y)
            are_classes = labels.dtype == torch.int64 and labels.ndim == 1
            source_classes = effective_classes(labels) if are_classes else math.inf
            source_classes = self.effective_source_classes(source_classes)
            warn_of_failure(self.history[self._first_epoch :], source_classes)

    def _leave_training(self):
        """Drop what lasts for one call of ``fit``, however it ends."""
        if self._lr_factor not in (None, constant):
            for group in self._param_groups():
                group["lr"] = group["initial_lr"]
        self._lr_factor = None
        self._recording = None
        self._scaler = self._evaluated_sizes = self._whole_epoch = self._predicted = None
        if self._own_progress is not None:
            self._own_progress.close()
        self._progress = self._own_progress = None
        if self._sharing is not None:
            self._sharing.close()
        self._sharing = self._processes = None
        self._batches = self._order = self._shares = self._labels = self._are_drawn = None
        if self.stages:
            self._end_stages()

    def _complete_target_statistics(self, X):
        if self._needs_target(X):
            self._pool_target_statistics()
        else:
            self.estimate_target_statistics(X.targets)
        self.check_target_statistics()

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
                if self._sharing is not None:  # what callbacks decide by is rounded
                    self._sharing.take_over_batches(self.history)
            return
        if self._n_steps is None:
            of_epoch = n_optimizer_steps(len(iterator), self.gradient_accumulation_steps)
            self._n_steps = of_epoch * self.max_epochs
            if self._continued is not None:  # by a net that does not know its steps
                self._step = of_epoch * (len(self.history) - 1)
        self._set_training(True)
        self.draw_source_by_shares(iterator)
        rows = self.module_.rows.of(getattr(iterator, "sizes", None))
        recording = self._recording_of(iterator)
        shared = nullcontext(iterator) if self._sharing is None else self._sharing.epoch(iterator)
        with rows, shared as batches:
            if recording is not None:
                step, losses = self._run_recorded(recording)
            elif (taken := take_epoch_with_others(self, iterator)) is not None:
                step, losses = taken
            else:
                with own_draws(self, iterator, training=True) as begin_step, recomputed(self):
                    step, losses = self._run_steps(
                        iterator, batches, begin_step, prefix, step_fn, **fit_params
                    )
            losses = losses.cpu().double()
            if self._processes is not None:
                losses = self._processes.of_first(losses)
        self._check_weights_were_used(iterator)
        names = self._loss_names(step)
        if self.on_divergence == "raise":
            self._check_finite(names, losses, iterator)
        for name, mean in zip(names, losses.mean(dim=0).tolist(), strict=True):
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

    def _run_steps(self, iterator, batches, begin_step, prefix, step_fn, **fit_params):
        """Return what the last step of an epoch gave, and the losses of all, a row each."""
        losses = StepValues()
        names: list[str] = []
        self._begin_groups(iterator)
        for batch in batches:
            begin_step()
            if self._notifies_batches:
                self.notify("on_batch_begin", batch=batch, training=True)
            try:
                step = step_fn(batch, **fit_params)
            except (ValueError, RuntimeError) as error:  # of a loss that looks for itself
                n_before = len(losses) // max(len(names), 1)
                cause = self._find_divergence(batch, n_before + 1, iterator)
                if cause is None:
                    raise
                raise cause from error
            names = names or self._loss_names(step)
            losses.add(torch.stack([step[name].detach() for name in names]))
            if self._progress is not None:
                self._progress.step(len(iterator))
            if self._notifies_batches:
                self.history.record_batch(f"{prefix}_loss", step["loss"].item())
                self.history.record_batch(f"{prefix}_batch_size", len(batch[1]))
                self.notify("on_batch_end", batch=batch, training=True, **step)
        self._end_groups(iterator)
        return step, losses.values().view(-1, len(names))

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
            of_encoder, of_adversary = gradient_norms(encoder, adversary)
            # Of the epoch's last step.
            self.history.record("encoder_gradient_norm", of_encoder)
            self.history.record("adversary_gradient_norm", of_adversary)
            if self._predicted:
                self.history.record("target_classes", effective_classes(self._predicted.values()))
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
        rates, self.current_trade_off = self.schedule_at(self._step)
        if self._groups is not None:
            self._groups.begin_batch()
        self._step += self._groups is None or self._groups.is_last
        if rates is not None:
            for group, lr in zip(self._param_groups(), rates, strict=True):
                group["lr"] = lr
        return self.learn_from(batch, **fit_params)

    def schedule_at(self, step: int) -> tuple[list[float] | None, float]:
        """Return the learning rates of all groups, None if they stay, and the trade-off.

        Parameters
        ----------
        step : int
            Of the whole training, counted from 0.

        Returns
        -------
        rates : list of float or None
            By group of parameters.

        trade_off : float
            With its schedule.
        """
        # partial_fit(..., epochs=...) may go on beyond max_epochs.
        progress = min(step / (self._n_steps - 1), 1.0) if self._n_steps > 1 else 1.0
        rates = None
        if self._lr_factor is not constant:
            factor = self._lr_factor(progress)
            rates = [group["initial_lr"] * factor for group in self._param_groups()]
        return rates, self.trade_off * self._trade_off_factor(progress)

    def learn_from(self, batch: Any, **fit_params: Any) -> dict[str, Any]:
        """Take a step of `train_step`, with the learning rates and the trade-off as they are.

        Parameters
        ----------
        batch : tuple
            Rows, labels and, where rows have some, weights.

        **fit_params : dict
            Passed on by skorch.

        Returns
        -------
        step : dict
            That of :meth:`train_step_single`.
        """
        groups = self._groups
        if groups is None or groups.is_first:
            self.optimizer_.zero_grad()
        with drawing() if self.augment is not None else nullcontext():
            batch = self.augmented(self.split_weights(batch))
        self.module_.rows.target_share = self.target_share()
        with self._adding():
            step = self.train_step_single(batch, **fit_params)
        self._weights = self.module_.rows.target_share = None
        if groups is not None and not groups.is_last:
            return step
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

    def target_share(self) -> torch.Tensor | None:
        """Return what the target counts in the statistics that domains share, in this step.

        From nothing without an alignment to one half, so that what the source teaches does not
        depend on rows that nothing is aligned to; a quarter at `usual_trade_off`. None if no layer
        asks for it.

        Returns
        -------
        share : torch.Tensor or None
            A scalar, from 0 to 0.5.
        """
        if not self._shares_norms:
            return None
        # A tensor, as in recorded steps: numbers of Python are rounded elsewhere.
        trade_off = torch.as_tensor(self.current_trade_off, dtype=torch.float32)
        return 0.5 * trade_off / (self.usual_trade_off + trade_off)

    def step_optimizers(self, *optimizers: Any) -> None:
        """Let optimisers take a step, with the scale of float16 taken out of the gradients.

        Parameters
        ----------
        *optimizers : torch.optim.Optimizer
            Those that take the step.
        """
        self._refuse_own_step()
        if self._scaler is None:
            for optimizer in optimizers:
                optimizer.step()
            return
        for optimizer in optimizers:
            self._scaler.step(optimizer)
        self._scaler.update()  # once all of them have looked at the scale

    def backward(self, loss: torch.Tensor, inputs: Any = None) -> None:
        """Add the gradients of a loss, of some parameters alone if `inputs` names them.

        Parameters
        ----------
        loss : torch.Tensor
            A scalar.

        inputs : sequence of torch.Tensor, default=None
            The parameters; None is all.
        """
        loss = self._part_of_step(loss)
        with nullcontext() if self._sharing is None else self._sharing.backward():
            (loss if self._scaler is None else self._scaler.scale(loss)).backward(inputs=inputs)

    def descend(self, loss: torch.Tensor, *optimizers: Any) -> None:
        """Take a step of its own on a loss, beside the one of `train_step`.

        Parameters
        ----------
        loss : torch.Tensor
            A scalar.

        *optimizers : torch.optim.Optimizer
            Those that take the step.
        """
        self._refuse_own_step()
        for optimizer in optimizers:
            optimizer.zero_grad()
        self.backward(loss)
        self.step_optimizers(*optimizers)
