"""How many rows go through a network at a time."""

from collections.abc import Callable, Iterator
from threading import Lock
from typing import Any

import torch

from skda.rows import batch_size, take_batch

USUAL = 32

# On a CPU batches of more rows only save calls, which count where a network does little for a row:
# with an MLP 64-128-64 a row of 1,024 took a twelfth of the processor's time of one of 32, with
# a ConvNet for 28 x 28 pixels as long. The first bound leaves such a batch to one thread, and
# the second one (a MiB of inputs or features) leaves memory as it was.
_MULTIPLY_ADDS_ON_CPU, _VALUES_ON_CPU, _MOST_ON_CPU = 2**24, 2**18, 1024

# Elsewhere: what is no gain any more, and how much of the inputs may lie in the host's memory.
_LEAST_GAIN, _MISSES_THAT_SETTLE = 0.07, 2
_VALUES_ELSEWHERE, _MOST_ELSEWHERE = 2**27, 4096
_COMPILED = 256  # every size is compiled for itself, so it is not tried out


class BatchSize:
    """A number of rows; an automatic one doubles while that gains speed and memory lasts.

    Of every size one batch warms the device up and the next one is measured. When two sizes in
    turn have gained less than 7 % over the best one, that is taken.

    Parameters
    ----------
    rows : int
        What it begins with.

    most : int, default=None
        What it does not grow beyond; None is `rows`.

    may_shrink : bool, default=False
        Whether batches that memory does not hold are computed in parts, and those that follow
        are smaller.

    Attributes
    ----------
    rows : int
        Of the next batch.

    Examples
    --------
    >>> from skda.feature_extraction._batch_size import BatchSize
    >>> size = BatchSize(32, most=256)
    >>> for rows, seconds in ((32, 9), (32, 1), (64, 9), (64, 1), (128, 9), (128, 2)):
    ...     size.measured(rows, seconds)
    >>> size.rows
    256
    >>> size.measured(256, 9), size.measured(256, 4)
    (None, None)
    >>> size.rows
    64
    """

    def __init__(self, rows: int, most: int | None = None, *, may_shrink: bool = False):
        self.rows, self._most, self.may_shrink = rows, most or rows, may_shrink
        self._is_growing, self._is_warm = self._most > rows, False
        self._best, self._n_misses = (0.0, rows), 0
        self._fits: int | None = None  # known once memory has not held a batch
        self._lock = Lock()

    def slices(self, n_rows: int) -> Iterator[slice]:
        """Yield the rows of every batch, of as many as it is to have when it is asked for."""
        start = 0
        while start < n_rows:
            rows = slice(start, start + self.rows)
            yield rows
            start = rows.stop

    def measured(self, n_rows: int, seconds: float) -> None:
        """Learn how long a batch took; other numbers of rows than that of now say nothing."""
        with self._lock:
            if not self._is_growing or n_rows != self.rows:
                return
            if not self._is_warm:
                self._is_warm = True
                return
            self._judge(n_rows / max(seconds, 1e-9))

    def _judge(self, speed):
        if speed > (1 + _LEAST_GAIN) * self._best[0]:
            self._best, self._n_misses = (speed, self.rows), 0
        else:
            self._n_misses += 1
        if self._n_misses == _MISSES_THAT_SETTLE or 2 * self.rows > self._most:
            self.rows, self._is_growing = self._best[1], False
        else:
            self.rows, self._is_warm = 2 * self.rows, False

    def compute(self, function: Callable[[Any], torch.Tensor], inputs: Any) -> torch.Tensor:
        """Return the features of a batch, in parts if memory does not hold it.

        Parameters
        ----------
        function : callable
            From inputs to features; it must leave inputs as they are if there may be too many.

        inputs : torch.Tensor of shape (n, ...), or dict of them
            Rows.

        Returns
        -------
        features : torch.Tensor of shape (n, n_features)
            Of all rows.
        """
        n_rows = batch_size(inputs)
        if self._fits is None or n_rows <= self._fits:
            try:
                return function(inputs)
            except RuntimeError as error:
                if not (self.may_shrink and n_rows > 1 and _is_out_of_memory(error)):
                    raise
            # Not in the handler: the error keeps all that lay in memory.
            self._shrink(n_rows // 2)
            _empty_cache(inputs)
        step = self._fits or n_rows
        parts = [take_batch(inputs, slice(n, n + step)) for n in range(0, n_rows, step)]
        return torch.cat([self.compute(function, part) for part in parts])

    def _shrink(self, rows):
        with self._lock:
            self._fits = min(rows, self._fits or rows)
            self.rows, self._is_growing = min(self.rows, self._fits), False


def make_batch_size(
    requested: Any, device: Any, *, work: tuple[int, int] | None, n_values: int, engine: str
) -> BatchSize:
    """Return what the parameter ``batch_size`` of the extractor stands for on a device.

    Parameters
    ----------
    requested : int or "auto"
        The parameter.

    device : str or torch.device
        Where the network runs.

    work : (int, int) or None
        Multiply-adds for a row, and of how many products; None for rows that differ in it.

    n_values : int
        Of a row, as input or as features, whichever has more.

    engine : str
        The parameter of the extractor.

    Returns
    -------
    size : BatchSize
        One that stays, but for ``"auto"`` on other devices than the CPU.

    Examples
    --------
    >>> from skda.feature_extraction._batch_size import make_batch_size
    >>> of_mlp, of_mobilenet = (16_000, 2), (300_000_000, 53)
    >>> make_batch_size("auto", "cpu", work=of_mlp, n_values=64, engine="auto").rows
    1024
    >>> make_batch_size("auto", "cpu", work=of_mobilenet, n_values=150_528, engine="auto").rows
    32
    """
    if requested != "auto":
        return BatchSize(requested)
    is_cpu = torch.device(device).type == "cpu"
    if work is None:
        return BatchSize(USUAL, may_shrink=not is_cpu)
    if is_cpu:
        n_fit = min(
            _MULTIPLY_ADDS_ON_CPU // max(work[0], 1), _VALUES_ON_CPU // n_values, _MOST_ON_CPU
        )
        return BatchSize(max(USUAL, _power_of_two(n_fit)))
    most = max(USUAL, min(_power_of_two(_VALUES_ELSEWHERE // n_values), _MOST_ELSEWHERE))
    if engine == "compile":
        return BatchSize(min(_COMPILED, most), may_shrink=True)
    return BatchSize(USUAL, most, may_shrink=True)


def _power_of_two(n):
    """Return the largest power of two up to a number, 0 for 0."""
    return 1 << n.bit_length() >> 1


def _is_out_of_memory(error):
    kinds = getattr(torch, "OutOfMemoryError", torch.cuda.OutOfMemoryError)
    return isinstance(error, kinds) or "out of memory" in str(error)


def _empty_cache(inputs):
    """Give memory back that torch holds for later; part of it may be of a size that is useless."""
    first = next(iter(inputs.values())) if isinstance(inputs, dict) else inputs
    if first.device.type != "cpu":
        torch.get_device_module(first.device).empty_cache()
