"""The rows that an extractor takes, batch by batch as inputs of its network."""

from functools import partial

import numpy as np
import torch
from joblib import effective_n_jobs

from skda.estimators import RowInputMixin
from skda.feature_extraction._digests import content_keys
from skda.feature_extraction._parts import ExtractorPart
from skda.images import (
    ImageRows,
    PixelRows,
    UnreadableImageError,
    decoded_batches,
    normalise_pixels,
)
from skda.rows import as_batch, map_batch
from skda.text import TextRows
from skda.training import AdaptationModule


class InputMixin(RowInputMixin, ExtractorPart):
    """Rows of any kind: checked, decoded and cut into batches."""

    def _validate_X(self, X, *, reset):
        rows = super()._validate_X(X, reset=reset)
        if reset and self.augment != "none" and self._row_kind != "image":
            raise ValueError(
                f"augment={self.augment!r} makes versions of images, but X holds rows of another "
                f"kind ({self._row_kind}); pass images, flat ones with image_shape, or leave it "
                "at 'none'."
            )
        return rows

    def _shape_of(self, rows):
        # Pictures are looked at when they are read: the first may be one that cannot be.
        return None if isinstance(rows.values, ImageRows) else rows.row_shape

    def _first_input(self, X):
        """Return the first row, or the first image that can be read, as a batch."""
        if not isinstance(X, ImageRows):
            return self._as_input(map_batch(torch.clone, as_batch(X[:1])), X)
        first_error = None
        for number in range(len(X)):
            try:
                return X.read(number)[None]
            except UnreadableImageError as error:
                if self.on_error == "raise":
                    raise
                first_error = first_error or error
        raise ValueError(f"None of the {len(X)} images of X can be read; the first: {first_error}")

    def _numbers(self, X, size):
        """Return the rows of every batch; texts go with others of their length."""
        return (
            X.length_sorted_batches(size.rows) if isinstance(X, TextRows) else size.slices(len(X))
        )

    def _batches(self, X, batches, device):
        """Yield rows, what becomes inputs of the network, and errors by position in the batch."""
        if isinstance(X, ImageRows):
            X.row_shape = self.input_shape_
            pixels = PixelRows.of(X)
            decoded = decoded_batches(
                X if pixels is None else pixels,
                batches,
                n_jobs=effective_n_jobs(self.n_jobs),
                skip_unreadable=self.on_error == "nan",
                pin_memory=torch.device(device).type == "cuda",
            )
            for rows, inputs, errors in decoded:
                yield rows, inputs if pixels is None else inputs.permute(0, 2, 3, 1), errors
        else:
            for rows in batches:
                yield rows, map_batch(partial(_own, device=device), as_batch(X[rows])), {}

    @staticmethod
    def _as_input(batch, X):
        """Return what the network takes; bytes have gone to its device, where they become floats.

        Parameters
        ----------
        batch : torch.Tensor of shape (n, ...), or dict of them
            Rows of X, pixels of uint8 with channels last.

        X : object
            All rows.
        """
        if isinstance(batch, torch.Tensor) and batch.dtype == torch.uint8:
            return normalise_pixels(batch, X.preprocess if isinstance(X, ImageRows) else None)
        return AdaptationModule.as_input(batch)


def _own(values, device):
    """Return values that X does not share: a network that works in place must not write into X.

    Elsewhere than on the CPU it gets copies of what is sent there.
    """
    return values.clone() if torch.device(device).type == "cpu" else values


def row_shape(example):
    """Return the shape of a row of a batch, by name for a dict."""
    return map_batch(lambda values: tuple(values.shape[1:]), example)


def keys_of(X, rows):
    """Return a digest of the content of every one of these rows."""
    numbers = np.arange(len(X))[rows]
    if isinstance(X, ImageRows):
        return content_keys([X.items[number] for number in numbers], X.reading)
    if isinstance(X, TextRows):
        return content_keys([X.items[number] for number in numbers], are_texts=True)
    return content_keys(X[rows])
