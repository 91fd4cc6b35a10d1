"""How far a training is: a bar where somebody looks on, lines in a file, nothing in a search."""

import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from skorch.callbacks import PrintLog
from tqdm.auto import tqdm

# Lines of a net in a log.
_MOST_LINES = 40
_SHOWN = ("loss", "accuracy", "score")


_IS_QUIET = ContextVar("_IS_QUIET", default=False)


@contextmanager
def quiet() -> Iterator[None]:
    """Within this context nothing of a training is shown, in this thread: another process does."""
    token = _IS_QUIET.set(True)
    try:
        yield
    finally:
        _IS_QUIET.reset(token)


def say(*texts: Any) -> None:
    """Print, above the bars that there are."""
    if _IS_QUIET.get():
        return
    tqdm.write(" ".join(map(str, texts)), file=sys.stdout)


def is_watched() -> bool:
    """Tell whether a bar can be drawn: on a terminal or in a notebook."""
    if sys.stderr is not None and sys.stderr.isatty():
        return True
    IPython = sys.modules.get("IPython")
    shell = None if IPython is None else IPython.get_ipython()
    return shell is not None and "IPKernelApp" in shell.config


def is_nested() -> bool:
    """Tell whether this runs as one of many tasks, such as the fits of a search.

    scikit-learn runs those by joblib, in this process or in others; its own `verbose`, and its
    progress bar, tell of them.
    """
    frame: Any = sys._getframe()
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith("joblib."):
            return True
        frame = frame.f_back
    return False


class Progress:
    """A bar or lines for the epochs of a training, of whatever number of nets; to be closed.

    Parameters
    ----------
    verbose : int
        0 shows nothing. 1 shows a bar where it can be drawn, and lines elsewhere, but nothing
        within a search. 2 adds the estimated rest of time, and lines within a search.

    Examples
    --------
    >>> from skda.training import Progress
    >>> with Progress(verbose=1) as progress:
    ...     progress.begin(2)
    ...     progress.begin_epoch("adapt")
    ...     progress.end_epoch({"epoch": 1, "train_loss": 0.25, "dur": 1.0})
    ...     progress.end_epoch({"epoch": 2, "train_loss": 0.125, "dur": 1.0})
    adapt: epoch 1/2, train_loss 0.25 (1.0 s)
    adapt: epoch 2/2, train_loss 0.125 (1.0 s)
    """

    def __init__(self, verbose: int):
        self.verbose, self.name, self._bar = int(verbose), "", None
        if _IS_QUIET.get():
            self.verbose = 0
        nested = bool(self.verbose) and is_nested()
        self.draws = bool(self.verbose) and not nested and is_watched()
        self.prints = not self.draws and self.verbose > nested
        self._n_epochs = self._n_done = 0
        self._n_before, self._durations = 0, []

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def begin(self, n_epochs: int, n_done: int = 0) -> None:
        """Begin with the epochs of another net, some of which may be done already.

        Parameters
        ----------
        n_epochs : int
            Of the net.

        n_done : int, default=0
            How many it has behind it.
        """
        self._n_epochs, self._n_done, self._durations = max(n_epochs, n_done + 1), n_done, []
        if not self.draws:
            return
        if self._bar is None:
            self._bar = _bar(self._n_epochs, self.verbose)
        else:  # the net before may have ended early
            self._bar.total = self._bar.n + self._n_epochs
        self._n_before = self._bar.n
        self._bar.n += n_done
        self._bar.initial += n_done

    def begin_epoch(self, name: str) -> None:
        """Tell which stage the epoch belongs to.

        Parameters
        ----------
        name : str
            Of the stage.
        """
        self.name = name
        if self._bar is not None:
            self._bar.set_description_str(f"{name}, epoch {self._n_done + 1}/{self._n_epochs}")

    def step(self, n_steps: int) -> None:
        """Count one of the steps of an epoch.

        Parameters
        ----------
        n_steps : int
            How many steps the epoch has.
        """
        if self._bar is not None:
            # Beyond the total, be it by rounding, tqdm warns.
            self._bar.update(min(1 / n_steps, self._bar.total - self._bar.n))

    def end_epoch(self, row: Any) -> None:
        """Show the figures of an epoch.

        Parameters
        ----------
        row : dict
            The last one of the history.
        """
        self._n_done += 1
        self._durations.append(row.get("dur", 0.0))
        if self._bar is not None:
            self._bar.n = self._n_before + self._n_done
            self._bar.set_postfix_str(_figures(row, _has_best))
        elif self.prints:
            every = math.ceil(self._n_epochs / _MOST_LINES)
            if self._n_done % every == 0 or self._n_done == self._n_epochs:
                say(self._line(row))

    def _line(self, row):
        line = f"{self.name}: epoch {self._n_done}/{self._n_epochs}, {_figures(row, _is_figure)}"
        if "dur" in row:
            line += f" ({row['dur']:.1f} s)"
        if self.verbose > 1:
            mean = sum(self._durations) / len(self._durations)
            rest = mean * (self._n_epochs - self._n_done)
            line += f", about {_duration(rest)} left"
        return line

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _bar(total, verbose):
    rest = " [{elapsed}<{remaining}{postfix}]" if verbose > 1 else "{postfix}"
    bar_format = "{desc} {percentage:3.0f}%|{bar}|" + rest
    return tqdm(total=total, bar_format=bar_format, file=sys.stderr)


