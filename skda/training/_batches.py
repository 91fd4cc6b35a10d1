"""Batches that hold rows of every domain."""

from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from skda._torch import as_tensor
from skda.images import ImageRows, StoredRows, decoded_batches
from skda.rows import as_batch, join_batches, map_batch
from skda.training._datasets import DomainDataset
from skda.training._module import AdaptationModule
from skda.training._resampling import class_shares, draw_by_weights

# Share of the source rows of an epoch that may be of other classes than they should be by chance.
_MOST_MISDRAWN = 0.1


class _BatchReader(Dataset):
    """Reads a whole batch of rows of all domains at once."""

    def __init__(self, dataset, sizes, n_labels):
        self.domains = dataset.domains[: len(sizes)]
        self.labelled = [x for x in (dataset.labels, dataset.weights) if x is not None]
        self.sizes, self.n_labels = sizes, n_labels
        self.starts = np.cumsum([0, *(len(rows) for rows in self.domains)])

    def __getitems__(self, indices):
        indices = np.asarray(indices)
        parts = np.split(indices, np.cumsum(self.sizes)[:-1])
        rows = [
            as_batch(domain[part - start])
            for domain, part, start in zip(self.domains, parts, self.starts[:-1], strict=True)
        ]
        numbers = torch.from_numpy(indices[: self.n_labels])
        return join_batches(rows), *(values[numbers] for values in self.labelled)


def _identity(batch):
    return batch


class _ResidentRows:
    """Rows of all domains on the device, which some of them leave as pixels until they are used.

    Parameters
    ----------
    domains : sequence of arrays, tensors or StoredRows
        The rows.

    sizes : sequence of int
        How many rows of each are in a batch.

    device : str or torch.device
        Where they go.
    """

    def __init__(self, domains, sizes, device):
        self.domains = [
            rows.to(device) if isinstance(rows, StoredRows) else as_tensor(rows).to(device)
            for rows in domains
        ]
        self.sizes, self.device = sizes, device
        starts = np.cumsum([0, *map(len, domains[:-1])])
        self.starts = torch.from_numpy(np.repeat(starts, sizes)).to(device)
        first = self.domains[0]
        # Pixels that are normalised alike are so at once: a batch is written once.
        self.is_alike = all(
            isinstance(first, StoredRows) and first.is_like(rows) for rows in self.domains
        )

    def index_select(self, _, batch):
        """Return the rows of a batch, which are counted on from one domain to the next."""
        parts = (batch - self.starts).split(self.sizes)
        pairs: Any = list(zip(self.domains, parts, strict=True))
        if not self.is_alike:
            return torch.cat([_take(rows, part) for rows, part in pairs])
        first: Any = self.domains[0]
        pixels = first.pixels.new_empty(len(batch), *first.pixels.shape[1:])
        for (rows, part), place in zip(pairs, pixels.split(self.sizes), strict=True):
            rows.gather(part, out=place)
        return first.normalise(pixels)


def _take(rows, part):
    if isinstance(rows, StoredRows):
        return rows.normalise(rows.gather(part))
    return AdaptationModule.as_input(rows.index_select(0, part))


