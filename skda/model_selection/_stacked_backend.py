"""A backend of joblib under which fits run side by side, and alike networks are computed as one."""

import warnings
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import pairwise
from operator import itemgetter
from typing import Any

from joblib import cpu_count, parallel_config
from joblib.externals.loky import ProcessPoolExecutor
from joblib.parallel import ParallelBackendBase, SequentialBackend

from skda._threads import threads_at_most
from skda.training import StackedFits


class StackReport:
    """What was computed together, and what was not.

    Attributes
    ----------
    n_stacked : int
        Epochs of a network that were run together with those of others.

    n_alone : collections.Counter of str
        Epochs of a network that were run by themselves, by what kept them from it.
    """

    def __init__(self):
        self.n_stacked = 0
        self.n_alone: Counter[str] = Counter()

    def add(self, n_stacked: int, n_alone: Counter) -> None:
        """Count in what one process did."""
        self.n_stacked += n_stacked
        self.n_alone.update(n_alone)

    def __str__(self):
        n_epochs = self.n_stacked + self.n_alone.total()
        lines = [f"{self.n_stacked} of {n_epochs} epochs were computed in stacks"]
        lines += [f"{n} were not: {reason}" for reason, n in self.n_alone.most_common()]
        return "\n".join(lines)


def _run(tasks, stack_size):
    """Run the tasks of one process; return their outcomes, and what was computed together."""
    fits = StackedFits(stack_size)
    # Contexts of threads that end in another order than they began would leave others behind.
    with warnings.catch_warnings():
        outcomes = fits.run(tasks)
    return outcomes, fits.n_stacked, fits.n_alone


def _run_part(numbered, stack_size):
    number, tasks = numbered
    return number, _run(tasks, stack_size)


def _run_beside_others(parts, stack_size, executor, n_others):
    """Run parts here and in other processes; whoever is done takes the next one.

    A process takes some seconds to begin, in which this one has long been at work.
    """

    def hand_on():
        return [executor.submit(_run_part, part, stack_size).result() for part in _left_of(parts)]

    with ThreadPoolExecutor(n_others) as threads:
        waiting = [threads.submit(hand_on) for _ in range(n_others)]
        try:
            done = [_run_part(part, stack_size) for part in _left_of(parts)]
        except BaseException:  # such as Ctrl-C: nothing is begun, or waited for, any more
            parts.clear()
            executor.shutdown(wait=False, kill_workers=True)
            raise
        return done + [outcome for future in waiting for outcome in future.result()]


def _left_of(parts: deque) -> Iterator[Any]:
    """Take and yield one part after the other, until those who share them have taken all."""
    with suppress(IndexError):
        while True:
            yield parts.popleft()