def _has_best(name, row):
    return f"{name}_best" in row


def _is_figure(name, row):
    return name.endswith(_SHOWN) or _has_best(name, row)


def _figures(row, is_shown):
    return ", ".join(f"{name} {row[name]:.4g}" for name in row if is_shown(name, row))


def _duration(seconds):
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"


class RowProgress:
    """A bar or lines for rows that are gone through once.

    Parameters
    ----------
    n_rows : int
        How many there are.

    verbose : int
        As in :class:`Progress`.

    Examples
    --------
    >>> from skda.training import RowProgress
    >>> with RowProgress(30, verbose=1) as progress:
    ...     progress.update(30)
    30/30 rows
    """

    def __init__(self, n_rows: int, verbose: int):
        progress = Progress(verbose)
        self.n_rows, self.verbose, self.prints = n_rows, progress.verbose, progress.prints
        self._n_done, self._n_told, self._start = 0, 0, time.monotonic()
        self._bar = _bar(n_rows, self.verbose) if progress.draws else None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self._bar is not None:
            self._bar.close()

    def update(self, n: int) -> None:
        """Count rows that are done.

        Parameters
        ----------
        n : int
            How many more.
        """
        self._n_done += n
        if self._bar is not None:
            self._bar.set_description_str(f"{self._n_done}/{self.n_rows} rows", refresh=False)
            self._bar.update(n)
            return
        is_due = self._n_done - self._n_told >= self.n_rows / _MOST_LINES
        if self.prints and (is_due or self._n_done == self.n_rows):
            self._n_told, line = self._n_done, f"{self._n_done}/{self.n_rows} rows"
            if self.verbose > 1:
                rest = (time.monotonic() - self._start) * (self.n_rows / self._n_done - 1)
                line += f", about {_duration(rest)} left"
            say(line)


class EpochLog(PrintLog):
    """Shows the progress of a net; the last of its callbacks, which have recorded their figures."""

    def on_train_begin(self, net: Any, X=None, y=None, **kwargs):
        """Begin to count."""
        if net._progress is None:
            net._progress = net._own_progress = Progress(net.verbose)
        net._progress.begin(net.max_epochs, len(net.history))

    def on_epoch_begin(self, net: Any, dataset_train=None, dataset_valid=None, **kwargs):
        """Name the stage."""
        net._progress.begin_epoch(net._stage.name if net.stages else "training")

    def on_epoch_end(self, net: Any, **kwargs):
        """Show the epoch."""
        net._progress.end_epoch(net.history[-1])
