"""Settings of the whole process that work in several threads wants at once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any


class SharedSetting:
    """A setting that is held while anybody needs it, and put back by the last one who did.

    Two threads that each keep the old value and put it back leave behind the one that the other
    had set, if they do not end in the reverse order of their beginnings.

    Threads that need different values at the same time all get the one of the highest rank.

    Parameters
    ----------
    read : callable
        Returns the value that the process has.

    write : callable
        Sets it.

    rank : callable, default=None
        From a value to what is compared; None where all threads need the same one.

    Examples
    --------
    >>> import torch
    >>> from skda._process import SharedSetting
    >>> default = SharedSetting(torch.get_default_dtype, torch.set_default_dtype)
    >>> with default.held_at(torch.float64):
    ...     torch.zeros(()).dtype
    torch.float64
    >>> torch.zeros(()).dtype
    torch.float32
    """

    def __init__(
        self,
        read: Callable[[], Any],
        write: Callable[[Any], None],
        rank: Callable[[Any], Any] | None = None,
    ):
        self._read, self._write, self._rank = read, write, rank or (lambda value: 0)
        self._lock, self._before, self._now = Lock(), None, None
        self._held: list[Any] = []

    @contextmanager
    def held_at(self, value: Any) -> Iterator[None]:
        """Within this context, in any thread, the setting has this value, or one of higher rank."""
        with self._lock:
            found = self._read()
            if not self._held or found != self._now:
                self._before = found  # also what a caller has set meanwhile
            self._held.append(value)
            self._hold(found)
        try:
            yield
        finally:
            with self._lock:
                self._held.remove(value)
                if self._held:
                    self._hold(self._now)
                elif self._before != self._now:
                    self._write(self._before)

    def _hold(self, found):
        self._now = max(self._held, key=self._rank)
        if found != self._now:
            self._write(self._now)
