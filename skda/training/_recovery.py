"""What stays of a training that is interrupted, fails or diverges: its whole epochs."""

import dis
from itertools import chain
from typing import Any

import torch

from skda.exceptions import DivergenceError
from skda.training._continuation import ContinuationMixin
from skda.training._packing import pack, unpack
from skda.training._part_state import (
    get_attributes,
    module_tensors,
    put_tensor,
    set_module_state,
)
from skda.training._saved_params import SavedParamsMixin
from skda.training._state import StateMixin
from skda.training._statistics import ranges

_RAISE = dis.opmap["RAISE_VARARGS"]


class _StopTraining(KeyboardInterrupt):
    """A callback asks to end training with the epoch that is over, as skorch's own do."""


def _is_raised(error):
    """Whether code raised it: a signal stops other instructions."""
    trace = error.__traceback__
    while trace.tb_next is not None:
        trace = trace.tb_next
    return trace.tb_frame.f_code.co_code[trace.tb_lasti] == _RAISE


class RecoveryMixin(SavedParamsMixin, ContinuationMixin, StateMixin):
    """A net that tells a training that was cut from one that is whole.

    Epochs count as a whole. Ctrl-C, an error, or a figure that is not finite take the network
    back to the end of the last whole epoch, and reach the caller. A callback that raises
    ``KeyboardInterrupt`` at the end of an epoch, as early stopping does, ends training well.
    """

    # Number and tensors of the last whole epoch, while training runs.
    _whole_epoch: Any = None
    _has_ended = False  # the last training came to its end, be it an early one

    def partial_fit(self, X, y=None, classes=None, **fit_params):
        """Train without starting anew, as in :meth:`skorch.NeuralNet.partial_fit`.

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
        n_before = len(self.history)
        try:
            self.notify("on_train_begin", X=X, y=y)
            cut = self._run_epochs(X, y, **self._restore(fit_params))
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
        return {**fit_params, "epochs": max(0, self.max_epochs - n_done)}

    def _run_epochs(self, X, y, **fit_params):
        """Return what cut the training, None if nothing did."""
        self._keep_epoch()
        try:
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
        try:
            super().notify(method_name, **kwargs)
        except KeyboardInterrupt as error:
            if method_name == "on_epoch_end" and _is_raised(error):
                raise _StopTraining from error
            raise
        if method_name == "on_epoch_end":
            self._note_best()
            if self._checkpoints is not None:
                self._checkpoints.note_epoch(self)
        elif method_name == "on_train_end":
            self._restore_best()

    def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        """Keep what the epoch has come to."""
        super().on_epoch_end(net, dataset_train, dataset_valid, **kwargs)
        if self.on_divergence == "raise":
            self._check_held_out()
        self._keep_epoch()

    # -- the last whole epoch -----------------------------------------------------------------

    def _learned(self):
        """Return the parts that training changes, by name."""
        names = [*self._modules, *self._criteria]
        return {name: getattr(self, f"{name}_") for name in names}

    def _tensors(self):
        """Yield the names of parameters and statistics, and themselves."""
        for name, part in self._learned().items():
            if isinstance(part, torch.nn.Module):
                for path, tensor in chain(part.named_parameters(), part.named_buffers()):
                    yield f"{name}.{path}", tensor

    def _places(self):
        """Yield where every parameter and statistic stands: path, owner and name."""
        for part_name, part in self._stateful_parts():
            for path, owner, name in module_tensors(part):
                yield f"{part_name}.{path}", owner, name

    def _keep_epoch(self):
        # Whole before it takes the place of the one before: an interruption may come in between.
        tensors: dict[str, torch.Tensor] = {}
        attributes = pack(get_attributes(self.alignment_), tensors)
        values = {
            path: None if owner[name] is None else owner[name].detach().clone()
            for path, owner, name in self._places()
        }
        tensors = {name: tensor.clone() for name, tensor in tensors.items()}
        self._whole_epoch = len(self.history), self._step, values, (attributes, tensors)

    def _go_back(self):
        n_epochs, self._step, values, attributes = self._whole_epoch
        del self.history[n_epochs:]
        self._predicted.clear()
        with torch.no_grad():
            for path, owner, name in self._places():
                put_tensor(owner, name, values.get(path), path)
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
        wrong = ~losses.isfinite()
        if wrong.any():
            step, number = wrong.nonzero()[0].tolist()
            what = f"{names[number]} was {losses[step, number].item()} in step {step + 1}"
            raise self._divergence(names[number], what, step + 1, iterator)
        if (name := self._first_not_finite()) is not None:
            what = f"{name} was not finite after step {len(losses)}"
            raise self._divergence(name, what, len(losses), iterator)

    def _first_not_finite(self):
        """Return the name of a parameter or statistic that is not finite, None if all are."""
        watched = [(n, t) for n, t in self._tensors() if t.is_floating_point() and t.numel()]
        # Largest magnitudes, since squares of large numbers overflow.
        norms = torch._foreach_norm(  # pyright: ignore[reportPrivateImportUsage]
            [tensor.detach() for _, tensor in watched], float("inf")
        )
        finite = torch.stack([norm.float() for norm in norms]).isfinite().tolist()
        return None if all(finite) else watched[finite.index(False)][0]

    def is_finite(self) -> bool:
        """Return whether all parameters and statistics are finite."""
        return self._first_not_finite() is None

    def _check_held_out(self):
        loss = self.history[-1].get("valid_loss")
        if loss is not None and not torch.tensor(loss).isfinite():
            raise self._divergence("valid_loss", f"valid_loss was {loss}", None, None)

    def _divergence(self, name, what, step, iterator):
        epoch = len(self.history)
        lr = next(iter(self._param_groups()))["lr"]
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


def _largest_magnitude(dataset):
    """Return the largest absolute value of the inputs; None if they are no arrays."""
    domains = getattr(dataset, "domains", None)
    if domains is None or not all(len(getattr(rows, "shape", ())) > 1 for rows in domains):
        return None
    low, high = ranges(domains)
    return max(low.abs().max().item(), high.abs().max().item())
