"""The parts of a training, declared as data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from numbers import Integral
from typing import Any

import torch
from torch import nn

from skda._torch import seed_generators
from skda.backbones import BackboneResolver, list_blocks
from skda.exceptions import DivergenceError
from skda.training._checkpoints import checkpointed
from skda.training._datasets import DomainDataset
from skda.training._parts import NetPart

# Stands for what a training has before anyone asks for it.
_LATER: Any = None


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A part of a training: what learns, from which rows, for how long.

    Parameters
    ----------
    name : str
        What the stage is called, such as ``"source"``.

    max_epochs : int or None, default=None
        Number of epochs; 0 for what is computed in one go. None takes all that the net's
        `max_epochs` leave.

    learns : tuple of str, default=("backbone", "head", "alignment")
        Which of these parts learn; the others stay as they are, statistics of batch norms
        included. ``"backbone"`` is what of the backbone is not frozen, ``"head"`` what follows it,
        a bottleneck included, and the name of a frozen block, see
        :func:`skda.backbones.list_blocks`, lets it learn from this stage on.

    batches : {"paired", "source", "target"}, default="paired"
        Of which domains the rows are. Gradient descent knows ``"paired"`` and ``"source"``.

    make_net : callable, default=None
        From the :class:`Training` to the net of this stage. None goes on with the net of the
        stage before; learning rate and trade-off go on with it.

    make_dataset : callable, default=None
        From the :class:`Training` to the rows of this stage, a :class:`DomainDataset`. None goes
        on with those of the stage before.

    run : callable, default=None
        Takes the place of gradient descent: called with the :class:`Training`.

    reseed : bool, default=True
        Whether random numbers start from the seed of training. Without, they go on, as for what
        belongs to the making of the network.

    Examples
    --------
    >>> from skda.training import Stage
    >>> Stage(name="head", max_epochs=5, learns=("head",), batches="source").learns
    ('head',)
    """

    name: str
    max_epochs: int | None = None
    learns: tuple[str, ...] = ("backbone", "head", "alignment")
    batches: str = "paired"
    make_net: Callable | None = None
    make_dataset: Callable | None = None
    run: Callable | None = None
    reseed: bool = True

    def __post_init__(self):
        if self.batches not in ("paired", "source", "target"):
            raise ValueError(
                f"batches of stage {self.name!r} must be 'paired', 'source' or 'target', got "
                f"{self.batches!r}."
            )
        if self.batches == "target" and self.run is None:
            raise ValueError(
                f"stage {self.name!r} has batches='target', which gradient descent does not know; "
                "use 'paired', with rows that make_dataset chooses."
            )
        if self.run is not None and (self.make_net is not None or self.max_epochs):
            raise ValueError(
                f"stage {self.name!r} has run, which takes the place of gradient descent; leave "
                "out make_net and max_epochs, or run."
            )
        whole = isinstance(self.max_epochs, Integral) and self.max_epochs >= 0
        if self.max_epochs is not None and not whole:
            raise ValueError(
                f"max_epochs of stage {self.name!r} must be a whole number of 0 or more, or None, "
                f"got {self.max_epochs!r}."
            )
        if isinstance(self.learns, str):
            raise TypeError(
                f"learns of stage {self.name!r} must be a tuple of names, got {self.learns!r}; "
                f"write ({self.learns!r},)."
            )

    def declared(self):
        """Return the same without functions: what a net, which is pickled, keeps of it.

        Returns
        -------
        stage : Stage
            A copy.
        """
        return replace(self, make_net=None, make_dataset=None)


@dataclass(frozen=True)
class Seeds:
    """A seed for everything that draws: what one draws leaves the others as they are."""

    module: int
    alignment: int
    order: int
    training: int
    backbone: int


