"""Rows of images that are decoded already."""

import contextlib
import math
import os
import weakref
from typing import Any

import numpy as np
import torch

from skda._torch import as_tensor
from skda.images._preprocess import normalise_pixels


class StoredFile:
    """A file of decoded rows; if it is temporary, it is removed with the last rows that use it.

    Parameters
    ----------
    path : str
        Of a ``.npy`` file.

    temporary : bool
        Whether to remove it, at the latest when the interpreter ends.
    """

    def __init__(self, path, temporary):
        self.path = path
        if temporary:
            weakref.finalize(self, _remove, path, os.getpid())

    def open(self):
        """Return the rows as a tensor of which the parts that are used are read."""
        # Copy-on-write: torch warns of memory that it must not write to.
        return torch.from_numpy(np.load(self.path, mmap_mode="c"))


def _remove(path, owner):
    if os.getpid() == owner:  # a forked worker has the same object
        with contextlib.suppress(OSError):
            os.unlink(path)


class StoredRows:
    """Decoded images as the float32 rows of an array, kept as what is normalised when it is read.

    Made by :func:`decode_rows`. Can be pickled; a file is not copied, but opened again.

    Parameters
    ----------
    pixels : torch.Tensor of shape (n, height, width, n_channels)
        In uint8, as they are before they are normalised, or in float32, ready.

    preprocess : ImagePreprocess or None
        What normalises uint8 pixels; None scales them to [0, 1].

    numbers : torch.Tensor of int64 of shape (n_rows,), default=None
        Which of the pixels are the rows; None takes all.

    file : StoredFile, default=None
        Where `pixels` are mapped from.

    Examples
    --------
    >>> import torch
    >>> from skda.images import StoredRows
    >>> rows = StoredRows(torch.full((5, 6, 8, 3), 255, dtype=torch.uint8), None)
    >>> rows.shape, rows[1:3].shape, rows[torch.tensor([4, 0])].max()
    ((5, 3, 6, 8), torch.Size([2, 3, 6, 8]), tensor(1.))
    """

    dtype = np.dtype(np.float32)
    ndim = 4

    def __init__(self, pixels: torch.Tensor, preprocess: Any, *, numbers=None, file=None):
        self.pixels, self.preprocess = pixels, preprocess
        self.numbers, self.file = numbers, file

    def __len__(self):
        return len(self.pixels if self.numbers is None else self.numbers)

    @property
    def shape(self):
        """Of the array: (n, n_channels, height, width)."""
        height, width, n_channels = self.pixels.shape[1:]
        return (len(self), n_channels, height, width)

    @property
    def nbytes(self):
        """What all rows would take in memory."""
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def nbytes_stored(self):
        """What is kept takes, in memory or on disk, with rows that a subset leaves out."""
        return self.pixels.nbytes

    def __getitem__(self, rows):
        """Return rows.

        Parameters
        ----------
        rows : slice, or array or tensor of int
            Which.

        Returns
        -------
        inputs : torch.Tensor of shape (k, n_channels, height, width)
            In float32, with channels last in memory.
        """
        is_part = isinstance(rows, slice) and rows.step in (None, 1) and self.numbers is None
        if is_part and self.pixels.dtype == torch.uint8:  # floats would not be a copy
            return self.normalise(self.pixels[rows])
        return self.normalise(self.gather(self._numbers(rows)))

    def _numbers(self, rows):
        return as_tensor(np.arange(len(self))[rows])

    def gather(self, rows: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
        """Return the pixels of rows, not normalised.

        Parameters
        ----------
        rows : torch.Tensor of int64 of shape (k,)
            Which, from 0 on; on the device of `pixels`.

        out : torch.Tensor, default=None
            Where to put them.

        Returns
        -------
        pixels : torch.Tensor of shape (k, height, width, n_channels)
            As stored.
        """
        rows = rows if self.numbers is None else self.numbers[rows]
        return torch.index_select(self.pixels, 0, rows, out=out)

    def normalise(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return inputs of a network.

        Parameters
        ----------
        pixels : torch.Tensor of shape (k, height, width, n_channels)
            As stored, on any device.

        Returns
        -------
        inputs : torch.Tensor of shape (k, n_channels, height, width)
            In float32, with channels last in memory.
        """
        if pixels.dtype != torch.uint8:
            return pixels.permute(0, 3, 1, 2)
        return normalise_pixels(pixels, self.preprocess)

    def subset(self, rows: np.ndarray) -> "StoredRows":
        """Return some of the rows, without a copy of them.

        Parameters
        ----------
        rows : ndarray of int or bool
            Which ones.

        Returns
        -------
        rows : StoredRows
            Of the same store.
        """
        numbers = self._numbers(rows)
        numbers = numbers if self.numbers is None else self.numbers[numbers]
        return StoredRows(self.pixels, self.preprocess, numbers=numbers, file=self.file)

    def to(self, device: Any) -> "StoredRows":
        """Return the rows with what is stored on a device; rows on the CPU stay where they are.

        Parameters
        ----------
        device : torch.device or str
            Where to.

        Returns
        -------
        rows : StoredRows
            Of pixels that are there.
        """
        numbers = None if self.numbers is None else self.numbers.to(device)
        pixels = self.pixels.to(device)
        return StoredRows(pixels, self.preprocess, numbers=numbers, file=self.file)

    def is_like(self, other: Any) -> bool:
        """Return whether pixels of other rows are normalised in the same way.

        Parameters
        ----------
        other : object
            Such rows, or others.

        Returns
        -------
        is_like : bool
            Whether the two can be put together.
        """
        return (
            isinstance(other, StoredRows)
            and self.preprocess == other.preprocess
            and self.pixels.dtype == other.pixels.dtype
            and self.pixels.shape[1:] == other.pixels.shape[1:]
        )

    def __getstate__(self):
        state = vars(self).copy()
        if self.file is not None:
            state["pixels"], state["file"] = None, StoredFile(self.file.path, temporary=False)
        return state

    def __setstate__(self, state):
        vars(self).update(state)
        if self.file is not None:
            self.pixels = self.file.open()
