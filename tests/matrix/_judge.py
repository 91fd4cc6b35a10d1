"""Run one cell of the matrix and say what came of it."""

import random
import re
import signal
import warnings
import zlib
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import sparse

# A cell works on a handful of rows: what takes longer hangs.
SECONDS = 20
# A longer message dumps the data that it complains about.
LONGEST_MESSAGE = 1200
# The default suite looks at every n-th cell of what is slow; the marker `exhaustive` at all.
SHARE = 6


class Kind(NamedTuple):
    """A kind of input, made from one that is as it should be.

    ``same``: the values are those of the good one, and so must be the result. ``refused``: there
    is no right result, and a call that returns one has passed over something. ``beyond``: not
    finite, or too large to square; functions of torch, which cannot look at values for free, may
    return what is not finite either.
    """

    name: str
    make: Callable[[Any], Any]
    same: bool = False
    refused: bool = False
    beyond: bool = False


class Verdict(NamedTuple):
    """``right``, ``clear``, ``bare``, ``silent``, ``wrong``, ``mutation`` or ``hang``, and why."""

    outcome: str
    reason: str = ""

    @property
    def good(self):
        """Whether nothing is to be mended."""
        return self.outcome in ("right", "clear")


@dataclass
class Subject:
    """A call, its good arguments, and the kinds of every parameter.

    ``check`` looks at a result beside its finiteness, and returns what is wrong. ``aliases`` are
    other names of parameters that a message may use instead. ``propagates``: what is not finite
    in gives what is not finite out, and no error.
    """

    name: str
    call: Callable[..., Any]
    arguments: Callable[[], dict[str, Any]]
    kinds: Mapping[str, list[Kind]]
    check: Callable[[Any], str | None] = lambda result: None
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    propagates: bool = False
    twice: bool = True

    def cells(self):
        """All pairs of a parameter and a kind."""
        return [(parameter, kind) for parameter, kinds in self.kinds.items() for kind in kinds]


class _Hang(BaseException):
    pass


def judge(subject: Subject, parameter: str, kind: Kind, reference: Any = None) -> Verdict:
    """Call the subject with one bad argument."""
    arguments = _with(subject, parameter, kind)
    before = {name: fingerprint(value) for name, value in arguments.items()}
    try:
        result, warned = _run(subject, arguments)
    except _Hang:
        return Verdict("hang", f"more than {SECONDS} s")
    except Exception as error:
        if not _unchanged(before, arguments):
            return Verdict("mutation", "an argument was changed")
        return judge_error(error, (parameter, *subject.aliases.get(parameter, ())))
    if not _unchanged(before, arguments):
        return Verdict("mutation", "an argument was changed")
    if kind.refused:
        return Verdict("silent", f"returned {_short(result)}")
    names = (parameter, *subject.aliases.get(parameter, ()))
    if not is_finite(result) and _names_one(warned, names):
        return Verdict("clear", f"warned: {warned[:150]}")
    return _judge_result(subject, parameter, kind, result, reference)


def _judge_result(subject, parameter, kind, result, reference):
    if not (subject.propagates and kind.beyond) and not is_finite(result):
        return Verdict("silent", f"not finite: {_short(result)}")
    wrong = subject.check(result)
    if wrong:
        return Verdict("wrong", wrong)
    if kind.same and reference is not None and not alike(result, reference, 1e-3):
        return Verdict("wrong", f"{_short(result)} instead of {_short(reference)}")
    if subject.twice:
        again, _ = _run(subject, _with(subject, parameter, kind))
        if not alike(result, again, 1e-9):
            return Verdict("wrong", f"{_short(result)}, then {_short(again)}")
    return Verdict("right")


def judge_error(error: Exception, names: tuple[str, ...]) -> Verdict:
    """Tell whether an error says what is wrong with which parameter."""
    kind, message = type(error).__name__, str(error)
    reason = f"{kind}: {message[:150]}"
    if not isinstance(error, ValueError | TypeError):
        return Verdict("bare", reason)
    if not _names_one(message, names):
        return Verdict("bare", f"{' or '.join(names)} not named. {reason}")
    if len(message) > LONGEST_MESSAGE:
        return Verdict("bare", f"a message of {len(message)} characters. {reason}")
    return Verdict("clear", reason)


