"""Which steps of a training draw random numbers, and so need the modes of its generators."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

from skda._random import OwnGenerators, current_generators

# Whose layers and losses draw in every step of a stage or in none. Others may begin to draw in the
# middle of an epoch, such as a loss that chooses among the rows that it is sure of by now.
_KNOWN_PACKAGES = ("skda", "skorch", "timm", "torch", "torchvision", "transformers")


@contextmanager
def own_draws(net: Any) -> Iterator[Callable[[], None]]:
    """Within this context the steps of an epoch draw from the own generators of this thread.

    The modes of torch by which they do cost a third of the time of a small network. So the first
    step is watched, and the others get no more than they need.

    Parameters
    ----------
    net : AdaptationNet
        The net that trains.

    Yields
    ------
    begin_step : callable
        To be called at the beginning of every step. It does nothing where this thread has no own
        generators: such a net draws from torch's, as any net of skorch.
    """
    own = current_generators()
    if own is None:
        yield _begin_nothing
        return
    steps = _Steps(net, own)
    try:
        yield steps.begin
    finally:
        steps.end()


def _begin_nothing():
    pass


class _Steps:
    """The modes of one epoch."""

    def __init__(self, net, own: OwnGenerators):
        self.own, self.modes = own, ExitStack()
        self.is_settled = False
        self.before: tuple[int, int] | None = None
        self.is_known = net.augment is None and all(map(_is_known, _pieces(net)))
        # On these alone it depends whether known parts draw; frozen blocks are in eval mode.
        flags = tuple(part.training for part in net.module_.modules())
        self.key = net, net.alignment_, net._stage, flags
        self.needs = own.notes.get(self.key)

    def begin(self):
        """Begin a step: the first one is watched, unless one like it has been."""
        if self.is_settled:
            return
        if self.before is not None:
            self._judge()
        if self.needs is None:
            self.before = self.own.n_draws, self.own.n_questions
            self.own.begin_watch()
            return
        if self.needs != "operators":
            self.modes.enter_context(self.own.suspended(functions=self.needs == "nothing"))
        self.is_settled = True

    def _judge(self):
        """Say what all further steps need, by what the first one did."""
        before, self.before = self.before, None
        if self.own.end_watch():
            self.needs = "operators"  # something draws that is no function of torch
        elif not self.is_known or before != (self.own.n_draws, self.own.n_questions):
            self.needs = "functions"
        else:
            self.needs = "nothing"
        if self.is_known:
            self.own.notes[self.key] = self.needs

    def end(self):
        """End the epoch."""
        if self.before is not None:
            self._judge()
        self.modes.close()


def _pieces(net):
    """Yield all that takes part in a step: objects and functions."""
    yield net
    yield from (net.optimizer_, net.criterion_)
    yield from (callback for _, callback in net.callbacks_)
    for part in (*net.module_.modules(), *net.alignment_.modules(), *net.criterion_.modules()):
        yield part
        yield from part._forward_hooks.values()
        yield from part._forward_pre_hooks.values()
        for value in vars(part).values():
            entries = value.values() if isinstance(value, dict) else (value,)
            yield from (entry for entry in entries if callable(entry))


def _is_known(piece):
    while isinstance(piece, partial):
        piece = piece.func
    described = piece if hasattr(piece, "__qualname__") else type(piece)
    return str(described.__module__).partition(".")[0] in (*_KNOWN_PACKAGES, "builtins")
