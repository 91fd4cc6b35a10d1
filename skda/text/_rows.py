"""Rows that are tokenised when they are read."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from skda.text._preprocess import TextPreprocess


class TextRows:
    """Texts as the rows of an array that are tokenised when they are read.

    Nothing that was read is kept, except for the lengths. Splitting into tokens takes about 0.1 ms
    a text, far less than a network needs for it. Objects can be pickled where `items` and
    `preprocess` can.

    Parameters
    ----------
    items : list of str
        The texts.

    preprocess : TextPreprocess
        From texts to inputs.

    Attributes
    ----------
    shape : (int,)
        Number of texts. A row has no shape of its own: its length differs from batch to batch.

    dtype : dtype
        int64, of all inputs.
    """

    dtype = np.dtype(np.int64)
    ndim = 1

    _lengths: np.ndarray | None

    def __init__(self, items: list[str], preprocess: TextPreprocess):
        self.items, self.preprocess = items, preprocess
        self._lengths = None
        self._has_warned = False

    def __len__(self):
        return len(self.items)

    @property
    def shape(self) -> tuple[int]:
        """Of the array: (n,)."""
        return (len(self),)

    @property
    def lengths(self) -> np.ndarray:
        """Number of tokens of every text after it is cut, of shape (n,).

        The first use goes through all texts, and warns once of those that are cut.
        """
        if self._lengths is None:
            lengths = self.preprocess.lengths(self.items)
            self.preprocess.warn_of_cuts(lengths)
            self._has_warned = True
            self._lengths = np.minimum(lengths, self.preprocess.max_length or lengths)
        return self._lengths

    @property
    def nbytes(self) -> int:
        """What all rows would take in memory as one batch, padded to the longest."""
        n_inputs = 3 if self.preprocess.token_type_ids else 2
        return len(self) * int(self.lengths.max(initial=1)) * n_inputs * self.dtype.itemsize

    def __getitem__(self, rows: Any) -> dict[str, torch.Tensor]:
        """Tokenise rows.

        Parameters
        ----------
        rows : slice or array of int
            Which.

        Returns
        -------
        inputs : dict of str to torch.Tensor of shape (k, n_tokens)
            In int64, padded to the longest of these rows. The first rows that are cut, and only
            these, cause a warning.
        """
        texts = [self.items[number] for number in np.arange(len(self))[rows]]
        inputs = self.preprocess.encode(texts)
        if not self._has_warned and self.preprocess.is_full(inputs):
            # Another batch that is cut would be told of again and again.
            self._has_warned = self.preprocess.warn_of_cuts(self.preprocess.lengths(texts))
        return inputs

    def length_sorted_batches(self, batch_size: int) -> Iterator[np.ndarray]:
        """Return batches of texts of like length, the longest first.

        Little of such batches is padding, and the first one shows at once whether memory will do.

        Parameters
        ----------
        batch_size : int
            Number of texts, but of the last batch, which has the rest.

        Yields
        ------
        rows : ndarray of int of shape (n_rows,)
            Numbers of the rows: every row is in one batch, and ``out[rows] = ...`` puts results
            back into the order of the texts.
        """
        order = np.argsort(-self.lengths, kind="stable")
        for start in range(0, len(order), batch_size):
            yield order[start : start + batch_size]
