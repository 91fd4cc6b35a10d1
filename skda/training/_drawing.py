"""Which steps of a training draw random numbers, and so need the modes of its generators."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any

from torch import nn

from skda._random import OwnGenerators, current_generators, drawing

# Whose layers and losses draw in every step of a stage or in none. Others may begin to draw in the
# middle of an epoch, such as a loss that chooses among the rows that it is sure of by now.
_KNOWN_PACKAGES = ("builtins", "skda", "skorch", "timm", "torch", "torchvision", "transformers")


@contextmanager
def own_draws(net: Any, iterator: Any, *, training: bool) -> Iterator[Callable[[], None]]:
    """Within this context the steps of an epoch draw from the own generators of this thread.

    The modes of torch by which they do cost a third of the time of a small network. So the first
    step is watched, and further ones, and further epochs, get no more than they need: nothing
    where nothing draws but layers of dropout, which then draw without a mode, and what has the mode
    to itself by :func:`skda._random.drawing`, such as `augment` and parts of the user's.

    Parameters
    ----------
    net : AdaptationNet
        The net that trains.

    iterator : iterable
        Its batches.

    training : bool
        Whether it learns from them.

    Yields
    ------
    begin_step : callable
        To be called at the beginning of every step, or of all. It does nothing where this thread
        has no own generators: such a net draws from torch's, as any net of skorch.
    """
    own = current_generators()
    if own is None:
        yield _begin_nothing
        return
    epoch = _Epoch(net, iterator, own, training)
    try:
        epoch.prepare()
        yield epoch.begin_step
    finally:
        epoch.end()


@contextmanager
def draws_of_training(net: Any) -> Iterator[None]:
    """Within this context a net trains; functions draw from the own generators of this thread.

    Modes of torch disturb its compiler, and do not see what it has compiled. While a compiled net
    trains the process's generators have the states of the own ones, and other such trainings wait.
    """
    own = current_generators()
    if own is None:
        yield
        return
    with own.lent_throughout() if net.compile else own.operators_suspended():
        yield


@contextmanager
def draws_of_recordings() -> Iterator[None]:
    """Within this context steps are recorded, replayed, or taken as they would be recorded."""
    own = current_generators()
    with nullcontext() if own is None else own.lent_to_recordings():
        yield


def _begin_nothing():
    pass


class _Epoch:
    """The modes of one epoch."""

    def __init__(self, net, iterator, own: OwnGenerators, training):
        self.net, self.iterator, self.own = net, iterator, own
        self.parts = [
            *net.module_.modules(),
            *net.alignment_.modules(),
            *net.criterion_.modules(),
        ]
        self.modes, self.changed = ExitStack(), []
        self.is_watching, self.is_settled, self.n_begun = False, False, 0
        self.before = (0, 0)
        # On these alone it depends whether known parts draw; frozen blocks are in eval mode.
        flags = tuple(part.training for part in self.parts) if training else None
        self.key = net, net._stage, flags
        self.needs, self.strangers = own.notes.get(self.key, (None, None))

    def prepare(self):
        """Let the epoch have what it needs, if one like it has been watched."""
        if self.strangers is None:
            self.strangers = [part for part in self.parts if not is_known_part(part)]
        if not self.net._notifies_batches:  # callbacks may copy the network
            self._let_parts_draw()
        if self.needs is not None:
            self._settle()
            return
        self.is_watching, self.before = True, self._unexpected()
        self.own.begin_watch()

    def begin_step(self):
        """Begin a step: the first one is watched, unless one like it has been."""
        if self.is_settled:
            return
        if self.n_begun:
            self._judge()
            self._settle()
        self.n_begun += 1

    def end(self):
        """End the epoch."""
        if self.is_watching:
            self._judge()
        for part, name in self.changed:
            delattr(part, name)
        self.modes.close()

    def _unexpected(self):
        return self.own.n_draws - self.own.n_expected, self.own.n_questions

    def _judge(self):
        """Say what all further steps need, by what the first one did."""
        self.is_watching = False
        if self.own.end_watch():
            self.needs = "operators"  # something draws that is no function of torch
        elif self.before == self._unexpected() and self._is_known():
            self.needs = "nothing"
        else:
            self.needs = "functions"
        self.own.notes[self.key] = self.needs, self.strangers

    def _is_known(self):
        """Whether nothing can begin to draw later but the parts that `drawing` is around."""
        if self.net._notifies_batches and (self.strangers or not self._has_known_callbacks()):
            return False
        hooks = (hook for part in self.parts for hook in _hooks(part))
        return all(map(is_known, (self.net, self.iterator, self.net.optimizer_, *hooks)))

    def _has_known_callbacks(self):
        return all(is_known(callback) for _, callback in self.net.callbacks_)

    def _settle(self):
        self.is_settled = True
        if self.needs == "operators":
            self.modes.enter_context(self.own.redirection)
        elif self.needs == "nothing":
            self.modes.enter_context(self.own.functions_suspended())

    def _let_parts_draw(self):
        """Let layers of dropout draw by themselves, and parts of the user's under the mode."""
        for part in self.parts:
            if type(part) is nn.Dropout and part.training:
                self._change(part, "forward", partial(self._dropout, part))
        for part in self.strangers:
            for name in ("forward", "adversary_loss"):
                if hasattr(part, name):
                    self._change(part, name, partial(_draw, getattr(part, name)))

    def _change(self, part, name, function):
        if name not in vars(part):
            object.__setattr__(part, name, function)
            self.changed.append((part, name))

    def _dropout(self, part, input):
        if not part.training:
            return input
        n_before = self.own.n_draws
        output = self.own.dropout(input, part.p, part.training, part.inplace)
        self.own.n_expected += self.own.n_draws - n_before
        return output


def _draw(function, *args, **kwargs):
    with drawing():
        return function(*args, **kwargs)


def _hooks(part):
    return (*part._forward_hooks.values(), *part._forward_pre_hooks.values())


def is_known_part(part):
    """Whether the class of a module and the functions that it holds are known."""
    held = []
    for value in vars(part).values():
        held += [*(value.values() if isinstance(value, dict) else ()), value]
    return all(is_known(value) for value in (part, *held) if callable(value))


def is_known(piece: Any) -> bool:
    """Whether an object or a function is of a package whose steps are all alike."""
    while isinstance(piece, partial):
        piece = piece.func
    described = piece if hasattr(piece, "__qualname__") else type(piece)
    return str(described.__module__).partition(".")[0] in _KNOWN_PACKAGES
