"""Steps of the optimiser by the gradients of several batches."""

from contextlib import contextmanager
from numbers import Integral
from typing import ClassVar

import torch

from skda.training._parts import NetPart


class BatchGroups:
    """The batches of an epoch, so many in a row for each step; the last step has what is left.

    Parameters
    ----------
    n_batches : int
        Of the epoch.

    size : int
        How many of them make a step.

    Attributes
    ----------
    number : int
        Of the batch at hand, counted from 0.

    has_added : bool
        Whether gradients of this batch were added.
    """

    def __init__(self, n_batches: int, size: int):
        self.n_batches, self.size = n_batches, size
        self.number, self.has_added, self.is_closed = -1, False, False

    def begin_batch(self) -> None:
        """Tell that the next batch is at hand."""
        self.number, self.has_added = self.number + 1, False

    @property
    def is_first(self) -> bool:
        """Whether the batch at hand begins a step."""
        return self.number % self.size == 0

    @property
    def is_last(self) -> bool:
        """Whether the step is taken after the batch at hand."""
        return (self.number + 1) % self.size == 0 or self.number + 1 == self.n_batches

    @property
    def n_together(self) -> int:
        """How many batches the step of the batch at hand has."""
        return min(self.size, self.n_batches - self.number // self.size * self.size)


def n_optimizer_steps(n_batches: int, size: int) -> int:
    """Return how many steps an epoch has."""
    return -(-n_batches // size)


class AccumulationMixin(NetPart):
    """A net that takes one step for the mean of the losses of several batches."""

    # Whether a batch does nothing but add gradients by `backward`, and `train_step` steps by them.
    accumulates: ClassVar[bool] = True
    _groups: BatchGroups | None = None  # of the epoch, where a step takes several batches

    def check_accumulation(self, method: str | None = None) -> None:
        """Raise if gradients are to be added up over batches, and a batch takes steps itself.

        Parameters
        ----------
        method : str, default=None
            What the user knows it by; None is the class of the net.

        Raises
        ------
        ValueError
            Then, or if `gradient_accumulation_steps` is no number of batches.
        """
        size = self.gradient_accumulation_steps
        if not isinstance(size, Integral) or size < 1:
            raise ValueError(
                f"gradient_accumulation_steps must be a whole number of 1 or more, got {size!r}."
            )
        own = [getattr(type(self), name).__module__ for name in ("train_step", "learn_from")]
        accumulates = self.accumulates and set(own) == {"skda.training._loop"}
        if size > 1 and self.alignment is not None and not accumulates:
            raise own_steps_error(method or type(self).__name__, size)

    def _begin_groups(self, iterator):
        size = self.gradient_accumulation_steps
        self._groups = BatchGroups(len(iterator), size) if size > 1 else None

    def _end_groups(self, iterator):
        """Raise if the last step of an epoch would not have been taken, or by another mean."""
        groups, self._groups = self._groups, None
        if groups is not None and groups.number + 1 != groups.n_batches:
            raise ValueError(
                f"gradient_accumulation_steps={groups.size} needs to know which batch is the last "
                f"one, but the epoch had {groups.number + 1} of {type(iterator).__name__}, whose "
                f"len() says {groups.n_batches}; let it give as many as it says."
            )

    @contextmanager
    def _adding(self):
        """Within this context the gradients of a batch are added to those of its step."""
        groups = self._groups
        if groups is None:
            yield
            return
        groups.is_closed = True
        try:
            yield
        finally:
            groups.is_closed = False
        if not groups.has_added:
            raise ValueError(
                f"gradient_accumulation_steps={groups.size}: train_step_single of "
                f"{type(self).__name__} must call self.backward(loss), which takes the mean over "
                "batches, and not loss.backward()."
            )

    def _part_of_step(self, loss: torch.Tensor) -> torch.Tensor:
        """Return what a loss adds to that of the step."""
        if self._groups is None:
            return loss
        self._groups.has_added = True
        return loss / self._groups.n_together

    def _refuse_own_step(self):
        """Raise if a batch that is to add gradients is about to take a step."""
        if self._groups is not None and self._groups.is_closed:
            raise own_steps_error(type(self).__name__, self._groups.size)

    def _leave_training(self):
        super()._leave_training()
        self._groups = None


def own_steps_error(method: str, size: int) -> ValueError:
    """Return what to raise where steps within a batch cannot wait for other batches."""
    return ValueError(
        f"gradient_accumulation_steps={size}: {method} takes steps of its own within every batch, "
        "each of which needs the one before, and cannot wait for further batches; leave it at 1, "
        "and make batches larger by batch_size."
    )
