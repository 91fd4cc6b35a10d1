"""Where features go, and what they are called."""

import warnings
from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn.base import ClassNamePrefixFeaturesOutMixin
from sklearn.utils.validation import check_is_fitted

from skda._callers import level_of_user
from skda._threads import threads_at_most
from skda._torch import local_torch_state
from skda.feature_extraction._dask import is_dask, transform_blocks
from skda.feature_extraction._parts import ExtractorPart
from skda.rows import as_host_array, is_iterable_data, iterate_chunks
from skda.training import RowProgress


class OutputMixin(ClassNamePrefixFeaturesOutMixin, ExtractorPart):
    """An array of features, with a name for each."""

    def _transform(self, X, out, domain):
        sizes = self._domain_sizes(domain)
        if is_iterable_data(X):
            if out is not None:
                raise ValueError("out needs the number of rows, which an iterable does not have.")
            chunks = iterate_chunks(X, self._size_on(self._device_for(X)).rows)
            parts = (self._transform(chunk, None, domain) for chunk in chunks)
            return np.concatenate([as_host_array(part) for part in parts])
        if is_dask(X):
            if out is not None:
                raise ValueError(
                    "out: features of a dask collection are computed later; store what transform "
                    "returns, such as with to_zarr or dask.array.store."
                )
            return transform_blocks(self, X, self._n_features_out, domain)
        X = self._validate_X(X, reset=False)
        features = self._empty_features(X) if out is None else self._check_out(out, len(X))
        device = self._device_for(X)
        unreadable = []
        progress = RowProgress(len(X), self.verbose)
        stays = isinstance(features, torch.Tensor) and features.device.type != "cpu"
        compute = partial(self._computed, to_host=not stays)
        if self.cache is not None:
            compute = self._remembered
        n_threads = None if self.n_threads == "auto" else self.n_threads  # by the engine
        with (
            threads_at_most(n_threads),
            local_torch_state(device, draws=self._draws),
            torch.inference_mode(),
            progress,
        ):
            for rows, values, errors in compute(X, device, sizes):
                unreadable += errors
                if isinstance(features, torch.Tensor):
                    features[rows] = torch.as_tensor(values).to(features.device)
                else:
                    features[rows] = torch.as_tensor(values).cpu().numpy()
                progress.update(len(values))
        if unreadable:
            warnings.warn(
                f"{len(unreadable)} of {len(X)} images could not be read, their features are NaN; "
                f"the first: {unreadable[0]}",
                stacklevel=level_of_user(),
            )
        return features

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
