"""What the parts of an estimator may take for granted of the whole."""

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    import numpy as np
    from sklearn.base import BaseEstimator

    from skda.training import AdaptationNet

    class EstimatorPart(BaseEstimator):
        """A deep estimator, and what it has learned: no parameters, hence not declared there."""

        module: Any
        preprocess: Any
        input: str
        image_layout: str
        image_reading: dict | None
        n_jobs: Any
        image_store: Any
        on_interrupt: str
        on_divergence: str
        warm_start: bool
        checkpoint: Any
        checkpoint_every: int
        verbose: Any
        device: Any
        distributed: Any
        deterministic: bool
        random_state: Any
        weights: Any
        weights_sha256: str | None
        layers: Any
        on_error: str
        optimizer: Any
        n_frozen: int
        adapter: str | None
        freeze: Any
        task_class: ClassVar[type]
        early_stopping: bool
        standardize: Any
        standardize_: Any
        batch_norm: Any
        class_weight: Any
        _kept: dict[str, Any]

        classes_: np.ndarray
        feature_names_in_: np.ndarray
        history_: Any
        interruption_: str | None
        input_shape_: tuple[int, ...]
        n_features_in_: int
        n_iter_: int
        net_: AdaptationNet
        preprocess_: Any
        _n_features_out: int
        _reader: Any
        _row_kind: str
        _task: Any

        def _is_warm(self) -> bool: ...
        def module_keywords(self) -> dict[str, Any]: ...
        def params_for(self, prefix: str) -> dict[str, Any]: ...
        def _optimizer_class(self) -> Any: ...
        def _make_reader(self, resolver: Any, **options: Any) -> Any: ...
        def _validate_X(self, X: Any, reset: bool) -> Any: ...
        def _build_backbone(self, training: Any) -> None: ...
        def finish_fit(self, training: Any) -> None: ...
        def make_stages(self, training: Any) -> Any: ...
        def name_layers(self, training: Any) -> Any: ...
        def net_params(self, training: Any) -> dict[str, Any]: ...
        def _keep(self, net: Any) -> None: ...
        def _forward(
            self, X: Any, layer: str = ..., finish: Any = ..., domain: Any = ...
        ) -> np.ndarray: ...
        def _check_param_names(self) -> None: ...
        def _stored(self, rows: Any, name: str) -> Any: ...
        def _start_head(self, head: Any, dataset: Any) -> None: ...
        def _source_weights(self, sample_weight: Any, sample_domain: Any = None) -> Any: ...
        def _weights_of(
            self, weights: Any, codes: Any, target_labels: Any = None, *, is_whole: bool = True
        ) -> Any: ...
        def _kept_labels(self, y: Any, name: str = "X") -> Any: ...
        def _standardization_kind(self) -> str | None: ...
        def _new_target_moments(self, module: Any, targets: Any) -> Any: ...
        def _validate_target(self, X_target: Any, source: Any, name: str) -> Any: ...
        def make_alignment(self, layers: Any, widths: Any) -> Any: ...

else:
    EstimatorPart = object
