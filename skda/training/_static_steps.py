"""Steps that read and write memory that stays where it is: what a recording is made of."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from skda._torch import StepTables, StepValues


class StaticMemory:
    """What the steps of an epoch read and write, and the number of the step.

    Rows of batches, learning rates and trade-offs of all steps are written at the beginning of an
    epoch, and losses are read at its end: in between nothing goes to the device or comes from it.

    Parameters
    ----------
    n_steps : int
        Of an epoch.

    n_rows : int
        Of a batch.

    n_rates : int
        Learning rates, one for each group of parameters.

    weights : list of float
        Of the alignments; by each of them there is a trade-off.

    device : torch.device or str
        Where the memory is.

    Attributes
    ----------
    row : torch.Tensor of int64 of shape (1,)
        The number of the step within its epoch.

    rates : list of torch.Tensor of shape ()
        Learning rates of the step.

    trade_offs : dict of float to torch.Tensor of shape ()
        Trade-off of the step times each of the weights.
    """

    def __init__(
        self, n_steps: int, n_rows: int, n_rates: int, weights: Sequence[float], device: Any
    ):
        self.n_steps, self.losses = n_steps, torch.empty(0)
        self.row = torch.zeros(1, dtype=torch.int64, device=device)
        self._indices = torch.zeros(n_steps, n_rows, dtype=torch.int64, device=device)
        self._schedule = torch.zeros(n_steps, n_rates + len(weights), device=device)
        self._current = torch.zeros(1, n_rates + len(weights), device=device)
        numbers = self._current[0].unbind()
        self.rates = numbers[:n_rates]
        self.trade_offs = dict(zip(weights, numbers[n_rates:], strict=True))

    def begin_epoch(
        self,
        indices: torch.Tensor,
        rates: Sequence[Sequence[float]],
        trade_offs: Sequence[float],
    ) -> None:
        """Write what the steps of an epoch read.

        Parameters
        ----------
        indices : torch.Tensor of int64 of shape (n_steps, n_rows)
            Row numbers of every batch.

        rates : list of list of float
            Learning rates of every step.

        trade_offs : list of float
            Trade-off of every step.
        """
        self._indices.copy_(indices)
        # In float64, of which products are rounded once.
        parts = [torch.tensor(rates, dtype=torch.float64)]
        parts += [
            torch.tensor(trade_offs, dtype=torch.float64)[:, None] * w for w in self.trade_offs
        ]
        self._schedule.copy_(torch.cat(parts, dim=1).float())
        self.row.zero_()

    def begin_step(self) -> torch.Tensor:
        """Set rates and trade-off of the step; return the row numbers of its batch."""
        torch.index_select(self._schedule, 0, self.row, out=self._current)
        return self._indices.index_select(0, self.row)[0]

    def end_step(self, losses: Sequence[torch.Tensor]) -> None:
        """Keep the losses of the step, and count it."""
        if not self.losses.numel():
            self.losses = losses[0].new_zeros(self.n_steps, len(losses))
        self.losses.index_copy_(0, self.row, torch.stack([loss.detach() for loss in losses])[None])
        self.row.add_(1)


@contextmanager
def static_rates(groups: Sequence[dict[str, Any]], rates: Sequence[torch.Tensor]) -> Iterator[None]:
    """Within this context optimisers read their learning rates from tensors.

    Afterwards they are numbers again, as callbacks and checkpoints want them.
    """
    before = [group["lr"] for group in groups]
    try:
        for group, rate in zip(groups, rates, strict=True):
            group["lr"] = rate
        yield
    finally:
        for group, lr in zip(groups, before, strict=True):
            group["lr"] = lr


@contextmanager
def static_trade_offs(net: Any, trade_offs: dict[float, torch.Tensor]) -> Iterator[None]:
    """Within this context a net reads its trade-off from tensors, by the weight of alignments."""
    try:
        net.current_trade_off, net._recorded_trade_offs = trade_offs[1.0], trade_offs
        yield
    finally:
        del net._recorded_trade_offs


@contextmanager
def capturable(groups: Sequence[dict[str, Any]]) -> Iterator[None]:
    """Within this context optimisers let themselves be recorded, where they ask for a consent."""
    asking = [group for group in groups if "capturable" in group]
    before = [group["capturable"] for group in asking]
    try:
        for group in asking:
            group["capturable"] = True
        yield
    finally:
        for group, value in zip(asking, before, strict=True):
            group["capturable"] = value


class ValueTables:
    """The tables into which parts of a net write their numbers of every step.

    Parameters
    ----------
    values : list of StepValues
        Of the parts.

    memory : StaticMemory
        Which counts the steps.
    """

    def __init__(self, values: Sequence[StepValues], memory: StaticMemory):
        tables = [StepTables(memory.row, memory.n_steps) for _ in values]
        self._pairs = list(zip(values, tables, strict=True))

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Within this context values go into the tables; afterwards they are where they belong."""
        with ExitStack() as stack:
            for values, tables in self._pairs:
                stack.enter_context(values.going_into(tables))
            yield

    def count(self) -> int:
        """Return how many tables there are."""
        return sum(len(tables) for _, tables in self._pairs)

    def begin_step(self) -> None:
        """Tell that a step begins."""
        for _, tables in self._pairs:
            tables.begin_step()
