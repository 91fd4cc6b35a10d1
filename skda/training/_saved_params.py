"""Weights in files of skorch's own: ``save_params``, ``load_params``, and what they serve."""

import warnings
from typing import Any

import torch

from skda._safetensors import load_tensors, save_tensors
from skda.training._packing import pack, unpack
from skda.training._part_state import get_module_state, set_module_state
from skda.training._parts import NetPart

_PROGRESS = "training.progress"
_OPTIMIZERS = "skda.optimizers"


class _AllParts:
    """All parts of a net, for torch and skorch to save and load as they do a module."""

    def __init__(self, net):
        self.net = net

    def state_dict(self):
        """Return the network under its own names, other parts under ``alignment.`` and so on."""
        net = self.net
        others = {
            f"{part}.{path}": tensor
            for part, module in net._stateful_parts()
            if part not in ("module", "criterion")
            for path, tensor in module.state_dict().items()
        }
        steps = [getattr(net, "_step", 0) or 0, getattr(net, "_n_steps", 0) or 0]
        return {**net.module_.state_dict(), **others, _PROGRESS: torch.tensor(steps)}

    def load_state_dict(self, state):
        """Put back what `state_dict` returned, or the network alone from an older file."""
        net, state = self.net, dict(state)
        steps = state.pop(_PROGRESS, None)
        for part, module in net._stateful_parts():
            if part in ("module", "criterion"):
                continue
            names = [name for name in state if name.startswith(f"{part}.")]
            own = {name.removeprefix(f"{part}."): state.pop(name) for name in names}
            if own:
                module.load_state_dict(own)
            elif module.state_dict():
                warnings.warn(
                    f"The file holds the network, but nothing of {part!r}, which stays as it is.",
                    stacklevel=3,
                )
        net.module_.load_state_dict(state)
        if steps is not None:
            net._step, net._n_steps = steps[0].item(), steps[1].item() or None


class _AllOptimizers:
    """All optimisers of a net, under the names that they have there."""

    def __init__(self, net):
        self.net = net

    def state_dict(self):
        """Return the state of the optimiser, with those of the others beside it."""
        others = [name for name in self.net._optimizers if name != "optimizer"]
        states = {name: getattr(self.net, f"{name}_").state_dict() for name in others}
        return {**self.net.optimizer_.state_dict(), **({_OPTIMIZERS: states} if states else {})}

    def load_state_dict(self, state):
        """Put back what `state_dict` returned."""
        state = dict(state)
        for name, other in state.pop(_OPTIMIZERS, {}).items():
            getattr(self.net, f"{name}_").load_state_dict(other)
        self.net.optimizer_.load_state_dict(state)


class SavedParamsMixin(NetPart):
    """A net whose files hold all that it learned, not its network alone."""

    _best: Any = None  # of early stopping: the parts beside the network

    def _get_module(self, name, msg):
        part = super()._get_module(name, msg)
        if name == "module_":
            return _AllParts(self)
        return _AllOptimizers(self) if name == "optimizer_" else part

    def save_params(self, f_params=None, *args, use_safetensors=False, **kwargs):
        """Save parameters, optimisers and history, as :meth:`skorch.NeuralNet.save_params` does.

        The file of `f_params` holds all parts of the net, such as an adversary, and how far its
        schedules are; that of `f_optimizer` all optimisers.

        Parameters
        ----------
        f_params : str, path or binary file, default=None
            Where the parameters go.

        *args : arguments
            ``f_optimizer``, ``f_criterion`` and ``f_history``, as in skorch.

        use_safetensors : bool, default=False
            Whether files are of the safetensors format, which has no place for optimisers.

        **kwargs : keywords
            As in skorch.
        """
        f_params = kwargs.pop("f_module", f_params)  # as a Checkpoint calls it
        if use_safetensors and f_params is not None:
            self.check_is_fitted(["module_"])
            save_tensors(f_params, _AllParts(self).state_dict())
            f_params = None
            if not (any(args) or kwargs):
                return
        super().save_params(f_params, *args, use_safetensors=use_safetensors, **kwargs)

    def load_params(
        self,
        f_params=None,
        f_optimizer=None,
        f_criterion=None,
        f_history=None,
        checkpoint=None,
        use_safetensors=False,
        **kwargs,
    ):
        """Load what `save_params` saved, as :meth:`skorch.NeuralNet.load_params` does.

        Parameters
        ----------
        f_params : str, path or binary file, default=None
            Where the parameters are.

        f_optimizer, f_criterion, f_history : str, path or file, default=None
            Where the rest is.

        checkpoint : skorch.callbacks.Checkpoint, default=None
            Names the files that are not named.

        use_safetensors : bool, default=False
            Whether files are of the safetensors format.

        **kwargs : keywords
            As in skorch.
        """
        if not use_safetensors:
            super().load_params(f_params, f_optimizer, f_criterion, f_history, checkpoint, **kwargs)
            return
        files = {"module_": f_params, "criterion_": f_criterion}
        if checkpoint is not None:
            if not self.initialized_:
                self.initialize()
            f_history = f_history or checkpoint.f_history_
        if f_history:
            super().load_params(f_history=f_history)
        if checkpoint is not None:
            known = checkpoint.get_formatted_files(self)
            files = {"module_": known["f_params"], "criterion_": known["f_criterion"]} | {
                name: file for name, file in files.items() if file
            }
        for name, file in files.items():
            if file:
                part = self._get_module(name, msg=f"the net has no {name!r}")
                part.load_state_dict(load_tensors(file).tensors)

    # -- the best epoch of early stopping -------------------------------------------------------

    def _note_best(self):
        """Keep the parts beside the network where a callback keeps that of its best epoch."""
        for name, callback in self.callbacks_:
            if not hasattr(callback, "best_model_weights_") or not callback.load_best:
                continue
            if callback.best_epoch_ == self.history[-1]["epoch"]:
                tensors: dict[str, torch.Tensor] = {}
                packed = pack(dict(self._states_beside_module()), tensors)
                kept = {key: tensor.clone() for key, tensor in tensors.items()}
                self._best = name, callback.best_epoch_, packed, kept

    def _restore_best(self):
        """Bring back the parts beside a network that a callback has brought back."""
        if self._best is None:
            return
        name, epoch, packed, tensors = self._best
        callback = dict(self.callbacks_)[name]
        if callback.load_best and callback.best_epoch_ == epoch != self.history[-1]["epoch"]:
            parts = dict(self._stateful_parts())
            for part, state in unpack(packed, tensors).items():
                set_module_state(parts[part], state)
        self._best = None

    def _states_beside_module(self):
        for name, part in self._stateful_parts():
            if name != "module":
                yield name, get_module_state(part)
