"""What a net is at the end of an epoch, so that training can go on from there bit by bit."""

import inspect
from typing import Any

import torch
from skorch.history import History

from skda._torch import get_generator_state, set_generator_state
from skda.training._packing import is_packable, pack, unpack
from skda.training._part_state import (
    get_callback_state,
    get_module_state,
    get_order_state,
    set_callback_state,
    set_module_state,
    set_order_state,
)
from skda.training._parts import NetPart
from skda.training._stages import stage_at

# Attributes of a net that have a way of their own, or follow from its parameters.
_OTHERWISE = {
    "_batches",
    "_checkpoints",
    "_continued",
    "_criteria",
    "_fixed",
    "_going_on",
    "_groups",
    "_kwargs",
    "_labels",
    "_modules",
    "_optimizers",
    "_order",
    "_params_to_validate",
    "_processes",
    "_shares",
    "_sharing",
    "_source_shares",
    "_are_drawn",
    "_whole_epoch",
    "cuda_dependent_attributes_",
    "history",
    "prefixes_",
}


class StateMixin(NetPart):
    """A net that knows all that its next step depends on."""

    _checkpoints: Any = None
    _batches: Any = None  # of the training that runs
    _order: Any = None  # in which new batches are to go on
    _going_on: Any = None  # where the last training stopped

    def get_training_state(self) -> dict[str, Any]:
        """Return parts, optimisers, schedules, generators, callbacks and history.

        Tensors are those of the net itself; they change with it.

        Returns
        -------
        state : dict
            By the names of these.
        """
        return {
            "parts": {name: get_module_state(part) for name, part in self._stateful_parts()},
            "optimizers": {
                name: getattr(self, f"{name}_").state_dict() for name in self._optimizers
            },
            "callbacks": [
                [name, get_callback_state(callback, self)] for name, callback in self.callbacks_
            ],
            "history": self.history.to_list(),
            "net": {name: vars(self)[name] for name in self._own_attributes()},
            **self._get_place(),
        }

    def set_training_state(self, state: dict[str, Any]) -> None:
        """Put back what :meth:`get_training_state` returned.

        Parameters
        ----------
        state : dict
            What it returned.

        Raises
        ------
        ValueError
            If the net has other parts.
        """
        self.history = History(state["history"])
        for epoch in range(len(self.history)) if self.stages else ():
            self._enter_stage(stage_at(self.stages, epoch))
        parts = dict(self._stateful_parts())
        if set(parts) != set(state["parts"]) or set(self._optimizers) != set(state["optimizers"]):
            raise ValueError("the network has other parts")
        for name, part in parts.items():
            set_module_state(part, state["parts"][name])
        for name, optimizer in state["optimizers"].items():
            getattr(self, f"{name}_").load_state_dict(optimizer)
            _lay_out(getattr(self, f"{name}_"))
        callbacks, kept = _lasting(self.callbacks_), _lasting(state["callbacks"])
        if list(callbacks) != list(kept):
            raise ValueError(f"there are the callbacks {list(callbacks)}, not {list(kept)}")
        for name, callback in callbacks.items():
            set_callback_state(callback, kept[name])
        vars(self).update(state["net"])
        self._set_place(state)

    def get_final_state(self) -> dict[str, Any]:
        """Return what training came to, and where it stopped.

        Returns
        -------
        state : dict
            That of :meth:`get_training_state`, and the place.
        """
        place = self._place() or self._get_place()
        return {**self.get_training_state(), "place": place}

    def set_final_state(self, state: dict[str, Any]) -> None:
        """Put back what :meth:`get_final_state` returned, in a net that is only initialised.

        Parameters
        ----------
        state : dict
            What it returned.
        """
        self._scaler = None
        self.set_training_state(state)
        self._order = None
        self._keep_place(state["place"])
        if self.stages:
            self._end_stages()

    # -- where training stands ------------------------------------------------------------------

    def _get_place(self):
        """Return what training goes on from if the net itself is there as it was."""
        return {
            "schedule": [self._step, self._n_steps],
            "scaler": None if self._scaler is None else self._scaler.state_dict(),
            "generators": get_generator_state(self.device),
            "order": None if self._batches is None else get_order_state(self._batches),
        }

    def _set_place(self, place):
        self._step, self._n_steps = place["schedule"]
        if self._scaler is not None and place["scaler"]:
            self._scaler.load_state_dict(place["scaler"])
        set_generator_state(self.device, place["generators"])
        self._order = place["order"]

    def _keep_place(self, place=None):
        """Remember where training stands, for a call that goes on."""
        tensors: dict[str, torch.Tensor] = {}
        packed = pack(place or self._get_place(), tensors)
        # As arrays: tensors of a net are pickled for the device that it is on.
        self._going_on = packed, {n: tensor.cpu().numpy().copy() for n, tensor in tensors.items()}

    def _place(self):
        """Return what :meth:`_keep_place` remembers, None if nothing."""
        if self._going_on is None:
            return None
        packed, arrays = self._going_on
        return unpack(packed, {name: torch.from_numpy(array) for name, array in arrays.items()})

    def note_batches(self, iterator: Any) -> Any:
        """Return training batches, which go on in the order that is to be gone on with.

        Parameters
        ----------
        iterator : iterable
            The training batches.

        Returns
        -------
        iterator : iterable
            The same.
        """
        if self._order is not None:
            set_order_state(iterator, self._order)
        self._batches, self._order = iterator, None
        return iterator

    # -- parts ----------------------------------------------------------------------------------

    def _stateful_parts(self):
        return [(n, p) for n, p in self._learned().items() if isinstance(p, torch.nn.Module)]

    def _own_attributes(self):
        """Return the names of plain attributes that are neither parameters nor skorch's."""
        known = set(_OTHERWISE)
        for cls in type(self).__mro__:
            if "__init__" in vars(cls):
                known.update(inspect.signature(vars(cls)["__init__"]).parameters)
        return [
            name
            for name, value in vars(self).items()
            if name not in known and "__" not in name and is_packable(value)
        ]


def _lasting(callbacks):
    """Return callbacks, or what is kept of them, by name, but for the one that `verbose` makes."""
    return {name: value for name, value in callbacks if name != "print_log"}


def _lay_out(optimizer):
    """Lay out moments as their parameters are: fused steps pass over the memory of both."""
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, torch.Tensor) and value.shape == parameter.shape:
                laid_out = torch.empty_like(parameter, dtype=value.dtype, device=value.device)
                state[name] = laid_out.detach().copy_(value)
