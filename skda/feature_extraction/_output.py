"""Where features go, and what they are called."""

from typing import Any

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin
from sklearn.utils.validation import check_is_fitted

from skda.feature_extraction._parts import ExtractorPart


class OutputMixin(ClassNamePrefixFeaturesOutMixin, ExtractorPart):
    """An array of features, with a name for each."""

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the features: class name, layer (if there are several), number.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Ignored.

        Returns
        -------
        names : ndarray of shape (n_features_out,) of str objects
            Such as ``"deepfeatureextractor0"`` or ``"deepfeatureextractor_hidden1_0"``.
        """
        check_is_fitted(self)
        if len(self.layer_sizes_) == 1:
            return super().get_feature_names_out(input_features)
        prefix = type(self).__name__.lower()
        names = [
            f"{prefix}_{layer}_{number}"
            for layer, size in self.layer_sizes_.items()
            for number in range(size)
        ]
        return np.asarray(names, dtype=object)

    @property
    def _n_features_out(self):
        return sum(self.layer_sizes_.values())

    def _empty_features(self, X):
        shape = len(X), self._n_features_out
        if isinstance(X, torch.Tensor):
            return torch.empty(shape, device=X.device)
        return np.empty(shape, dtype=np.float32)

    def _check_out(self, out, n_rows):
        wanted, shape = (n_rows, self._n_features_out), tuple(getattr(out, "shape", ()))
        dtype = getattr(out, "dtype", type(out).__name__)
        if shape != wanted or "float" not in str(dtype):
            raise ValueError(
                f"out must be an array of floats of shape {wanted}, got shape {shape} of {dtype}."
            )
        return out
