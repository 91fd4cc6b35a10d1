"""The rows that an extractor takes, batch by batch as inputs of its network."""

import numpy as np
import torch
from joblib import effective_n_jobs

from skda._sklearn_compat import validate_data
from skda._torch import as_tensor
from skda.feature_extraction._parts import ExtractorPart
from skda.images import (
    ImageRows,
    UnreadableImageError,
    as_host_array,
    as_image_list,
    channels_first_shape,
    check_images,
    check_tensor,
    decoded_batches,
    n_dimensions,
    unflatten,
)
from skda.training import AdaptationModule


class InputMixin(ExtractorPart):
    """Tables, arrays of images and lists of images: checked, decoded and cut into batches."""

    def _validate_X(self, X, *, reset):
        """Return rows as a float32 table, as float32 or uint8 images, or as a list of images."""
        rows, n_features = as_image_list(X), 1
        if rows is None:
            rows = check_tensor(X) if isinstance(X, torch.Tensor) else X
            try:
                n_dims = n_dimensions(rows)
            except ValueError as error:  # numpy's, for a ragged list
                raise ValueError(
                    "X is a list of rows of different shapes; give all rows one shape, or pass a "
                    f"list of PIL images or paths. ({error})"
                ) from error
            if n_dims == 2 and self.image_shape is not None:
                rows, n_dims = unflatten(rows, self.image_shape), 4
            if n_dims < 3:
                return self._validate_table(rows, reset=reset)
            if n_dims != 4:
                raise ValueError(
                    f"X has {n_dims} dimensions; pass a table of shape (n_samples, "
                    "n_features), or images: floats of shape (n_samples, n_channels, height, "
                    "width) or uint8 of shape (n_samples, height, width, n_channels). Images of "
                    "one channel need that dimension too."
                )
            if isinstance(rows, torch.Tensor):
                shape = channels_first_shape(rows, "X")
            else:
                rows, shape = check_images(rows, "X")
            if not reset and shape != self.input_shape_ and not self._is_preprocessed(rows):
                raise ValueError(
                    f"X has rows of shape {shape}, but {type(self).__name__} was fitted on rows "
                    f"of shape {self.input_shape_}; resize them to that shape."
                )
            n_features = int(np.prod(shape))
        if reset or hasattr(X, "columns"):
            validate_data(self, X, reset=reset, skip_check_array=True, ensure_2d=False)  # names
        if reset:
            self.n_features_in_ = n_features
        return rows

    def _validate_table(self, X, *, reset):
        if not reset and len(self.input_shape_) == 3:
            raise ValueError(
                f"X has {n_dimensions(X)} dimensions, but {type(self).__name__} was fitted on "
                f"images, inputs of shape {self.input_shape_}; pass images, or flat ones with "
                "image_shape."
            )
        if reset and self.augment != "none":
            raise ValueError(
                f"augment={self.augment!r} makes versions of images, but X is a table; pass "
                "images, flat ones with image_shape, or leave it at 'none'."
            )
        if isinstance(X, torch.Tensor) and X.ndim == 2:
            validate_data(self, X, reset=reset, skip_check_array=True)  # the width
            return X.float()
        return validate_data(self, X, dtype=np.float32, reset=reset)

    def _is_preprocessed(self, X):
        is_uint8 = getattr(X, "dtype", None) in (np.uint8, torch.uint8)
        return isinstance(X, list) or (is_uint8 and self.preprocess_ is not None)

    def _image_rows(self, X, row_shape):
        return ImageRows(as_host_array(X), self.preprocess_, row_shape)

    def _first_input(self, X):
        """Return the first row, or the first image that can be read, as a batch."""
        if not self._is_preprocessed(X):
            return AdaptationModule.as_input(as_tensor(X[:1]))
        images, first_error = self._image_rows(X, None), None
        for number in range(len(images)):
            try:
                return images.read(number)[None]
            except UnreadableImageError as error:
                if self.on_error == "raise":
                    raise
                first_error = first_error or error
        raise ValueError(
            f"None of the {len(images)} images of X can be read; the first: {first_error}"
        )

    def _batches(self, X, batches, device):
        """Yield rows, inputs of the network, and errors by position in the batch."""
        if self._is_preprocessed(X):
            yield from decoded_batches(
                self._image_rows(X, self.input_shape_),
                batches,
                n_jobs=effective_n_jobs(self.n_jobs),
                skip_unreadable=self.on_error == "nan",
                pin_memory=torch.device(device).type == "cuda",
            )
        else:
            for rows in batches:
                yield rows, AdaptationModule.as_input(as_tensor(X[rows])), {}