@dataclass
class Training:
    """What is known of a training while it runs: the hooks of an estimator get it.

    Attributes
    ----------
    dataset : DomainDataset
        The rows that ``fit`` was given.

    device : torch.device or str
        Where the network learns.

    seeds : Seeds
        One for the weights, one for the alignment, one for the order of rows, one for training.

    resolver : skda.backbones.BackboneResolver
        Gives the network that the user asked for.

    backbone : torch.nn.Module
        The network, once it is built.

    layers : tuple of str
        Paths of the layers that are aligned.

    widths : dict of str to int
        Number of values of a row at every layer, ``"features"`` and ``"logits"`` among them.

    work : (int, int) or None
        Multiply-adds of the backbone for a row, and of how many products.

    rows : DomainDataset
        Those of the stage that runs.

    net : AdaptationNet
        That of the stage that runs, or of the last one.

    histories : dict of str to skorch.history.History
        By the name of the (first) stage of every net.

    reached : str
        Name of the (first) stage that `net` is of.

    is_whole : bool
        Whether that net had all of its epochs.

    interruption : str or None
        What cut the training, and where; None if nothing did.

    progress : Progress or None
        What shows how far the training is.

    checkpoints : CheckpointFolder or None
        Where the training leaves what it has come to.

    warm_start : WarmStart or None
        What it begins with.

    processes : Processes or None
        Those that train together, while they do.
    """

    dataset: DomainDataset
    device: torch.device | str
    seeds: Seeds
    resolver: BackboneResolver
    backbone: nn.Module = _LATER
    layers: tuple[str, ...] = ()
    widths: dict[str, int] = field(default_factory=dict)
    work: tuple[int, int] | None = None
    rows: DomainDataset = _LATER
    net: Any = None
    histories: dict[str, Any] = field(default_factory=dict)
    reached: str = ""
    is_whole: bool = True
    interruption: str | None = None
    progress: Any = None
    checkpoints: Any = None
    warm_start: Any = None
    processes: Any = None

    def __post_init__(self):
        self.rows = self.dataset


def run_stages(stages: Sequence[Stage], training: Training) -> None:
    """Train as declared; consecutive stages of one net are one call of its ``fit``."""
    for number, group in enumerate(group_by_net(stages)):
        try:
            _run_group(group, training, number)
        except (KeyboardInterrupt, DivergenceError) as error:
            training.interruption = _describe(error, group, training)
            raise
    if training.net is None:
        raise ValueError(
            "make_stages declares no stage that has a net; begin with those of the parent's "
            "make_stages, or with Stage(..., make_net=self.build_net)."
        )


def _run_group(group, training, number):
    first = group[0]
    if first.make_dataset is not None:
        training.rows = first.make_dataset(training)
    if first.run is not None:
        first.run(training)
        return
    net = first.make_net(training)
    net.stages = tuple(stage.declared() for stage in group)
    net._progress, net._processes = training.progress, training.processes
    if training.warm_start is not None:
        training.warm_start.give(net)
    if first.reseed:
        seed_generators(training.seeds.training, training.device)
    try:
        checkpoints = training.checkpoints and training.checkpoints.of_group(number)
        has_epochs = _fit(net, training.rows, [stage.max_epochs for stage in group], checkpoints)
    except (KeyboardInterrupt, DivergenceError):
        if net._has_ended:  # with whole epochs
            training.net, training.histories[first.name] = net, net.history
            training.reached, training.is_whole = first.name, False
        raise
    if has_epochs:
        training.histories[first.name] = net.history
    training.net, training.reached = net, first.name


def _describe(error, group, training):
    """Say what cut the training of a group, and where."""
    what = "interrupted" if isinstance(error, KeyboardInterrupt) else "stopped when it diverged,"
    n_whole = len(training.histories.get(group[0].name, ()))
    stage = stage_at(group, n_whole)
    return f"{what} in stage {stage.name!r} after {n_whole} whole epoch{'s' * (n_whole != 1)}"


def _fit(net, rows, epochs, checkpoints):
    """Train for the epochs of all stages of a net; return whether there are any."""
    if None in epochs:
        _fit_or_restore(net, rows, checkpoints)
        return True
    if not any(epochs):
        net.initialize()
        return False
    own, net.max_epochs = net.max_epochs, sum(epochs)
    try:
        _fit_or_restore(net, rows, checkpoints)
    finally:
        net.max_epochs = own  # what a successor has
    return True


def _fit_or_restore(net, rows, checkpoints):
    if checkpoints is None:
        net.fit(rows, None)
        return
    with checkpointed(net, checkpoints):
        if not checkpoints.restore_end(net):
            net.fit(rows, None)
            checkpoints.finish(net)


