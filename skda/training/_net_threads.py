"""How many threads of torch a net takes."""

from contextlib import AbstractContextManager

import torch

from skda._threads import threads_at_most, threads_that_fill
from skda.training._parts import NetPart


class ThreadsMixin(NetPart):
    """A net that takes no more threads than its operations fill."""

    # Files of earlier versions have neither.
    n_threads = None
    work = None

    def own_threads(
        self, *, is_training: bool = True, n_nets: int = 1
    ) -> AbstractContextManager[None]:
        """Return a context within which this thread computes with as many as `n_threads` says.

        Parameters
        ----------
        is_training : bool, default=True
            Whether it trains; predictions are made of larger batches, and without the alignment.

        n_nets : int, default=1
            How many nets like this one are computed at once.

        Returns
        -------
        context : context manager
            The number of threads before holds again after it.
        """
        return threads_at_most(self._most_threads(is_training, n_nets))

    def _most_threads(self, is_training, n_nets):
        if self.n_threads != "auto":
            return self.n_threads
        if self.work is None or torch.device(self.device).type != "cpu":
            return None
        multiply_adds, n_products = self.work
        # Head and alignment are not seen at work before training: every weight once for a row.
        parts = self._new_parameters() if is_training else self.module_.head.named_parameters()
        new = [p.numel() for _, p in parts if p.ndim > 1]
        # Not by the rows at hand: a row's prediction would depend on how many others there are.
        n_rows = self.iterator_valid__batch_size
        if is_training:
            n_rows = self.batch_size * (1 + self.module_.n_targets)
        work = multiply_adds + sum(new), n_products + len(new)
        return threads_that_fill(work, n_rows * n_nets, is_training=is_training)
