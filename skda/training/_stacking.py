"""Fits that run side by side and take their steps together, where their networks are alike."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from skda._random import CPU, current_generators
from skda._torch import local_torch_state
from skda.training._lockstep import ask_leader, is_in_lockstep, run_in_lockstep
from skda.training._stack_form import dropouts, find_obstacle, form_of
from skda.training._stacked_epoch import StackedEpoch


class _Request(NamedTuple):
    """An epoch that a net is about to begin."""

    net: Any
    iterator: Any
    generator: Any


def take_epoch_with_others(net: Any, iterator: Any) -> Any:
    """Return what the last step of an epoch gave, and the losses of all, a row each.

    Parameters
    ----------
    net : AdaptationNet
        The net that trains.

    iterator : iterable
        Its batches.

    Returns
    -------
    outcome : tuple of (dict, torch.Tensor of shape (n_steps, n_losses)) or None
        None if this thread trains by itself, or if this epoch is to be run so.
    """
    if not is_in_lockstep():
        return None
    own = current_generators()
    outcome = ask_leader(_Request(net, iterator, None if own is None else own.of(CPU)))
    if outcome is not None and net._progress is not None:
        for _ in range(len(iterator)):
            net._progress.step(len(iterator))
    return outcome


class StackedFits:
    """Runs functions that fit estimators, and has the epochs of networks that are alike at once.

    Parameters
    ----------
    stack_size : int, default=32
        How many networks are computed at once, at most.

    Attributes
    ----------
    n_stacked : int
        Epochs of a network that were run together with others.

    n_alone : collections.Counter of str
        Epochs of a network that were run by themselves, by what kept them from it.

    Examples
    --------
    >>> from skda.adaptation import DANNClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> from skda.training import StackedFits
    >>> digits = load_shifted_digits(random_state=0)
    >>> classifiers = [DANNClassifier(trade_off=t, max_epochs=2) for t in (0.1, 1)]
    >>> def fit(classifier):
    ...     return lambda: classifier.fit(digits.X, digits.y, X_target=digits.X_target)
    >>> fits = StackedFits()
    >>> outcomes = fits.run([fit(classifier) for classifier in classifiers])
    >>> fits.n_stacked
    4
    """

    def __init__(self, stack_size: int = 32):
        self.stack_size = stack_size
        self.n_stacked = 0
        self.n_alone: Counter[str] = Counter()
        self._forms: dict[Any, Any] = {}

    def run(self, tasks: Sequence[Callable[[], Any]]) -> list[tuple[Any, BaseException | None]]:
        """Run functions; return what each of them returned, or the error that it raised.

        Parameters
        ----------
        tasks : list of callable
            Each is run in a thread of its own, no two at the same time.

        Returns
        -------
        outcomes : list of (object, BaseException or None)
            In the same order.
        """
        try:
            return run_in_lockstep(tasks, self._answer)
        finally:
            self._forms.clear()

    def _answer(self, requests):
        groups: dict[Any, list[int]] = {}
        for number, request in enumerate(requests):
            form, obstacle = self._look_at(request)
            if obstacle is None:
                groups.setdefault(form, []).append(number)
            else:
                self.n_alone[obstacle] += 1
        replies: list[Any] = [None] * len(requests)
        # Nothing but what says that it draws may do so, and that is noticed.
        with local_torch_state("cpu") as own, own.operators_suspended(), own.functions_suspended():
            for numbers in groups.values():
                for some in _parts(numbers, self.stack_size):
                    outcomes = self._run_epoch([requests[number] for number in some], own)
                    for number, outcome in zip(some, outcomes, strict=True):
                        replies[number] = outcome
        return replies

    def _look_at(self, request):
        """Return the form of a net, and what keeps it from a stack; most epochs are alike."""
        net = request.net
        flags = tuple(p.training for p in net.module_.modules())
        learns = tuple(p.requires_grad for p in net.module_.parameters())
        key = net, id(request.iterator), net._stage, flags, learns
        if key not in self._forms:
            obstacle = find_obstacle(net, request.iterator)
            if obstacle is None and request.generator is None and _draws(net):
                obstacle = "the net draws from the generators of the process"
            form = None
            if obstacle is None:
                try:
                    form = form_of(net, request.iterator)
                except Exception as error:  # as many kinds as there are objects
                    obstacle = f"its network has no description ({type(error).__name__})"
            self._forms[key] = form, obstacle
        return self._forms[key]

    def _run_epoch(self, requests, own):
        """Return the outcomes of an epoch, None for nets that are to run it by themselves."""
        if len(requests) == 1:
            self.n_alone["no other network is like it"] += 1
            return [None]
        try:
            nets, iterators, generators = map(list, zip(*requests, strict=True))
            outcomes = StackedEpoch(nets, iterators, generators, own).run()
        except Exception as error:  # of code that torch.func cannot compute, or of one of the nets
            reason = (str(error).splitlines() or [""])[0]
            self.n_alone[f"{type(error).__name__}: {reason}"] += len(requests)
            return [None] * len(requests)
        self.n_stacked += len(requests)
        return outcomes


def _draws(net):
    return bool([*dropouts(net.module_), *dropouts(net.alignment_)])


def _parts(numbers: Sequence[int], size: int) -> Iterator[Sequence[int]]:
    """Yield parts of about the same size."""
    n_parts = -(-len(numbers) // size)
    for part in range(n_parts):
        yield numbers[part * len(numbers) // n_parts : (part + 1) * len(numbers) // n_parts]