def group_by_net(stages):
    """Return lists of stages that share a net."""
    stages = _check_list(stages)
    groups = []
    for stage in stages:
        if stage.make_net is not None or stage.run is not None:
            groups.append([stage])
            continue
        if not groups or groups[-1][0].run is not None:
            raise ValueError(f"stage {stage.name!r} has no net to go on with; give it make_net.")
        if stage.make_dataset is not None or stage.batches != groups[-1][0].batches:
            raise ValueError(
                f"stage {stage.name!r} goes on with the net of the stage before, and so with its "
                "rows and batches; for others give it a net of its own, such as "
                "make_net=lambda training: training.net.successor()."
            )
        if groups[-1][-1].max_epochs is None:
            raise ValueError(
                f"stage {stage.name!r} would never begin: the one before it has max_epochs=None, "
                "which takes all that are left."
            )
        groups[-1].append(stage)
    return groups


def _check_list(stages):
    if not isinstance(stages, list | tuple) or not all(isinstance(s, Stage) for s in stages):
        raise TypeError(f"make_stages must return a list of Stage, got {stages!r}.")
    names = [stage.name for stage in stages]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two stages are called {name!r}, and would share one history.")
    return stages


def stage_at(stages: Sequence[Stage], epoch: int) -> Stage:
    """Return the stage that an epoch, counted from 0, belongs to; the last one has no end."""
    ends = accumulate(stage.max_epochs or 0 for stage in stages)
    return next(
        (
            stage
            for stage, end in zip(stages[:-1], ends, strict=False)
            if stage.max_epochs is None or epoch < end
        ),
        stages[-1],
    )


class StageMixin(NetPart):
    """A net that knows which of its parts learn in which epoch."""

    def _begin_stages(self):
        self._stage, self._fixed = None, {}
        if self.stages:
            self._check_stages()
            self._enter_stage(self.stages[0])

    def _check_stages(self):
        blocks = [*self.module_.frozen, *list_blocks(self.module_.backbone)]
        known = [*self._parts(), *dict.fromkeys(block.name for block in blocks)]
        for stage in self.stages:
            for name in stage.learns:
                if name not in known:
                    raise ValueError(
                        f"learns of stage {stage.name!r} holds {name!r}, which is no part of the "
                        f"net; its parts and blocks are {', '.join(map(repr, known))}."
                    )

    def _enter_stage(self, stage):
        """Let learn what the stage names, and nothing else."""
        if stage is self._stage:
            return
        self._stage, module = stage, self.module_
        while module.frozen and module.frozen[-1].name in stage.learns:
            module.unfreeze()
        for name, part in self._parts().items():
            if name in stage.learns:
                self._release(name, part)
            elif name not in self._fixed:
                self._fixed[name] = [path for path, p in part.items() if p.requires_grad]
                for path in self._fixed[name]:
                    part[path].requires_grad_(False)
        module.is_fixed = "backbone" in self._fixed

    def _release(self, name, part):
        for path in self._fixed.pop(name, ()):
            part[path].requires_grad_(True)

    def _end_stages(self):
        """Let all parts learn again: a net that comes after this one has stages of its own."""
        for name, part in self._parts().items():
            self._release(name, part)
        self._stage, self.module_.is_fixed = None, False

    def _unfrozen_later(self):
        """Return the parameters that do not learn yet, but in one of the stages to come."""
        named = {name for stage in self.stages for name in stage.learns}
        module = self.module_
        later = [block for block in module.frozen if block.name in named]
        parameters = {p for block in later for p in block.get_parameters(module.backbone)}
        for name, part in self._parts().items():
            if name in named:
                parameters.update(part[path] for path in self._fixed.get(name, ()))
        return parameters

    def _parts(self):
        """Return the parameters of what a stage names beside blocks, by path."""
        parts = {"backbone": {}, "head": {}, "alignment": dict(self.alignment_.named_parameters())}
        for path, parameter in self.module_.named_parameters():
            parts["backbone" if path.startswith("backbone.") else "head"][path] = parameter
        return parts

    def on_epoch_begin(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        """Begin an entry of the history, and the stage that the epoch belongs to."""
        super().on_epoch_begin(net, dataset_train, dataset_valid, **kwargs)
        if self.stages:
            self._enter_stage(stage_at(self.stages, len(self.history) - 1))
