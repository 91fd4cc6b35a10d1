"""One optimiser for the weights of many nets, each with its own rates and moments."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from skda.training._fused_adam import FusedAdam


class StackedOptimizer:
    """Takes the steps of the optimisers of several nets, on views of their stacked weights.

    Groups of parameters whose numbers agree are one: an optimiser of torch takes longer for ten
    groups of ten tensors than for one of a hundred. Every weight is changed by the same code as in
    a training by itself, with the moments of its own net.

    Parameters
    ----------
    optimizers : list of torch.optim.Optimizer
        Of the nets; of one class. They stay as they are until :meth:`give_state`.

    parameters : list of dict of str to torch.nn.Parameter
        What learns of every net, by name.

    stacked : dict of str to torch.Tensor of shape (n_nets, ...)
        The same names; steps change these.

    rates : list of list of list of float
        Learning rates by net, step and group.
    """

    def __init__(
        self,
        optimizers: Sequence[torch.optim.Optimizer],
        parameters: Sequence[Mapping[str, torch.nn.Parameter]],
        stacked: Mapping[str, torch.Tensor],
        rates: Sequence[Sequence[Sequence[float]]],
    ):
        self._parameters = parameters
        self._views = {name: values.detach().unbind() for name, values in stacked.items()}
        of_nets = [
            {parameter: self._views[name][number] for name, parameter in of_net.items()}
            for number, of_net in enumerate(parameters)
        ]
        merged: dict[Any, dict[str, Any]] = {}
        self._schedules = []
        for optimizer, of_net, by_step in zip(optimizers, of_nets, rates, strict=True):
            for number, group in enumerate(optimizer.param_groups):
                schedule = tuple(step[number] for step in by_step)
                numbers = {k: v for k, v in group.items() if k not in ("params", "initial_lr")}
                key = repr(sorted({**numbers, "lr": schedule}.items()))
                if key not in merged:
                    merged[key] = {**numbers, "params": []}
                    self._schedules.append(schedule)
                merged[key]["params"] += [of_net[p] for p in group["params"] if p in of_net]
        make: Any = type(optimizers[0])
        self._optimizer = make(list(merged.values()))
        self._fused: FusedAdam | None = None
        self._has_gradient: list[bool] = []
        for optimizer, of_net in zip(optimizers, of_nets, strict=True):
            for parameter, view in of_net.items():
                if state := optimizer.state.get(parameter):
                    # Copies: a step that fails leaves the net's own as they are.
                    self._optimizer.state[view] = {
                        name: value.clone() if isinstance(value, torch.Tensor) else value
                        for name, value in state.items()
                    }

    def step(self, number: int, gradients: Mapping[str, torch.Tensor | None]) -> None:
        """Take a step.

        Parameters
        ----------
        number : int
            Of the step within the epoch.

        gradients : dict of str to torch.Tensor of shape (n_nets, ...) or None
            By name; None leaves the weights as they are.
        """
        for group, schedule in zip(self._optimizer.param_groups, self._schedules, strict=True):
            group["lr"] = schedule[number]
        # Fused optimisers read memory as it lies.
        parts = {name: g.contiguous().unbind() for name, g in gradients.items() if g is not None}
        has_gradient = [name in parts for name in self._views]
        if self._fused is not None and has_gradient == self._has_gradient:
            self._fused.step(parts)
            return
        for name, views in self._views.items():
            for view, part in zip(views, parts.get(name, [None] * len(views)), strict=True):
                view.grad = part
        self._give_own_counts()
        self._optimizer.step()
        self._has_gradient = has_gradient
        if FusedAdam.serves(self._optimizer):
            self._fused = FusedAdam(self._optimizer, self._views)

    def _give_own_counts(self):
        """Let every tensor count its steps by itself again."""
        for state in self._optimizer.state.values() if self._fused is not None else ():
            state["step"] = state["step"].clone()
        self._fused = None

    def give_state(self, number: int, optimizer: torch.optim.Optimizer) -> None:
        """Let the optimiser of a net have the moments that its weights have come to."""
        for name, parameter in self._parameters[number].items():
            view = self._views[name][number]
            if view in self._optimizer.state:
                state = optimizer.state[parameter] = self._optimizer.state[view]
                if self._fused is not None:
                    state["step"] = state["step"].clone()
