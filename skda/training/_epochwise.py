"""Stages of a training that goes on from call to call, one epoch in each."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from skda._torch import seed_generators
from skda.training._stages import Seeds, Stage, Training, group_by_net


@dataclass
class Position:
    """How far a training has come, between two calls.

    Attributes
    ----------
    number : int
        Of the group of stages that share the net, -1 before the first.

    name : str
        Of the first of these stages.

    is_over : bool
        Whether they have had their epochs.

    training : Training or None
        What is known, without rows; None after a pickle.

    predecessor : AdaptationNet or None
        The net before, as it was when this one began, of which rows may be made.

    apart : dict of str to torch.Tensor
        Parameters before the stages that were computed in one go after the last epoch.
    """

    number: int = -1
    name: str = ""
    is_over: bool = True
    training: Any = None
    predecessor: Any = None
    apart: dict[str, torch.Tensor] = field(default_factory=dict)
    seeds: Seeds | None = None
    layers: tuple[str, ...] = ()
    widths: dict[str, int] = field(default_factory=dict)
    histories: dict[str, Any] = field(default_factory=dict)

    def keep(self, training: Training) -> None:
        """Keep what is known of a training, without its rows."""
        without_rows: Any = None
        self.training = training
        training.dataset = training.rows = without_rows
        training.checkpoints = training.warm_start = training.progress = None
        self.seeds, self.layers, self.widths = training.seeds, training.layers, training.widths
        self.histories = training.histories

    def __getstate__(self):
        return {**vars(self), "training": None, "predecessor": None, "apart": {}}

    def __deepcopy__(self, memo):
        other = Position()
        vars(other).update(copy.deepcopy(vars(self), memo))
        return other


def position_of(stages: Sequence[Stage], training: Training) -> Position:
    """Return where a training stands that ran whole stages, or was cut in one of them."""
    groups = group_by_net(stages)
    number = next(n for n, group in enumerate(groups) if group[0].name == training.reached)
    return Position(number, training.reached, training.is_whole)


def last_group(stages: Sequence[Stage]) -> tuple[int, str]:
    """Return the number of the last group of stages that has a net, and the name of its first."""
    groups = group_by_net(stages)
    number = max(n for n, group in enumerate(groups) if group[0].run is None)
    return number, groups[number][0].name


def run_epoch(
    stages: Sequence[Stage],
    training: Training,
    position: Position,
    prepare: Callable[[Any], None],
) -> None:
    """Train the epoch that comes next, and compute what comes in one go after it.

    A stage with ``run`` is run after every epoch of the net before it; what it put in the place
    of parameters is taken back when that net goes on.

    Parameters
    ----------
    stages : sequence of Stage
        Those of the whole training.

    training : Training
        With the rows of this call.

    position : Position
        Where training is; it is brought up to date.

    prepare : callable
        Called with the net before it learns.
    """
    groups = group_by_net(stages)
    is_new = position.is_over and _enter_next(groups, training, position)
    group = _group_of(groups, position)
    net = training.net
    if not is_new:
        if group[0].make_dataset is not None:
            training.net = position.predecessor
            try:
                training.rows = group[0].make_dataset(training)
            finally:  # or the next call would train that net
                training.net = net
        net.stages = tuple(stage.declared() for stage in group)
        _put_back(net, position.apart)
    prepare(net)
    net._processes = training.processes
    net.train_epoch(training.rows, training.seeds.training)
    training.histories[group[0].name] = net.history
    epochs = [stage.max_epochs for stage in group]
    n_epochs = net.max_epochs if None in epochs else sum(epochs)
    position.is_over = len(net.history) >= n_epochs
    _run_after(groups, training, position)


def _group_of(groups, position):
    if position.number < len(groups) and groups[position.number][0].name == position.name:
        return groups[position.number]
    raise ValueError(
        f"partial_fit is in the stage {position.name!r}, which there is not for these rows; pass "
        "X_target as in the calls before."
    )


def _enter_next(groups, training, position):
    """Make the next net that has epochs to learn in; return False if there is none."""
    if training.net is not None:
        training.net.go_on_drawing()
    for number in range(position.number + 1, len(groups)):
        first = groups[number][0]
        if first.run is not None:
            if position.number < 0:
                first.run(training)
            continue
        if first.make_dataset is not None:
            training.rows = first.make_dataset(training)
        own_rows = first.make_dataset is not None and training.net is not None
        predecessor = copy.deepcopy(training.net) if own_rows else training.net
        net = first.make_net(training)
        net.stages = tuple(stage.declared() for stage in groups[number])
        epochs = [stage.max_epochs for stage in groups[number]]
        if None not in epochs:
            net.max_epochs = sum(epochs)
        if first.reseed:
            seed_generators(training.seeds.training, training.device)
        training.net = net
        if net.max_epochs == 0:
            net.initialize()
            continue
        position.number, position.name = number, first.name
        position.predecessor, position.apart = predecessor, {}
        position.is_over = False  # if this call fails, the next one is of the same net
        return True
    return False


def _run_after(groups, training, position):
    """Run what comes in one go between the net that has learned and the next one."""
    parameters, position.apart = dict(training.net.module_.named_parameters()), {}
    for group in groups[position.number + 1 :]:
        if group[0].run is None:
            return
        if not position.apart:
            position.apart = {name: p.detach().clone() for name, p in parameters.items()}
        if group[0].make_dataset is not None:
            training.rows = group[0].make_dataset(training)
        group[0].run(training)


def _put_back(net, parameters):
    with torch.no_grad():
        for name, parameter in net.module_.named_parameters():
            if name in parameters and parameters[name].shape == parameter.shape:
                parameter.copy_(parameters[name])
