"""The processes that train one network together: how they meet, and what they tell each other."""

import math
import multiprocessing
import os
import threading
from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch.autograd.function import once_differentiable

from skda._optional import import_optional
from skda._torch import resolve_device

_MOST_VALUES = 2**24  # of gradients that travel at once
_LAUNCH = "`accelerate launch --num_processes 2 train.py` or `torchrun --nproc_per_node 2 train.py`"
# Sums of weights may differ where devices of several kinds round otherwise.
_TOLERANCE = 1e-6

_has_inherited_group = False


def _note_fork():
    global _has_inherited_group
    _has_inherited_group = dist.is_available() and dist.is_initialized()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_note_fork)


class Processes:
    """Processes that all call the same ``fit``, as this one knows them.

    All of their methods are calls that every process has to make, in the same order.

    Parameters
    ----------
    number : int
        Of this process, from 0.

    n_processes : int
        How many there are, at least 2.

    device : torch.device
        Where this one computes.
    """

    def __init__(self, number: int, n_processes: int, device: torch.device):
        self.number, self.n_processes, self.device = number, n_processes, device

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that prints and writes."""
        return self.number == 0

    def __reduce__(self):
        return type(None), ()  # other processes, and later ones, do not know these

    def all_of(self, value: Any) -> list[Any]:
        """Return what every process has, in the order of their numbers."""
        values = [None] * self.n_processes
        dist.all_gather_object(values, value)
        return values

    def of_first(self, value: Any) -> Any:
        """Return what the first process has."""
        values = [value]
        dist.broadcast_object_list(values, src=0)
        return values[0]

    def agree(self, place: str, facts: dict[str, Any], remedy: str) -> None:
        """Raise in every process unless all are at one place, and have the same facts there.

        Parameters
        ----------
        place : str
            What this process is about to do.

        facts : dict
            Plain values by name; floats need be equal but for rounding.

        remedy : str
            What is to be done where they differ.

        Raises
        ------
        RuntimeError
            If processes do different things.

        ValueError
            If they do the same with different facts.
        """
        of_all = self.all_of((place, facts))
        (first_place, first), *others = of_all
        for number, (other_place, other) in enumerate(others, start=1):
            if other_place != first_place:
                raise RuntimeError(
                    f"Processes that train together must make the same calls: process 0 is at "
                    f"{first_place!r}, process {number} at {other_place!r}. {remedy}"
                )
            names = [*first, *(name for name in other if name not in first)]
            if wrong := [n for n in names if not _is_same(first.get(n), other.get(n))]:
                raise ValueError(
                    f"{first_place}: processes 0 and {number} differ in {', '.join(wrong)}. "
                    f"{remedy}"
                )

    @torch.no_grad()
    def copy_from_first(self, tensors: Iterable[torch.Tensor]) -> None:
        """Give tensors the values that they have in the first process."""
        for tensor in tensors:
            values = tensor.detach().to(self.device).contiguous()
            dist.broadcast(values, src=0)
            tensor.copy_(values)

    @torch.no_grad()
    def average(self, tensors: Iterable[torch.Tensor]) -> None:
        """Give tensors the mean of what they are in all processes."""
        for group in _portions(tensors):
            values = torch.cat([tensor.reshape(-1) for tensor in group]).div_(self.n_processes)
            dist.all_reduce(values)
            sizes = [tensor.numel() for tensor in group]
            for tensor, part in zip(group, values.split(sizes), strict=True):
                tensor.copy_(part.view(tensor.shape))

    def gather(self, values: torch.Tensor, *, is_of_all: bool) -> torch.Tensor:
        """Return what tensors of one shape are in all processes, by number.

        Parameters
        ----------
        values : torch.Tensor
            Of this process.

        is_of_all : bool
            Whether what follows computes the same in every process, such as the loss of a whole
            batch: then each knows the whole gradient. Otherwise gradients are added up.

        Returns
        -------
        values : torch.Tensor of shape (n_processes, ...)
            The gradient of what is given is such that the mean over processes of gradients of
            parameters is that of the whole.
        """
        return _Gather.apply(values, self, is_of_all)  # pyright: ignore[reportReturnType]


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx, values, processes, is_of_all):
        ctx.processes, ctx.is_of_all = processes, is_of_all
        values = values.contiguous()
        gathered = [torch.empty_like(values) for _ in range(processes.n_processes)]
        dist.all_gather(gathered, values)
        return torch.stack(gathered)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        processes = ctx.processes
        if ctx.is_of_all:
            return grad[processes.number] * processes.n_processes, None, None
        grad = grad.contiguous()
        dist.all_reduce(grad)
        return grad[processes.number], None, None


def join_processes(distributed: Any, device: Any) -> Processes | None:
    """Return the processes that are to train together with this one, None if it trains alone.

    Parameters
    ----------
    distributed : {"auto"} or bool
        The parameter of an estimator.

    device : str or torch.device
        The parameter of an estimator.

    Returns
    -------
    processes : Processes or None
        Connected by the means of accelerate, which takes over a process group that there is.

    Raises
    ------
    ValueError
        If `distributed` is True where there are no other processes, or if `device` is none on
        which they can meet.

    ImportError
        If accelerate is missing.
    """
    if distributed is False:
        return None
    if (obstacle := _find_obstacle()) is not None:
        if distributed is True:
            raise ValueError(
                f"distributed=True, but {obstacle}; start the script by {_LAUNCH} and fit in its "
                "main thread, or take 'auto' or False."
            )
        return None
    asked = resolve_device(device)
    state = import_optional("accelerate", "distributed").PartialState(
        cpu=torch.device(asked).type == "cpu"
    )
    if state.num_processes < 2:
        raise ValueError(
            f"device={device!r}: accelerate connects no processes on {state.device}; use 'cpu' or "
            "'cuda', or distributed=False."
        )
    own, wanted = torch.device(state.device), torch.device(asked)
    own = torch.device("cpu") if own.type == "cpu" else own  # accelerate numbers it
    if own.type != wanted.type or wanted.index not in (None, own.index):
        raise ValueError(
            f"device={device!r}, but the processes have met on {own.type}, and {own} is that of "
            f"process {state.process_index}; use device='auto', or distributed=False."
        )
    return Processes(state.process_index, state.num_processes, own)


def _find_obstacle():
    """Return why this process trains alone, None if it was started together with others."""
    if not dist.is_available():
        return "this torch was built without torch.distributed"
    is_met = dist.is_initialized()
    n_processes = dist.get_world_size() if is_met else int(os.environ.get("WORLD_SIZE") or 1)
    if n_processes < 2 or not (is_met or "RANK" in os.environ):
        return "only one process was started"
    # Workers inherit the environment of their process, and forked ones its process group.
    is_started_by_python = multiprocessing.parent_process() is not None
    is_launched = is_met or "FORK_LAUNCHED" in os.environ or not is_started_by_python
    if _has_inherited_group or not is_launched:
        return "this is a worker process, such as those of joblib"
    if threading.current_thread() is not threading.main_thread():
        return "this is not the main thread"
    return None


def _is_same(one, other):
    if isinstance(one, float) and isinstance(other, float):
        # Of trainings that have diverged, too.
        return one == other or math.isclose(one, other, rel_tol=_TOLERANCE) or one != one
    return one == other


def _portions(tensors):
    """Yield lists of tensors of one type and device."""
    groups: dict[Any, list[torch.Tensor]] = {}
    for tensor in tensors:
        group = groups.setdefault((tensor.dtype, tensor.device), [])
        if group and sum(t.numel() for t in group) + tensor.numel() > _MOST_VALUES:
            yield group[:]
            group.clear()
        group.append(tensor)
    yield from groups.values()
