"""Settings of the whole process that work in several threads wants at once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any


class SharedSetting:
    """A setting that is held while anybody needs it, and put back by the last one who did.

    Two threads that each keep the old value and put it back leave behind the one that the other
    had set, if they do not end in the reverse order of their beginnings.

    Parameters
    ----------
    read : callable
        Returns the value that the process has.

    write : callable
        Sets it.

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

    def __init__(self, read: Callable[[], Any], write: Callable[[Any], None]):
        self._read, self._write = read, write
        self._lock, self._n_holders, self._before = Lock(), 0, None

    @contextmanager
    def held_at(self, value: Any) -> Iterator[None]:
        """Within this context, in any thread, the setting has this value."""
        with self._lock:
            found = self._read()
            if not self._n_holders or found != value:
                self._before = found  # also what a caller has set meanwhile
            if found != value:
                self._write(value)
            self._n_holders += 1
        try:
            yield
        finally:
            with self._lock:
                self._n_holders -= 1
                if not self._n_holders and self._before != value:
                    self._write(self._before)
