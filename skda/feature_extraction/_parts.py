"""What the parts of the extractor may take for granted of the whole."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator

    from sklearn.base import BaseEstimator

    class ExtractorPart(BaseEstimator):
        """The parameters of the extractor, and what it has learned."""

        module: Any
        layers: str | tuple[str, ...]
        weights: Any
        weights_sha256: str | None
        pooling: str | None
        image_shape: tuple[int, ...] | None
        augment: str
        _row_kind: str
        power: float
        normalize: bool
        on_error: str
        batch_size: int | str
        n_threads: Any
        device: Any
        engine: str
        precision: str
        cache: str | os.PathLike | None
        cache_size_limit: int | None
        verbose: Any

        input_shape_: tuple[int, ...]
        preprocess_: Any
        layer_sizes_: dict[str, int]
        module_: Any
        _reader: Any
        _engines: dict[Any, Any]
        _n_features_out: int
        _draws: bool

        def _domain_sizes(self, domain: Any) -> Any: ...
        def _validate_X(self, X: Any, reset: bool) -> Any: ...
        def _device_for(self, X: Any) -> Any: ...
        def _computed(
            self, X: Any, device: Any, sizes: Any, *, to_host: bool = True
        ) -> Iterator[tuple]: ...
        def _remembered(self, X: Any, device: Any, sizes: Any) -> Iterator[tuple]: ...
        def _transform(self, X: Any, out: Any, domain: Any) -> Any: ...
        def _layer_paths(self) -> tuple[str, ...]: ...
        def _numbers(self, X: Any, size: Any) -> Any: ...
        def _size_on(self, device: Any) -> Any: ...
        def _as_input(self, batch: Any, X: Any) -> Any: ...
        def _batches(self, X: Any, batches: Any, device: Any) -> Iterator[tuple]: ...

else:
    ExtractorPart = object
