"""What an extractor computes: the features of batches, new or remembered."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch

from skda._digest import digest
from skda._torch import resolve_device
from skda.backbones import layer_names
from skda.feature_extraction._cache import RowCache
from skda.feature_extraction._engines import engine_choices, make_engine
from skda.feature_extraction._features import FeatureModule
from skda.feature_extraction._inputs import keys_of, row_shape
from skda.feature_extraction._parts import ExtractorPart
from skda.feature_extraction._versions import image_versions
from skda.nn import check_submodules
from skda.rows import map_batch
from skda.training import AdaptationModule

_ROWS_PER_LOOKUP = 1024  # of the cache at a time


class ComputationMixin(ExtractorPart):
    """Features of the chosen layers, by the chosen engine, through the cache."""

    def _computed(self, X, device) -> Iterator[tuple[Any, Any, list]]:
        """Yield rows, their features, and messages of those that cannot be read."""
        for rows, inputs, errors in self._batches(X, self._numbers(X), device):
            values = self._features(inputs, device)
            values[list(errors)] = torch.nan
            yield rows, values, list(errors.values())

    def _remembered(self, X, device) -> Iterator[tuple[Any, Any, list]]:
        """Yield the same, computed only where the cache does not know it."""
        cache = RowCache(
            self.cache, self._digest(device), self._n_features_out, self.cache_size_limit
        )
        try:
            for start in range(0, len(X), _ROWS_PER_LOOKUP):
                rows = slice(start, start + _ROWS_PER_LOOKUP)
                keys = keys_of(X, rows)
                found, values = cache.get(keys)
                missing, messages = np.flatnonzero(~found), []
                batches = (
                    start + missing[first : first + self.batch_size]
                    for first in range(0, len(missing), self.batch_size)
                )
                for numbers, inputs, errors in self._batches(X, batches, device):
                    places = numbers - start
                    values[places] = self._features(inputs, device).cpu().numpy()
                    values[places[list(errors)]] = np.nan
                    new = np.delete(places, list(errors))
                    cache.put([keys[place] for place in new], values[new])
                    messages += errors.values()
                yield rows, values, messages
        finally:
            cache.close()

    def _digest(self, device):
        """Return a digest of all that features depend on beside the row."""
        try:
            return digest(
                self.module_,
                self._layer_paths(),
                [getattr(self, name) for name in ("pooling", "augment", "power", "normalize")],
                # A tokenizer's library has no digest of it.
                getattr(self.preprocess_, "fingerprint", lambda: self.preprocess_)(),
                self._reader.reading,
                self.input_shape_,
                list(engine_choices(self.engine, self.precision, torch.device(device))),
                [torch.device(device).type, torch.__version__],
            )
        except TypeError as error:
            raise ValueError(
                f"cache: features cannot be told from those of other settings ({error}) Pass "
                "functions or plain objects as module and preprocess, or cache=None."
            ) from error

    def _device_for(self, X):
        elsewhere = isinstance(X, torch.Tensor) and X.device.type not in ("cpu", "meta")
        if self.device == "auto" and elsewhere:
            return X.device
        return resolve_device(self.device)

    def _layer_names(self):
        layers = (self.layers,) if isinstance(self.layers, str) else tuple(self.layers)
        if not layers or len(set(layers)) < len(layers):
            raise ValueError(f"layers must name one or several different layers, got {layers!r}.")
        return layers

    def _check_weights_hash(self):
        is_file = isinstance(self.weights, str | os.PathLike) and self.weights != "pretrained"
        if self.weights_sha256 is not None and not is_file:
            given = "a mapping" if isinstance(self.weights, Mapping) else repr(self.weights)
            raise ValueError(
                f"weights_sha256 is the hash of a file, but weights is {given}; leave it out."
            )

    def _layer_paths(self):
        """Return the submodules that the names of the layers stand for."""
        names = layer_names(self.module)
        return tuple(names.get(layer, layer) for layer in self._layer_names())

    def _feature_module(self):
        return FeatureModule(self.module_, self._layer_paths(), self.pooling)

    def _first_features(self, example):
        """Return the features of the first row by layer."""
        layers, adapted = self._layer_names(), isinstance(self.module_, AdaptationModule)
        check_submodules(
            self.module_.backbone if adapted else self.module_,
            layers,
            "layers",
            also=(*layer_names(self.module), "features"),
        )
        try:
            with torch.inference_mode():
                return dict(zip(layers, self._feature_module()(example), strict=True))
        except (AssertionError, RuntimeError, TypeError) as error:
            raise ValueError(
                f"module: {type(self.module_).__name__} failed on an input of shape "
                f"{row_shape(example)}: {error}. It must take the rows of X, after the "
                "preprocessing of images."
            ) from error

    def _engine_for(self, device, example):
        """Return what runs the network on a device; made when it is first needed."""
        device = torch.device(device)
        if isinstance(example, Mapping):
            if self.engine not in ("auto", "eager") or self.precision not in ("auto", "float32"):
                raise ValueError(
                    f"engine={self.engine!r} and precision={self.precision!r}: networks of texts "
                    "and of inputs by name run with engine='eager' and precision='float32'."
                )
            return self._feature_module()
        if device not in self._engines:
            self._engines[device] = make_engine(
                self._feature_module(),
                example,
                engine=self.engine,
                precision=self.precision,
                device=device,
            )
        return self._engines[device]

    def _features(self, inputs, device) -> torch.Tensor:
        """Return the finished features of a batch."""
        inputs = map_batch(lambda values: values.to(device, non_blocking=True), inputs)
        engine = self._engine_for(device, inputs)
        total: Any = 0
        n_versions = 0
        for version in image_versions(inputs, self.augment):
            layers = engine(version)
            total = total + (layers[0] if len(layers) == 1 else torch.cat(layers, dim=1))
            n_versions += 1
        features = total / n_versions
        if self.power != 1:
            features = features.abs().pow(self.power).copysign(features)
        if self.normalize:
            norms = features.norm(dim=1, keepdim=True)
            features = features / norms.where(norms > 0, 1)
        return features
