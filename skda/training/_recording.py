"""Training steps that are recorded once and replayed, where nothing but tensors changes in them."""

import operator
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from skda._callers import level_of_user
from skda._torch import StepValues
from skda.training import _graphs
from skda.training._batches import PairedBatches
from skda.training._drawing import draws_of_recordings, is_known
from skda.training._parts import NetPart
from skda.training._progress import say
from skda.training._python_state import PythonState
from skda.training._static_steps import (
    StaticMemory,
    ValueTables,
    capturable,
    static_rates,
    static_trade_offs,
)
from skda.training._waiting import WaitingWatch

# A recording costs as much as some ten steps.
_FEWEST_STEPS = 30
# These read learning rates from tensors on the device, and look at no number themselves.
_OPTIMIZERS = (torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD)


class RecordedSteps:
    """The steps of a training, of which one is recorded, and the others are its replays.

    The first steps are taken one operation at a time: the first makes what is made once, such as
    moments of the optimiser, and the second is watched. If Python is as it was after it, and
    nothing waited for the device, the third is recorded. Where Python is another at the beginning
    of a later epoch, as when a new stage has begun, all that begins anew.

    Parameters
    ----------
    net : AdaptationNet
        The net that trains.

    iterator : PairedBatches
        Its batches, which are on the device.

    recorder : object
        Has what :class:`skda.training._graphs.CudaRecorder` has.

    Attributes
    ----------
    obstacle : str or None
        Why steps are not recorded.

    n_replayed : int
        Steps that were replays.
    """

    def __init__(self, net: Any, iterator: PairedBatches, recorder: Any):
        self._net, self.iterator, self._recorder = net, iterator, recorder
        self._groups = net._param_groups()
        self._memory = StaticMemory(
            len(iterator), sum(iterator.sizes), len(self._groups), _weights(net), net.device
        )
        self._tables = ValueTables(_step_values(net), self._memory)
        self._replay: Callable[[], None] | None = None
        self._state: PythonState | None = None  # before the step that is to be recorded
        self._n_taken, self._is_watched = 0, False
        self.obstacle: str | None = None
        self.n_replayed = 0
        self._step_outcome: dict[str, Any] = {}

    def __len__(self):
        return len(self.iterator)

    def is_of(self, iterator: Any) -> bool:
        """Whether the steps are those of these batches, and of the optimisers that there are."""
        groups = self._net._param_groups()
        same = len(groups) == len(self._groups) and all(map(operator.is_, groups, self._groups))
        return same and iterator is self.iterator and len(iterator) == self._memory.n_steps

    def __reduce__(self):
        return type(None), ()  # a net that is copied or pickled in the middle of training

    @contextmanager
    def epoch(self) -> Iterator[Callable[[], None]]:
        """Within this context the steps of an epoch are taken, by calls of what is yielded."""
        net, n_steps = self._net, len(self.iterator)
        schedule = [net.schedule_at(net._step + number) for number in range(n_steps)]
        now = [group["lr"] for group in self._groups]
        rates = [now if rates is None else rates for rates, _ in schedule]
        trade_offs = [trade_off for _, trade_off in schedule]
        with (
            self._recorder.epoch(),
            draws_of_recordings(),
            static_rates(self._groups, self._memory.rates),
            static_trade_offs(net, self._memory.trade_offs),
            self._tables.in_use(),
        ):
            self._memory.begin_epoch(self.iterator.draw_checked(), rates, trade_offs)
            if self._state is not None and self._state.find_change() is not None:
                self._forget()
            yield self._take
        net._step += n_steps
        net.current_trade_off = trade_offs[-1]
        for group, lr in zip(self._groups, rates[-1], strict=True):
            group["lr"] = lr

    def outcome(self) -> tuple[dict[str, Any], torch.Tensor]:
        """Return what an epoch's last step gave, in names, and the losses of all, a row each."""
        outcome = dict(self._step_outcome)
        if "trade_off" in outcome:
            outcome["trade_off"] = self._net.current_trade_off
        return outcome, self._memory.losses

    def batch(self) -> Any:
        """Return the batch of the step that is being taken."""
        return self.iterator.gather(self._memory.begin_step())

    def _forget(self):
        self._replay = self._state = None
        self._n_taken = 0

    def _take(self):
        """Take a step, in the way whose turn it is."""
        if self._replay is not None:
            self._replay()
            self.n_replayed += 1
        elif self._state is not None:
            self._record()
        elif self.obstacle is None and self._n_taken:
            self._take_watched()
        else:
            self._step()
            self._n_taken += 1

    def _take_watched(self):
        """Take a step, and see whether the next one can be recorded."""
        state = self._python_state()
        if self._is_watched:
            self._step()
        else:
            with WaitingWatch() as watch:
                self._step()
            if watch.found is not None:
                self.obstacle = f"{watch.found} waits for the device in every step"
            self._is_watched = True
        self._n_taken += 1
        change = state.find_change()
        if change is None and self.obstacle is None:
            self._state = state
        elif self._n_taken > 2 and self.obstacle is None:
            self.obstacle = f"every step changes {change}"

    def _record(self):
        """Record a step, or take it as it is if that fails."""
        assert self._state is not None
        n_tables = self._tables.count()
        try:
            with capturable(self._groups):
                replay = self._recorder.record(self._step)
        except RuntimeError as error:
            self.obstacle = f"a step could not be recorded ({str(error).splitlines()[0]})"
        else:
            self._replay = replay
            if (change := self._state.find_change()) is not None:
                self.obstacle = f"every step changes {change}"
            elif self._tables.count() != n_tables:
                self.obstacle = "not every step gives the same numbers to the history"
            if self.obstacle is None:
                return
            self._forget()
            return
        self._forget()
        for group in self._groups:  # what lies in the memory of the recording
            for parameter in group["params"]:
                parameter.grad = None
        self._step()

    def _step(self):
        net = self._net
        self._tables.begin_step()
        batch = self.iterator.gather(self._memory.begin_step())
        step = net.learn_from(batch)
        names = net._loss_names(step)
        self._memory.end_step([step[name] for name in names])
        self._step_outcome = dict.fromkeys(name for name in step if name in (*names, "trade_off"))

    def _python_state(self):
        net = self._net
        optimizers = [getattr(net, f"{name}_") for name in net._optimizers]
        states = [part for o in optimizers for part in (o.param_groups, o.state)]
        settings = vars(net)
        roots = [net.module_, net.alignment_, net.criterion_, net.augment, *states]
        return PythonState(roots, settings)