class PairedBatches:
    """Training batches: `batch_size` source rows, then as many target rows, and their labels.

    If the dataset has weights, a batch has those of its labelled rows behind the labels.

    Every epoch goes through the longest domain once; a shorter one starts again, shuffled anew,
    as often as it takes. All batches are full: the last one is filled with rows drawn anew. A
    domain with fewer rows than a batch gives them all. Several target domains share the target
    half evenly. With `source_weights` source rows are drawn by them.

    Rows that fit stay on the device and are gathered there, stored images before they
    are normalised; others (memory-mapped files, or any data if one of the DataLoader's keywords is
    given) come through a DataLoader.

    Parameters
    ----------
    dataset : DomainDataset
        The rows.

    batch_size : int, default=64
        Source rows, and target rows, of a batch.

    random_state : int, default=0
        Seed of the order of rows. Domains are shuffled independently.

    device : str or torch.device, default="cpu"
        Where the batches are needed.

    with_target : bool, default=True
        Whether batches hold target rows at all; without, an epoch goes through the source.

    **loader : keywords
        ``num_workers``, ``pin_memory``, ``prefetch_factor``, ``persistent_workers``, ``timeout``,
        ``worker_init_fn`` and ``multiprocessing_context`` of
        :class:`torch.utils.data.DataLoader`.

    Attributes
    ----------
    dataset : DomainDataset
        The rows.

    n_rows : list of int
        Rows of every domain that takes part, source first.

    sizes : list of int
        How many of them are in a batch.

    n_steps : int
        Batches of an epoch.

    generators : list of torch.Generator
        One for the order of every domain.

    source_weights : ndarray of shape (n_source,) or None
        How often source rows come in an epoch, which the net sets before it; those without a
        weight never do. None goes through all rows.

    Examples
    --------
    >>> import numpy as np
    >>> from skda.training import DomainDataset, PairedBatches
    >>> dataset = DomainDataset(np.zeros((8, 3)), np.arange(8) % 2, (np.ones((5, 3)),))
    >>> for X, y in PairedBatches(dataset, batch_size=4):
    ...     print(X[:, 0].tolist(), y.shape)
    [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0] torch.Size([4])
    [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0] torch.Size([4])
    """

    LOADER_KEYWORDS = (
        "num_workers",
        "pin_memory",
        "prefetch_factor",
        "persistent_workers",
        "timeout",
        "worker_init_fn",
        "multiprocessing_context",
    )

    # What follows from rows and parameters; all else that is plain goes into a checkpoint.
    SETTINGS = (
        "dataset",
        "device",
        "n_rows",
        "sizes",
        "n_steps",
        "n_labels",
        "loader",
        "resident",
        "rows",
        "labels",
        "weights",
        "source_weights",
    )

    def __init__(
        self,
        dataset: DomainDataset,
        batch_size: int = 64,
        *,
        random_state: int = 0,
        device: Any = "cpu",
        with_target: bool = True,
        **loader: Any,
    ):
        unknown = set(loader) - set(self.LOADER_KEYWORDS)
        if unknown:
            raise TypeError(
                f"iterator_train__{min(unknown)} is not known; use batch_size or one of "
                f"{', '.join(self.LOADER_KEYWORDS)}."
            )
        self.dataset, self.device = dataset, device
        self.source_weights: Any = None
        n_rows = [len(rows) for rows in dataset.domains]
        shares = [batch_size]
        if n_targets := len(dataset.targets):
            shares += [max(1, round(batch_size / n_targets))] * n_targets
        # Batch statistics need two rows; a lone row is repeated.
        sizes = [max(2, min(share, n)) for share, n in zip(shares, n_rows, strict=True)]
        n_domains = len(sizes) if with_target else 1
        self.n_rows, self.sizes = n_rows[:n_domains], sizes[:n_domains]
        steps = [-(-n // size) for n, size in zip(self.n_rows, self.sizes, strict=True)]
        self.n_steps = max(steps)
        labelled_target = with_target and dataset.target_labels is not None
        self.n_labels = sum(self.sizes) if labelled_target else self.sizes[0]
        self.generators = [
            torch.Generator().manual_seed(random_state + number)
            for number in range(len(self.sizes))
        ]
        # Without it a DataLoader draws from the global generator, which dropout uses.
        self.worker_seeds = torch.Generator().manual_seed(random_state)
        self.loader = loader
        self.resident = not loader and dataset.is_resident(device)
        if self.resident:
            self.rows: Any = self._on_device(dataset.domains[: len(self.sizes)])
            self.labels, self.weights = dataset.labels.to(device), dataset.weights
            if self.weights is not None:
                self.weights = self.weights.to(device)

    def _on_device(self, domains):
        if any(isinstance(rows, StoredRows) for rows in domains):
            return _ResidentRows(domains, self.sizes, self.device)
        tensors = [as_tensor(rows) for rows in domains]
        rows = torch.cat(tensors) if len(tensors) > 1 else tensors[0]
        return rows.to(self.device)

    def __len__(self):
        return self.n_steps

    def draw_epoch(self) -> torch.Tensor:
        """Draw the rows of one epoch; a subclass may draw others.

        Returns
        -------
        indices : torch.Tensor of int64 of shape (n_steps, sum(sizes))
            Row numbers of every batch, source first; the rows of a domain are counted on from
            those of the domain before it.
        """
        columns, start = [], 0
        for n, size, generator in zip(self.n_rows, self.sizes, self.generators, strict=True):
            if not columns and self.source_weights is not None:
                labels, shape = self.dataset.class_numbers, (self.n_steps, size)
                columns.append(draw_by_weights(labels, self.source_weights, shape, generator))
            else:
                needed = self.n_steps * size
                rounds = [torch.randperm(n, generator=generator) for _ in range(-(-needed // n))]
                columns.append(torch.cat(rounds)[:needed].view(self.n_steps, size) + start)
            start += n
        return torch.cat(columns, dim=1)

    def _check_drawn(self, indices):
        """Raise unless every column holds rows of its own domain: others would train in silence."""
        shape = self.n_steps, sum(self.sizes)
        if tuple(getattr(indices, "shape", ())) != shape or indices.dtype != torch.int64:
            raise ValueError(
                f"draw_epoch of {type(self).__name__} must return int64 of shape {shape}, got "
                f"{getattr(indices, 'dtype', type(indices).__name__)} of shape "
                f"{tuple(getattr(indices, 'shape', ()))}."
            )
        start = 0
        for n, rows in zip(self.n_rows, indices.split(self.sizes, dim=1), strict=True):
            if rows.min() < start or rows.max() >= start + n:
                raise ValueError(
                    f"draw_epoch of {type(self).__name__} returns rows {rows.min().item()} to "
                    f"{rows.max().item()} where those of a domain are {start} to "
                    f"{start + n - 1}; domains are counted on from one another."
                )
            start += n
        # The own one draws few rows by the shares as nearly as they can be, and not nearer.
        if (
            self.source_weights is not None
            and type(self).draw_epoch is not PairedBatches.draw_epoch
        ):
            self._check_shares(indices[:, : self.sizes[0]])

    def _check_shares(self, rows):
        """Raise where a subclass draws source rows of its own, and passes over the weights."""
        labels = self.dataset.class_numbers
        wanted = np.bincount(labels, self.source_weights)
        drawn = class_shares(labels[rows.flatten()], len(wanted))
        if 0.5 * np.abs(drawn - wanted / wanted.sum()).sum() > _MOST_MISDRAWN:
            raise ValueError(
                f"target_shares: draw_epoch of {type(self).__name__} draws source rows of other "
                "class shares; let it follow self.source_weights, or set target_shares=None."
            )

    def draw_checked(self) -> torch.Tensor:
        """Return what :meth:`draw_epoch` draws, or raise if it holds rows of other domains.

        Returns
        -------
        indices : torch.Tensor
            Of the rows of an epoch, as :meth:`draw_epoch` returns them.
        """
        indices = self.draw_epoch()
        self._check_drawn(indices)
        return indices

    def gather(self, batch: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return rows, labels, and weights if there are any, of a batch on the device.

        Parameters
        ----------
        batch : torch.Tensor of int64 of shape (sum(sizes),)
            Row numbers as in :meth:`draw_epoch`, on the device.

        Returns
        -------
        rows : torch.Tensor of shape (sum(sizes), ...)
            Of all domains.

        labels : torch.Tensor of int64 of shape (n_labels,)
            Of the first of them.

        weights : torch.Tensor of shape (n_labels,)
            Of the same rows.
        """
        numbers = batch[: self.n_labels]
        of_labelled = [self.labels] if self.weights is None else [self.labels, self.weights]
        return self.rows.index_select(0, batch), *(t.index_select(0, numbers) for t in of_labelled)

    def __iter__(self):
        indices = self.draw_checked()
        if not self.resident:
            reader = _BatchReader(self.dataset, self.sizes, self.n_labels)
            yield from DataLoader(
                reader,
                batch_sampler=indices.tolist(),
                collate_fn=_identity,
                generator=self.worker_seeds,
                **self.loader,
            )
            return
        for batch in indices.to(self.device).unbind():
            yield self.gather(batch)


class RowBatches:
    """Batches of consecutive rows, for validation and prediction.

    Parameters
    ----------
    dataset : skorch.dataset.Dataset
        Rows ``dataset.X`` and labels ``dataset.y`` (or None). Weights, if it has some, come behind
        the labels.

    batch_size : int, default=1024
        Rows of a batch.

    n_jobs : int, default=1
        Threads that decode images, while the network runs.

    Examples
    --------
    >>> import numpy as np
    >>> from skorch.dataset import Dataset
    >>> from skda.training import RowBatches
    >>> [len(X) for X, y in RowBatches(Dataset(np.zeros((5, 3))), batch_size=2)]
    [2, 2, 1]
    """

    def __init__(self, dataset: Any, batch_size: int = 1024, *, n_jobs: int = 1):
        self.X, self.y, self.batch_size = dataset.X, dataset.y, batch_size
        self.weights = getattr(dataset, "weights", None)
        self.n_jobs = n_jobs

    def __len__(self):
        return -(-len(self.X) // self.batch_size)

    def __iter__(self):
        starts = range(0, len(self.X), self.batch_size)
        slices = [slice(start, start + self.batch_size) for start in starts]
        for rows, batch in self._read(slices):
            y = torch.zeros(1) if self.y is None else as_tensor(self.y[rows])
            yield (batch, y) if self.weights is None else (batch, y, self.weights[rows])

    def _read(self, slices):
        if not isinstance(self.X, ImageRows):
            # Copies: a network whose first layer works in place must not write into the rows.
            return ((rows, map_batch(torch.clone, as_batch(self.X[rows]))) for rows in slices)
        decoded = decoded_batches(self.X, slices, n_jobs=self.n_jobs)
        return ((rows, batch) for rows, batch, _ in decoded)
