"""Rows of every domain, in memory or read when they are needed."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import skorch.dataset
import torch

from skda.images import StoredRows
from skda.training._weights import relative_weights


class DomainDataset(skorch.dataset.Dataset):
    """Labelled source rows and the rows of every target domain.

    Parameters
    ----------
    X : ndarray or torch.Tensor of shape (n_source, ...)
        Source rows; or an object with the same ``shape``, ``dtype`` and ``len``, and rows of
        which are read when it is indexed, such as :class:`skda.images.StoredRows`.

    y : ndarray of int64 of shape (n_source,)
        Class numbers.

    targets : tuple of arrays, default=()
        Target rows, one array per domain.

    target_labels : tuple of ndarrays of int64, default=None
        Class numbers of the target rows, -100 for unlabeled ones.

    weights : array-like of shape (n_source,) or (n_source + n_target,), default=None
        How much the rows count in the loss of their labels: those of the source and, if there
        are `target_labels`, those of the targets behind them.

    Attributes
    ----------
    labels : torch.Tensor of int64
        Class numbers of the source and, if there are `target_labels`, of the targets.

    weights : torch.Tensor of float32 or None
        Of the same rows, in units of their mean.

    Examples
    --------
    >>> import numpy as np
    >>> from skda.training import DomainDataset
    >>> dataset = DomainDataset(np.zeros((8, 3)), np.arange(8) % 2, (np.ones((5, 3)),))
    >>> len(dataset), [rows.shape for rows in dataset.domains]
    (8, [(8, 3), (5, 3)])
    """

    def __init__(
        self,
        X: Any,
        y: Any,
        targets: Sequence[Any] = (),
        target_labels: Sequence[np.ndarray] | None = None,
        *,
        weights: Any = None,
    ):
        super().__init__(X, y, length=len(X))
        self.targets, self.target_labels = tuple(targets), target_labels
        self.domains = (X, *self.targets)
        self.labels = torch.from_numpy(
            np.concatenate([y, *target_labels]) if target_labels is not None else np.asarray(y)
        )
        self.weights = relative_weights(weights, self.labels)

    def source_weights(self, numbers: Any = slice(None)) -> torch.Tensor | None:
        """Return the weights of some rows of the source, None if all count the same.

        Parameters
        ----------
        numbers : slice or array of int, default=slice(None)
            Of rows of the source; all by default.

        Returns
        -------
        weights : torch.Tensor of shape (n,) or None
            One for each row.
        """
        return None if self.weights is None else self.weights[: len(self.domains[0])][numbers]

    def weights_without(self, numbers: Any) -> torch.Tensor | None:
        """Return all weights but those of some rows of the source.

        Parameters
        ----------
        numbers : slice or array of int
            Of rows of the source.

        Returns
        -------
        weights : torch.Tensor of shape (n,) or None
            Of the rows that are left, None if all count the same.
        """
        return (
            None
            if self.weights is None
            else torch.from_numpy(np.delete(self.weights.numpy(), numbers))
        )

    def without_targets(self) -> "DomainDataset":
        """Return the rows of the source, with their labels and weights, alone.

        Returns
        -------
        dataset : DomainDataset
            Of the source alone.
        """
        return DomainDataset(self.X, self.y, weights=self.source_weights())

    @property
    def class_numbers(self) -> Any:
        """Of the source rows; what they are drawn by."""
        return self.y

    def is_resident(self, device):
        """Return whether all rows can stay on `device` while the network trains.

        Parameters
        ----------
        device : torch.device or str
            Where the network learns.

        Returns
        -------
        is_resident : bool
            On a CUDA device: whether they need less than half of the free memory.
        """
        if not all(isinstance(rows, StoredRows) or is_in_memory(rows) for rows in self.domains):
            return False
        if torch.device(device).type != "cuda":
            return True
        # Half of the free memory is the network's.
        n_bytes = sum(getattr(rows, "nbytes_stored", rows.nbytes) for rows in self.domains)
        return n_bytes < torch.cuda.mem_get_info(device)[0] / 2


def is_in_memory(rows):
    """Whether rows are neither in a memory-mapped file nor read when they are indexed."""
    return isinstance(rows, np.ndarray | torch.Tensor) and not isinstance(_storage(rows), np.memmap)


class RowSubset:
    """Some of the rows of an array, read when they are indexed.

    Parameters
    ----------
    rows : array-like
        The array.

    indices : ndarray of int
        Which rows.
    """

    def __init__(self, rows, indices):
        self.rows, self.indices = rows, indices
        self.shape, self.dtype = (len(indices), *rows.shape[1:]), rows.dtype

    def __len__(self):
        return len(self.indices)

    def __getitem__(self, key):
        return self.rows[self.indices[key]]


def take_rows(rows, indices):
    """Return the rows of these numbers, without reading what is not in memory."""
    if isinstance(rows, StoredRows):
        return rows.subset(indices)
    return rows[indices] if is_in_memory(rows) else RowSubset(rows, indices)


def _storage(rows):
    """The outermost array that a view shows."""
    while isinstance(rows, np.ndarray) and not isinstance(rows, np.memmap):
        if rows.base is None:
            break
        rows = rows.base
    return rows
