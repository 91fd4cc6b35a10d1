"""What an extractor computes: the features of batches, new or remembered."""

import copy
import math
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from time import perf_counter
from typing import Any

import numpy as np
import torch

from skda._code import installed_version
from skda._digest import digest
from skda._threads import counted, threads_at_most, threads_that_fill
from skda._torch import resolve_device
from skda.backbones import layer_names
from skda.feature_extraction._batch_size import make_batch_size
from skda.feature_extraction._cache import RowCache
from skda.feature_extraction._engine_room import EngineRoom
from skda.feature_extraction._engines import CPU_ENGINES, Engine, engine_choices
from skda.feature_extraction._export import finish_features
from skda.feature_extraction._features import FeatureModule
from skda.feature_extraction._finite import check_finite_features
from skda.feature_extraction._inputs import keys_of, row_shape
from skda.feature_extraction._link import ahead, make_link
from skda.feature_extraction._parts import ExtractorPart
from skda.feature_extraction._tolerant_cache import TolerantCache
from skda.feature_extraction._versions import N_VERSIONS, image_versions
from skda.nn import check_submodules
from skda.rows import map_batch
from skda.training import AdaptationModule

_ROWS_PER_LOOKUP = 1024  # of the cache at a time


class ComputationMixin(ExtractorPart):
    """Features of the chosen layers, by the chosen engine, through the cache."""

    _draws = False  # whether the network does so in eval mode
    _work: tuple[int, int] | None = None  # for a row: multiply-adds, and of how many products

    def _computed(self, X, device, sizes, *, to_host=True) -> Iterator[tuple[Any, Any, list]]:
        """Yield rows, their features, and messages of those that cannot be read."""
        self._expect(len(X), device, sizes)
        batches = self._numbers(X, self._size_on(device))
        for rows, values, errors in self._passed(X, batches, device, sizes, to_host=to_host):
            yield rows, values, list(errors.values())

    def _passed(
        self, X, batches, device, sizes, *, to_host=True
    ) -> Iterator[tuple[Any, Any, dict]]:
        """Yield the rows of batches, their features, and errors by position in the batch."""
        size, link, last = self._size_on(device), make_link(device), None

        def compute(part):
            inputs = self._as_input(part, X)
            if inputs is part and link.may_repeat:
                inputs = map_batch(torch.clone, part)  # for the network may work in place
            return self._features(inputs, device, sizes)

        def computed(batch, errors):
            values = size.compute(compute, batch)
            if errors:
                values[list(errors)] = 0  # something else stood in the place of these images
            return link.fetch(values, to_host=to_host)

        def launched():
            for rows, batch, errors in self._batches(X, batches, device):
                batch = link.receive(link.send(batch))
                yield rows, batch, errors, computed(batch, errors)

        for rows, batch, errors, fetched in ahead(launched(), link.depth):
            values, is_finite = link.wait(fetched)
            if not is_finite:
                inputs = self._as_input(batch, X)
                if self._leave_float16(device, inputs, sizes):
                    values, _ = link.wait(computed(batch, errors))
                check_finite_features(values, inputs, rows)
            if errors:
                values[list(errors)] = torch.nan
            # From one to the next, with all that is done beside the network.
            now = perf_counter()
            if last is not None:
                size.measured(len(values), now - last)
            last = now
            yield rows, values, errors

    def _remembered(self, X, device, sizes) -> Iterator[tuple[Any, Any, list]]:
        """Yield the same, computed only where the cache does not know it."""
        about = self._digest(device, sizes), self._n_features_out, self.cache_size_limit
        cache = TolerantCache(RowCache(self.cache, *about))
        try:
            for start in range(0, len(X), _ROWS_PER_LOOKUP):
                rows = slice(start, start + _ROWS_PER_LOOKUP)
                keys = keys_of(X, rows)
                found, values = cache.get(keys)
                missing, messages = np.flatnonzero(~found), []
                self._expect(len(missing), device, sizes)
                size = self._size_on(device)
                batches = (start + missing[part] for part in size.slices(len(missing)))
                for numbers, features, errors in self._passed(X, batches, device, sizes):
                    places = numbers - start
                    values[places] = features.numpy()
                    new = np.delete(places, list(errors))
                    cache.put([keys[place] for place in new], values[new])
                    messages += errors.values()
                yield rows, values, messages
        finally:
            cache.close()

    def _digest(self, device, sizes):
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
                [torch.device(device).type, torch.__version__, installed_version("pillow")],
                *([] if sizes is None else [list(sizes)]),
            )
        except TypeError as error:
            raise ValueError(
                f"cache: features cannot be told from those of other settings ({error}) Pass as "
                "module and preprocess functions or plain objects, which read nothing else that "
                "may change unseen, or cache=None."
            ) from error

    def _device_for(self, X):
        if self.device == "auto" and self.engine in CPU_ENGINES:
            return "cpu"
        elsewhere = isinstance(X, torch.Tensor) and X.device.type not in ("cpu", "meta")
        if self.device == "auto" and elsewhere:
            return X.device
        return resolve_device(self.device)

    def _layer_names(self):
        layers = (self.layers,) if isinstance(self.layers, str) else tuple(self.layers)
        if not layers or len(set(layers)) < len(layers):
            raise ValueError(f"layers must name one or several different layers, got {layers!r}.")
        return layers

    def _layer_paths(self):
        """Return the submodules that the names of the layers stand for."""
        names = layer_names(self.module)
        return tuple(names.get(layer, layer) for layer in self._layer_names())

    def _feature_module(self, sizes=None):
        return FeatureModule(self.module_, self._layer_paths(), self.pooling, sizes)

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
            with torch.inference_mode(), counted(self.module_) as counts:
                features = dict(zip(layers, self._feature_module()(example), strict=True))
            self._work = sum(counts), len(counts)
            return features
        except (AssertionError, RuntimeError, TypeError) as error:
            raise ValueError(
                f"module: {type(self.module_).__name__} failed on an input of shape "
                f"{row_shape(example)}: {error}. It must take the rows of X, after the "
                "preprocessing of images."
            ) from error

    def _engine_for(self, device, example, sizes):
        """Return what runs the network on a device; made when it is first needed."""
        device = torch.device(device)
        if isinstance(example, Mapping):
            if self.engine not in ("auto", "eager") or self.precision not in ("auto", "float32"):
                raise ValueError(
                    f"engine={self.engine!r} and precision={self.precision!r}: networks of texts "
                    "and of inputs by name run with engine='eager' and precision='float32'."
                )
            return self._feature_module(sizes)
        engine = self._engine_room.engine_for(
            self._feature_module(sizes),
            example,
            engine=self.engine,
            precision=self.precision,
            device=device,
        )
        self._tell(engine)
        return engine

    def _tell(self, engine):
        while engine.notes:
            note = engine.notes.pop(0)
            if self.verbose:
                print(note)

    def _leave_float16(self, device, example, sizes):
        """Return whether the network now runs in a precision that may hold what float16 did not."""
        engine = self._engine_for(device, example, sizes)
        if not isinstance(engine, Engine):
            return False
        has_left = engine.leave_float16()
        self._tell(engine)
        return has_left

    @property
    def _engine_room(self):
        return self._engines.setdefault("room", EngineRoom())

    def _size_on(self, device):
        """Return how many rows a batch has on a device, as far as that has been found out."""
        key = "rows of a batch", self.batch_size, self.engine, torch.device(device)
        if key not in self._engines:
            # Texts differ in what a row takes, and inputs by name in what a row is.
            is_alike = isinstance(self.input_shape_, tuple)
            self._engines[key] = make_batch_size(
                self.batch_size,
                device,
                work=self._work if is_alike else None,
                n_values=max(math.prod(self.input_shape_), self._n_features_out) if is_alike else 0,
                engine=self.engine,
            )
        return self._engines[key]

    def _expect(self, n_rows, device, sizes):
        """Count rows that are about to be computed: many repay the conversion of a network."""
        may_convert = self.engine not in ("eager", "compile") and torch.device(device).type == "cpu"
        if n_rows and may_convert and isinstance(self.input_shape_, tuple):  # no inputs by name
            n_versions = N_VERSIONS[self.augment]
            self._engine_room.expect(self._feature_module(sizes), n_rows * n_versions)

    def _features(self, inputs, device, sizes) -> torch.Tensor:
        """Return the finished features of a batch on a device."""
        engine = self._engine_for(device, inputs, sizes)
        total: Any = 0
        n_versions = 0
        for version in image_versions(inputs, self.augment):
            with self._threads_of(engine, device):
                layers = engine(version)
            total = total + (layers[0] if len(layers) == 1 else torch.cat(layers, dim=1))
            n_versions += 1
        return finish_features(total / n_versions, self.power, self.normalize)

    def _threads_of(self, engine, device):
        """Return a context in which torch takes no more threads than the network fills.

        Those of other engines sleep while they wait, and have as many as they were made with.
        """
        is_torch = getattr(engine, "name", "eager") not in CPU_ENGINES
        if self.n_threads != "auto" or torch.device(device).type != "cpu" or not is_torch:
            return nullcontext()
        # By a whole batch: features of a row would depend on how many others come with it.
        n_threads = threads_that_fill(self._work, self._size_on(device).rows, is_training=False)
        return threads_at_most(n_threads)

    def __getstate__(self):
        state = dict(super().__getstate__())
        state["_engines"] = {}  # made again where they are needed
        module = state.get("module_")
        if module is not None and any(p.device.type != "cpu" for p in module.parameters()):
            # A machine without this one's devices must be able to load it.
            state["module_"] = copy.deepcopy(module).cpu()
        return state