def _parts(tasks, stack_size, n_processes):
    """Return parts of about the same size, as many for every process."""
    n_rounds = -(-len(tasks) // (stack_size * n_processes))
    n_parts = min(n_rounds * n_processes, len(tasks))
    ends = [number * len(tasks) // n_parts for number in range(n_parts + 1)]
    return [tasks[start:end] for start, end in pairwise(ends)]


class _Job:
    """A task that is run with others when the first of them is asked for its result."""

    def __init__(self, backend, task, callback):
        self.backend, self.task, self.callback = backend, task, callback
        self.outcome: Any = None

    def get(self, timeout: Any = None) -> Any:
        """Return what the task returned."""
        while self.outcome is None:
            self.backend.run_next()
        result, error = self.outcome
        if error is not None:
            raise error
        return result


class StackingBackend(ParallelBackendBase):
    """Collects tasks, and runs as many at a time as networks are to be computed as one.

    Parameters
    ----------
    stack_size : int
        Tasks that are under way at a time in every process.

    report : StackReport
        Learns what was computed together.
    """

    def __init__(self, stack_size: int, report: StackReport):
        super().__init__(nesting_level=0)
        self.stack_size, self.report = stack_size, report
        self._n_processes = 1
        # Of its own: joblib's executor, which it uses again, has parts that joblib alone can make.
        self._executor: Any = None
        self._jobs: deque[_Job] = deque()

    def configure(self, n_jobs: Any = 1, parallel: Any = None, **options: Any) -> int:
        """Take the number of processes; return how many tasks are under way at a time."""
        self.parallel = parallel
        return self.effective_n_jobs(n_jobs)

    def effective_n_jobs(self, n_jobs: Any) -> int:
        """Return how many tasks are under way at a time: two or more, or joblib would run them."""
        if n_jobs == 0:
            raise ValueError("n_jobs must not be 0; use None, or -1 for all processors.")
        n_jobs = 1 if n_jobs is None else n_jobs
        self._n_processes = n_jobs if n_jobs > 0 else max(1, cpu_count() + 1 + n_jobs)
        return max(2, self.stack_size * self._n_processes)

    def submit(self, func: Any, callback: Any = None) -> _Job:
        """Take a task, which waits for others."""
        job = _Job(self, func, callback)
        self._jobs.append(job)
        return job

    apply_async = submit  # before joblib 1.5

    def run_next(self) -> None:
        """Run the tasks that wait, in parts that are as large as stacks may be."""
        jobs = list(self._jobs)
        self._jobs.clear()
        for job, outcome in zip(jobs, self._outcomes([job.task for job in jobs]), strict=True):
            job.outcome = outcome
        for job in jobs:  # which submits further tasks
            job.callback(job.outcome)

    def _outcomes(self, tasks):
        parts = deque(enumerate(_parts(tasks, self.stack_size, self._n_processes)))
        n_others = min(self._n_processes, len(parts)) - 1
        if n_others:
            if self._executor is None:
                env = self._prepare_worker_env(self._n_processes)
                self._executor = ProcessPoolExecutor(n_others, env=env)
            with threads_at_most(max(1, cpu_count() // self._n_processes)):
                done = _run_beside_others(parts, self.stack_size, self._executor, n_others)
        else:
            done = [_run_part(part, self.stack_size) for part in parts]
        outcomes = []
        for _, (of_part, n_stacked, n_alone) in sorted(done, key=itemgetter(0)):
            self.report.add(n_stacked, n_alone)
            outcomes += of_part
        return outcomes

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Forget the tasks that wait."""
        self._jobs.clear()
        self.terminate()

    def terminate(self) -> None:
        """Let the other processes end."""
        if self._executor is not None:
            self._executor.shutdown()
            self._executor = None

    def get_nested_backend(self) -> Any:
        """Let what tasks run in parallel themselves be run one after the other."""
        return SequentialBackend(nesting_level=1), None


@contextmanager
def stacked_fits(stack_size: int = 32) -> Iterator[StackReport]:
    """Within this context scikit-learn trains alike networks as one, wherever it fits several.

    In :class:`~sklearn.model_selection.HalvingGridSearchCV`,
    :func:`~sklearn.model_selection.cross_validate` or
    :class:`~sklearn.ensemble.BaggingClassifier`, say, every fit runs until its network is about to
    begin an epoch. Those whose networks have the same shapes then take the steps of this epoch
    together, each with its own rows, rates and random numbers. All else, such as callbacks,
    early stopping and scoring, goes its usual way, and results are those of one fit after the
    other, but for the rounding of sums in another order. What cannot be computed together is
    trained by itself; `n_jobs` is the number of processes, each of which has its own stacks.

    Parameters
    ----------
    stack_size : int, default=32
        Fits that are under way at a time in every process, whose rows are in memory.

    Yields
    ------
    report : StackReport
        What was computed together, and what was not, and why.

    Examples
    --------
    >>> from sklearn.model_selection import cross_val_score
    >>> from skda.adaptation import AdaBNClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> from skda.model_selection import stacked_fits
    >>> digits = load_shifted_digits(random_state=0)
    >>> classifier = AdaBNClassifier(max_epochs=2, random_state=0)
    >>> with stacked_fits() as report:
    ...     scores = cross_val_score(
    ...         classifier, digits.X, digits.y, params={"X_target": (digits.X_target,)}
    ...     )
    >>> print(report)
    10 of 10 epochs were computed in stacks
    """
    report = StackReport()
    with parallel_config(backend=StackingBackend(stack_size, report)):
        yield report