def _names_one(message, names):
    return any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", message) for name in names)


def reference_of(subject: Subject) -> Any:
    """Return the result of the good arguments, which must be one."""
    result, _ = _run(subject, subject.arguments())
    assert is_finite(result) and not subject.check(result), (subject.name, result)
    return result


def bad_cells(subject: Subject, share: int = 1) -> list[str]:
    """Return a line for every cell that is neither right nor a clear error.

    With a share of n every n-th cell is looked at, always the same ones.
    """
    return [
        f"{subject.name}({parameter}={kind}): {verdict.outcome}: {verdict.reason}"
        for parameter, kind, verdict in verdicts(subject, share)
        if not verdict.good
    ]


def verdicts(subject: Subject, share: int = 1) -> list[tuple[str, str, Verdict]]:
    """Judge the cells of a subject."""
    reference = reference_of(subject)
    found = []
    for parameter, kind in subject.cells():
        if zlib.crc32(f"{subject.name} {parameter} {kind.name}".encode()) % share == 0:
            found.append((parameter, kind.name, judge(subject, parameter, kind, reference)))
    return found


def _with(subject, parameter, kind):
    arguments = subject.arguments()
    arguments[parameter] = kind.make(arguments.get(parameter))
    return arguments


def _run(subject, arguments):
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002
    random.seed(0)
    with _time_limit(), warnings.catch_warnings(record=True) as caught, np.errstate(all="ignore"):
        warnings.simplefilter("always")
        result = subject.call(**arguments)
    return result, " ".join(str(warning.message) for warning in caught)


@contextmanager
def _time_limit():
    if not hasattr(signal, "setitimer"):  # Windows
        yield
        return

    def stop(*_):
        raise _Hang

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def is_finite(result: Any) -> bool:
    """Tell whether all numbers of a result are finite."""
    return all(np.isfinite(part).all() for part in _numbers(result))


def alike(first: Any, second: Any, tolerance: float) -> bool:
    """Tell whether two results hold the same numbers and texts."""
    numbers, others = list(_numbers(first)), list(_numbers(second))
    return len(numbers) == len(others) and all(
        a.shape == b.shape and np.allclose(a, b, tolerance, tolerance, equal_nan=True)
        for a, b in zip(numbers, others, strict=True)
    )


def _numbers(result):
    """Yield the arrays of numbers in a result."""
    if isinstance(result, torch.Tensor):
        if result.device.type != "meta":
            yield result.detach().double().numpy()
    elif isinstance(result, Mapping):
        for value in result.values():
            yield from _numbers(value)
    elif isinstance(result, tuple | list):
        for value in result:
            yield from _numbers(value)
    elif isinstance(result, np.ndarray | np.generic | float | int):
        values = np.asarray(result)
        if values.dtype.kind in "biuf":
            yield values.astype(np.float64)


def fingerprint(value: Any) -> Any:
    """Return something that changes when a value is written to; None where that cannot be told."""
    if isinstance(value, torch.Tensor):
        if value.device.type == "meta" or value.layout is not torch.strided:
            return None
        return value.detach().to(torch.complex64).numpy().tobytes(), value.requires_grad
    if isinstance(value, np.ndarray):
        held = repr(value.tolist()) if value.dtype.kind == "O" else value.tobytes()
        return held, value.shape, value.flags.writeable
    if hasattr(value, "iloc"):
        return repr(value.to_numpy().tolist()), list(getattr(value, "columns", ())), value.index
    if isinstance(value, list | tuple):
        return [fingerprint(part) for part in value]
    if isinstance(value, dict):
        return {key: fingerprint(part) for key, part in value.items()}
    if sparse.issparse(value):
        return value.data.tobytes(), value.format
    return repr(value) if isinstance(value, str | bytes | set | float | int) else None


def _unchanged(before, arguments):
    after = {name: fingerprint(value) for name, value in arguments.items()}
    return repr(before) == repr(after)


def _short(result):
    return " ".join(repr(result).split())[:100]
