"""Trainings that go on in turns, and wait for each other at the beginning of every epoch."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

_SEAT = threading.local()


class _Member(threading.Thread):
    """A thread that runs while the one who leads it waits, and the other way round.

    So a whole ``fit`` can stop in its middle, with all that it has on its stack.
    """

    def __init__(self, task: Callable[[], Any]):
        super().__init__(daemon=True)
        self.task = task
        self.result: Any = None
        self.error: BaseException | None = None
        self.request: Any = None
        self.reply: Any = None
        self.has_ended = False
        self._own_turn, self._leaders_turn = threading.Semaphore(0), threading.Semaphore(0)

    def run(self):
        self._own_turn.acquire()
        _SEAT.member = self
        try:
            self.result = self.task()
        except BaseException as error:
            self.error = error
        self.has_ended, self.request = True, None
        self._leaders_turn.release()

    def resume(self) -> None:
        """Let it run until it asks for something or has ended."""
        self._own_turn.release()
        self._leaders_turn.acquire()

    def ask(self, request: Any) -> Any:
        """Wait for the leader's reply; called in the thread itself."""
        self.request = request
        self._leaders_turn.release()
        self._own_turn.acquire()
        self.request = None
        if isinstance(self.reply, BaseException):
            raise self.reply
        return self.reply


def is_in_lockstep() -> bool:
    """Return whether this thread is one of several that wait for each other."""
    return getattr(_SEAT, "member", None) is not None


def ask_leader(request: Any) -> Any:
    """Return what the leader of this thread replies, once all others ask for something too."""
    return _SEAT.member.ask(request)


def run_in_lockstep(
    tasks: Sequence[Callable[[], Any]], answer: Callable[[list[Any]], list[Any]]
) -> list[tuple[Any, BaseException | None]]:
    """Run tasks in turns, each in a thread of its own; no two of them run at the same time.

    Parameters
    ----------
    tasks : list of callable
        They may call :func:`ask_leader`.

    answer : callable
        From what all tasks that have not ended ask for to the replies, in the same order. It runs
        in the thread of the caller.

    Returns
    -------
    outcomes : list of (object, BaseException or None)
        What every task returned or raised.

    Examples
    --------
    >>> from skda.training._lockstep import ask_leader, run_in_lockstep
    >>> tasks = [lambda: ask_leader(3), lambda: ask_leader(4)]
    >>> run_in_lockstep(tasks, lambda numbers: [sum(numbers)] * len(numbers))
    [(7, None), (7, None)]
    """
    members = [_Member(task) for task in tasks]
    for member in members:
        member.start()
    try:
        for member in members:
            member.resume()
        while waiting := [member for member in members if not member.has_ended]:
            replies = answer([member.request for member in waiting])
            for member, reply in zip(waiting, replies, strict=True):
                member.reply = reply
                member.resume()
    except BaseException as error:  # such as Ctrl-C, which reaches the leader alone
        for member in members:
            member.reply = error
            while not member.has_ended:
                member.resume()
        raise
    return [(member.result, member.error) for member in members]