class RecordingMixin(NetPart):
    """A net that records its steps where that is possible."""

    _recording: Any = None  # False where steps are not recorded

    def _recording_of(self, iterator):
        """Return the recorded steps of this training, None if they are taken one by one."""
        recording = self._recording
        if recording is None or (recording and not recording.is_of(iterator)):
            recording = self._recording = self._begin_recording(iterator)
        elif recording and recording.obstacle is not None:
            self._tell_obstacle(recording.obstacle)
            recording = self._recording = False
        return recording or None

    def _begin_recording(self, iterator):
        if self.cuda_graphs is False:
            return False
        recorder = _graphs.make_recorder(self.device)
        obstacle = _find_obstacle(self, iterator, recorder)
        if obstacle is None:
            return RecordedSteps(self, iterator, recorder)
        if recorder is not None or self.cuda_graphs is True:
            self._tell_obstacle(obstacle)
        return False

    def _tell_obstacle(self, obstacle):
        line = f"Steps are not recorded as CUDA graphs: {obstacle}."
        if self.cuda_graphs is True:
            warnings.warn(
                f"{line} cuda_graphs='auto' or False takes plain steps without this warning.",
                UserWarning,
                stacklevel=level_of_user(),
            )
        elif self.verbose:
            say(line)

    def _run_recorded(self, recording):
        """Return what the last step of an epoch gave, and the losses of all, a row each."""
        n_steps = len(recording)
        with recording.epoch() as take:
            for number in range(n_steps):
                try:
                    take()
                except (ValueError, RuntimeError) as error:  # of a loss that looks for itself
                    batch, iterator = recording.batch(), recording.iterator
                    cause = self._find_divergence(batch, number + 1, iterator)
                    if cause is None:
                        raise
                    raise cause from error
                if self._progress is not None:
                    self._progress.step(n_steps)
        return recording.outcome()


def _weights(net):
    """Return the weights of a net's alignments, 1 among them."""
    weights = getattr(net.alignment_, "weights", ())
    numbers = [weight for weight in weights if isinstance(weight, int | float)]
    return list(dict.fromkeys([1.0, *numbers]))


def _step_values(net):
    """Return what a net and its parts write a number into in every step."""
    parts = [*net.module_.modules(), *net.alignment_.modules(), *net.criterion_.modules()]
    held = [value for part in parts for value in vars(part).values()]
    found = [value for value in held if isinstance(value, StepValues)]
    return [net._predicted, *dict.fromkeys(found)]


def _find_obstacle(net, iterator, recorder):
    """Return what of a net and its batches keeps its steps from being recorded, or None."""
    if recorder is None:
        return f"the device is {net.device}"
    if net._sharing is not None:
        return "several processes share them"
    if net._notifies_batches:
        return "a callback looks at batches"
    if not net._clips_alone:
        return "a callback looks at gradients"
    if net.compile:
        return "the network is compiled"
    if net.gradient_accumulation_steps > 1:
        return "gradients of several batches make a step"
    if net.gradient_checkpointing:
        return "activations are computed once more"
    if net.precision == "float16":
        return "precision='float16' scales losses by what steps find"
    if not is_known(net) or _is_overridden(net):
        return f"{type(net).__name__} has steps of its own"
    is_paired = isinstance(iterator, PairedBatches)
    if not is_paired or type(iterator).__iter__ is not PairedBatches.__iter__:
        return f"batches are those of {type(iterator).__name__}"
    if not iterator.resident:
        return "rows are not on the device"
    for name in net._optimizers:
        optimizer = getattr(net, f"{name}_")
        is_fused = all(group.get("fused") for group in optimizer.param_groups)
        if type(optimizer) not in _OPTIMIZERS or not is_fused:
            return f"{type(optimizer).__name__} has no fused form here"
    if net.cuda_graphs == "auto" and net._n_steps - net._step < _FEWEST_STEPS:
        return f"fewer than {_FEWEST_STEPS} steps are to come"
    return None


def _is_overridden(net):
    """Whether a step is more than what `learn_from` does."""
    step = type(net).train_step
    return step.__module__ != "skda.training._loop"
