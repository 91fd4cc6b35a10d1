"""What stays of a training that is interrupted, fails or diverges: its whole epochs."""

import dis
import math
import signal
from contextlib import nullcontext
from itertools import chain
from typing import Any

import torch
from torch import nn

from skda._random import not_drawing
from skda.exceptions import DivergenceError
from skda.training._continuation import ContinuationMixin
from skda.training._drawing import draws_of_training
from skda.training._packing import pack, unpack
from skda.training._part_state import get_attributes, set_module_state
from skda.training._saved_params import SavedParamsMixin
from skda.training._state import StateMixin
from skda.training._statistics import ranges

# Tensors of up to as many numbers are looked at together.
_SMALL = 2**16
_RAISE = dis.opmap["RAISE_VARARGS"]


class _StopTraining(KeyboardInterrupt):
    """A callback asks to end training with the epoch that is over, as skorch's own do."""


def _is_raised(error):
    """Whether code raised it: a signal stops other instructions, or runs its handler."""
    handler = getattr(signal.getsignal(signal.SIGINT), "__code__", None)
    trace = error.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
        if trace.tb_frame.f_code is handler:
            return False
    return trace.tb_frame.f_code.co_code[trace.tb_lasti] == _RAISE


class RecoveryMixin(SavedParamsMixin, ContinuationMixin, StateMixin):
    """A net that tells a training that was cut from one that is whole.

    Epochs count as a whole. Ctrl-C, an error, or a figure that is not finite take the network
    back to the end of the last whole epoch, and reach the caller. A callback that raises
    ``KeyboardInterrupt`` at the end of an epoch, as early stopping does, ends training well.
    """

    # Number, tensors and their values of the last whole epoch, while training runs.
    _whole_epoch: Any = None
    _predicted: Any = None
    _masks = frozenset()  # names of buffers that hold infinity by design, such as of attention
    _has_ended = False  # the last training came to its end, be it an early one

    def partial_fit(self, X, y=None, classes=None, **fit_params):
        """Train without starting anew, as in :meth:`skorch.NeuralNet.partial_fit`.

        Parameters
        ----------
        X : DomainDataset or array-like
            The rows.

        y : array-like, default=None
            Labels; None where a DomainDataset has them.

        classes : ndarray of shape (n_classes,), default=None
            Not used, as in skorch.

        **fit_params : dict
            Passed on to every step.

        Returns
        -------
        self : object
            The trained net.

        Raises
        ------
        KeyboardInterrupt
            If training is interrupted. The network is what it was after the last whole epoch.

        skda.exceptions.DivergenceError
            If a loss, a parameter or a statistic is not finite, unless `on_divergence` is
            ``"ignore"``. The network is what it was after the last epoch without.
        """
        if not self.initialized_:
            self.initialize()
        self._has_ended = False
        with self.own_threads():
            return self._fit_partially(X, y, fit_params)

    def _fit_partially(self, X, y, fit_params):
        n_before = len(self.history)
        try:
            self.notify("on_train_begin", X=X, y=y)
            cut = self._run_epochs(X, y, **self._restore(fit_params))
            if cut is None and self._sharing is not None:
                self._sharing.agree("the end of training")
            if cut is None or len(self.history) > n_before:
                self._keep_place()
                self.notify("on_train_end", X=X, y=y)
                self._has_ended = True
        finally:
            self._leave_training()
        if any(getattr(callback, "load_best", False) for _, callback in self.callbacks_):
            # The best weights came back with the statistics that they had during training.
            self._complete_target_statistics(X)
        if cut is not None:
            raise cut
        return self

    def _restore(self, fit_params):
        """Go back to where a training stood whose process is gone; return what is to be trained."""
        if self._continued is not None:
            self._continue()
        if self._checkpoints is None:
            return fit_params
        self.get_training_state()  # what cannot be stored is an error before training begins
        n_done = self._checkpoints.restore_epoch(self)
        if self._progress is not None and 0 < n_done < self.max_epochs:
            self._progress.begin(self.max_epochs, n_done)
        return {**fit_params, "epochs": max(0, self.max_epochs - n_done)}

    def _run_epochs(self, X, y, **fit_params):
        """Return what cut the training, None if nothing did."""
        if self.on_divergence == "raise":
            self._check_start()
        self._keep_epoch()
        try:
            with draws_of_training(self):
                self.fit_loop(X, y, **fit_params)
        except _StopTraining:
            return None
        except (KeyboardInterrupt, DivergenceError) as error:
            if self._checkpoints is not None:
                self._checkpoints.flush(self)
            self._go_back()
            return error
        except BaseException:
            self._go_back()
            raise
        return None

    def notify(self, method_name, **kwargs):
        """Call a hook of the net and of its callbacks, which may ask to end training."""
        if method_name != "on_epoch_end":
            super().notify(method_name, **kwargs)
            if method_name == "on_train_end":
                self._restore_best()
            return
        stop = None
        try:
            super().notify(method_name, **kwargs)
        except KeyboardInterrupt as error:
            if not _is_raised(error):
                raise
            stop = error
        # Only now: callbacks have recorded the last figures of the epoch.
        if self.on_divergence == "raise":
            self._check_held_out()
        self._keep_epoch()
        self._note_best()
        if stop is not None:
            raise _StopTraining from stop
        if self._checkpoints is not None:
            self._checkpoints.note_epoch(self)

    # -- the last whole epoch -----------------------------------------------------------------

    def _learned(self):
        """Return the parts that training changes, by name."""
        names = [*self._modules, *self._criteria]
        return {name: getattr(self, f"{name}_") for name in names}

    def _tensors(self):
        """Yield the names of parameters and statistics, and themselves."""
        for name, part in self._learned().items():
            if isinstance(part, nn.Module):
                for path, tensor in chain(part.named_parameters(), part.named_buffers()):
                    yield f"{name}.{path}", tensor

    def _places(self):
        """Return where parameters and statistics stand: a fifth of the time of their names."""
        return [
            (store, name, tensor)
            for part in self._learned().values()
            if isinstance(part, nn.Module)
            for owner in part.modules()
            for store in (owner._parameters, owner._buffers)
            for name, tensor in store.items()
        ]

    def _keep_epoch(self):
        # Whole before it takes the place of the one before: an interruption may come in between.
        places = self._places()
        tensors = {id(tensor): tensor for _, _, tensor in places if tensor is not None}
        with torch.no_grad(), not_drawing():
            values = _copies(tensors.values())
        kept: dict[str, torch.Tensor] = {}
        attributes = pack(get_attributes(self.alignment_), kept)
        kept = {name: tensor.clone() for name, tensor in kept.items()}
        self._whole_epoch = len(self.history), self._step, places, values, (attributes, kept)

    def _go_back(self):
        n_epochs, self._step, places, values, attributes = self._whole_epoch
        del self.history[n_epochs:]
        self._predicted.clear()
        with torch.no_grad():
            for tensors, copies in values:
                for tensor, copy in zip(
                    tensors, copies.split([t.numel() for t in tensors]), strict=True
                ):
                    tensor.copy_(copy.view(tensor.shape))
            for store, name, tensor in places:
                store[name] = tensor  # buffers may have been put in the place of others
        set_module_state(self.alignment_, {"tensors": {}, "attributes": unpack(*attributes)})
        for name in self._optimizers:  # moments belong to steps that are taken back
            getattr(self, f"{name}_").state.clear()

    # -- divergence ---------------------------------------------------------------------------

    def _check_finite(self, names, losses, iterator):
        """Raise if a loss of the epoch, or what the network has come to, is not finite.

        Parameters
        ----------
        names : list of str
            Of the losses.

        losses : torch.Tensor of shape (n_steps, n_losses)
            On the CPU.

        iterator : iterable
            The training batches.
        """
        if not math.isfinite(losses.sum().item()):
            step, number = (~losses.isfinite()).nonzero()[0].tolist()
            what = f"{names[number]} was {losses[step, number].item()} in step {step + 1}"
            raise self._divergence(names[number], what, step + 1, iterator)
        if (name := self._first_not_finite()) is not None:
            what = f"{name} was not finite after step {len(losses)}"
            raise self._divergence(name, what, len(losses), iterator)

    def _are_finite(self):
        """Tell whether all is finite, masks included: what is asked in every epoch, and cheap."""
        with torch.no_grad(), not_drawing():
            small, parts = [], []
            for _, _, tensor in self._places():
                if tensor is not None and tensor.is_floating_point() and (size := tensor.numel()):
                    (small if size <= _SMALL else parts).append(tensor)
            if small:
                parts.append(torch.cat([tensor.reshape(-1) for tensor in small]))
            # In float64, which takes longer, only where a sum of finite values may have overflown.
            return not parts or any(
                all(map(math.isfinite, torch.stack([p.sum(dtype=dtype) for p in parts]).tolist()))
                for dtype in (torch.float32, torch.float64)
            )

    def _largest_magnitudes(self):
        """Return the largest magnitude of every parameter and statistic by name, NaN if in it."""
        return {
            name: tensor.detach().abs().max().item()
            for name, tensor in self._tensors()
            if tensor.is_floating_point() and tensor.numel()
        }

    def _first_not_finite(self):
        """Return the name of a parameter or statistic that is not finite, None if all are."""
        if self._are_finite():
            return None
        for name, largest in self._largest_magnitudes().items():
            if not math.isfinite(largest) and name not in self._masks:
                return name
        return None

    def _check_start(self):
        """Raise if the network comes with what is not finite; masks may, and are noted."""
        self._masks = frozenset()
        if self._are_finite():
            return
        learned = {name for name, part in self._tensors() if isinstance(part, nn.Parameter)}
        largest = self._largest_magnitudes().items()
        infinite = {name for name, value in largest if not math.isfinite(value)}
        self._masks = frozenset(n for n, v in largest if math.isinf(v) and n not in learned)
        if wrong := infinite - self._masks:
            name = min(wrong)
            raise DivergenceError(
                f"{name} is not finite before training: the weights that the network came with "
                "hold NaN or infinity. Load others, or let the module start from new ones.",
                name=name,
            )

    def check_target_statistics(self) -> None:
        """Raise if what rows of the target gave once training was over is not finite.

        Raises
        ------
        skda.exceptions.DivergenceError
            Then, unless `on_divergence` is ``"ignore"``.
        """
        if self.on_divergence == "raise" and (name := self._first_not_finite()) is not None:
            raise DivergenceError(
                f"{name} is not finite: the statistics of the rows of X_target are beyond float32. "
                "Bring these rows to a scale of about 1, or leave out the largest of them.",
                name=name,
            )

    def is_finite(self) -> bool:
        """Return whether all parameters and statistics are finite.

        Returns
        -------
        is_finite : bool
            False where one is NaN or infinite.
        """
        return self._first_not_finite() is None

    def _find_divergence(self, batch, step, iterator):
        """Return the divergence that made a step fail, None if all is finite."""
        if self.on_divergence != "raise":
            return None
        name = self._first_not_finite()
        if name is None:
            try:
                # Other processes may not have failed, and wait for something else.
                alone = nullcontext() if self._sharing is None else self._sharing.off()
                with torch.no_grad(), alone:
                    logits, _ = self.infer(batch[0])
            except Exception:  # what fails here is what the step failed of
                return None
            if logits.isfinite().all():
                return None
            name = "logits"
        return self._divergence(name, f"{name} was not finite in step {step}", step, iterator)

    def _check_held_out(self):
        loss = self.history[-1].get("valid_loss")
        if loss is not None and not torch.tensor(loss).isfinite():
            raise self._divergence("valid_loss", f"valid_loss was {loss}", None, None)

    def _divergence(self, name, what, step, iterator):
        epoch = len(self.history)
        lr = float(next(iter(self._param_groups()))["lr"])  # of a recording it is a tensor
        largest = _largest_magnitude(getattr(iterator, "dataset", None))
        inputs = "" if largest is None else f", largest input magnitude {largest:.3g}"
        return DivergenceError(
            f"Training diverged: {what} of epoch {epoch} (learning rate {lr:.3g}{inputs}). Lower "
            "lr (it is multiplied by head_lr_multiplier for the head), bring inputs to a scale of "
            "about 1 (StandardScaler, or standardize='domain'), or lower trade_off.",
            name=name,
            epoch=epoch,
            step=step,
            lr=lr,
            largest_input=largest,
        )


def _copies(tensors):
    """Return lists of tensors of one type and device, each with a copy of all their numbers.

    In one piece: a device takes longer to begin copying small tensors than to copy them.
    """
    groups: dict[Any, list[torch.Tensor]] = {}
    for tensor in tensors:
        groups.setdefault((tensor.dtype, tensor.device), []).append(tensor)
    return [
        (group, torch.cat([tensor.reshape(-1) for tensor in group])) for group in groups.values()
    ]


def _largest_magnitude(dataset):
    """Return the largest absolute value of the inputs; None if they are no arrays."""
    domains = getattr(dataset, "domains", None)
    if domains is None or not all(len(getattr(rows, "shape", ())) > 1 for rows in domains):
        return None
    low, high = ranges(domains)
    return max(low.abs().max().item(), high.abs().max().item())
