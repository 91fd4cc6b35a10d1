"""The rows and labels of ``fit``: images are decoded once, unreadable ones can be left out."""

import warnings
from typing import Any

import numpy as np
import torch

from skda._callers import level_of_user
from skda._sklearn_compat import safe_indexing
from skda.estimators._inputs import RowInputMixin
from skda.images import ImageRows, decode_rows
from skda.rows import Rows, is_torch_data, labels_of


class TrainingRowsMixin(RowInputMixin):
    """Rows that are gone through many times."""

    _kept: dict[str, tuple[int, np.ndarray]]

    def _stored(self, rows, name):
        """Return images as they are decoded once, and note which of them can be read."""
        if not isinstance(rows.values, ImageRows):
            return rows
        images = rows.values
        stored, unreadable = decode_rows(
            images, store=self.image_store, n_jobs=self.n_jobs, on_error=self.on_error
        )
        if unreadable:
            numbers = np.arange(len(images))
            self._kept[name] = len(images), np.setdiff1d(numbers, list(unreadable))
            warnings.warn(
                f"{len(unreadable)} of {len(images)} images of {name} could not be read and were "
                f"left out; the first: {next(iter(unreadable.values()))}",
                stacklevel=level_of_user(),
            )
        return Rows(rows.kind, stored, rows.n_features)

    def _kept_labels(self, y: Any, name: str = "X") -> Any:
        """Return the labels of the images that could be read."""
        if name not in self._kept or y is None:
            return y
        n_images, kept = self._kept[name]
        if len(y) != n_images:
            raise ValueError(f"y has {len(y)} labels for the {n_images} images of {name}.")
        return safe_indexing(y, kept)

    def _encode_labels(self, y, X):
        """Return labels as the network learns them, and keep what the task has learned of them."""
        if isinstance(y, torch.Tensor):
            y = y.detach().cpu().numpy()
        self._task = self.task_class(type(self).__name__)
        codes = self._task.encode(y, X)
        vars(self).update(self._task.fitted_attributes())
        return codes

    @staticmethod
    def _labels_of(X, y):
        """Return y; None stands for the labels that a data set holds itself."""
        return labels_of(X) if y is None and is_torch_data(X) else y
