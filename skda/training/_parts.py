"""What skda's nets use of skorch, and their parts of the whole, as type checkers are to see it."""

from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from skorch import NeuralNet
    from torch import nn

    from skda.training._module import AdaptationModule
    from skda.training._stages import Stage

    def to_device(X: Any, device: Any) -> Any: ...
    def unpack_data(data: Any) -> tuple[Any, Any]: ...

    class NetPart(NeuralNet):
        """A net with a network, an alignment and stages."""

        # Parameters, and what keywords make of them.
        alignment: nn.Module | None
        trade_off: float
        trade_off_schedule: Any
        max_epochs: int
        precision: str
        augment: Any
        target_shares: Any
        valid_metric: Callable
        classifies: ClassVar[bool]
        lr_schedule: Any
        head_lr_multiplier: float
        layer_decay: float
        n_transfer: int | None
        gradient_accumulation_steps: int
        gradient_checkpointing: bool
        cuda_graphs: Any
        n_threads: Any
        work: Any
        batch_size: int
        on_divergence: str
        stages: tuple[Stage, ...]
        optimizer: Any
        train_split: Any
        iterator_train: Any
        iterator_train__random_state: int
        iterator_valid__batch_size: int
        device: Any
        history: Any

        # What initialize makes, and training sets.
        module_: AdaptationModule
        alignment_: Any
        callbacks_: list
        initialized_: bool
        _modules: list[str]
        _criteria: list[str]
        _optimizers: list[str]
        criterion_: Any
        optimizer_: Any
        _n_steps: Any
        _lr_factor: Any
        _trade_off_factor: Any
        current_trade_off: Any
        _has_adversary: bool
        _predicted: Any
        _progress: Any
        _sharing: Any
        _processes: Any
        _own_progress: Any
        _step: int
        _scaler: Any
        _notifies_batches: bool
        _clips_alone: bool

        _evaluated_sizes: Any

        def statistics_of(self, domain: Any) -> Any: ...
        def draw_source_by_shares(self, iterator: Any) -> None: ...
        def rows_by_shares(self, labels: Any) -> Any: ...
        def effective_source_classes(self, known: float) -> float: ...
        def forward_iter(self, X: Any, training: bool = False, device: Any = "cpu") -> Any: ...
        def _complete_target_statistics(self, X: Any) -> None: ...
        def _leave_training(self) -> None: ...
        def own_threads(self, *, is_training: bool = True, n_nets: int = 1) -> Any: ...
        def _new_parameters(self) -> list[tuple[str, nn.Parameter]]: ...
        def _unfrozen_later(self) -> set: ...
        def _param_groups(self) -> Any: ...
        def _stateful_parts(self) -> list[tuple[str, Any]]: ...
        def _place(self) -> Any: ...
        def _set_place(self, place: Any) -> None: ...
        def _initialize_optimizer(self) -> Any: ...
        def _learned(self) -> dict[str, Any]: ...
        def _enter_stage(self, stage: Any) -> None: ...
        def _find_adversary(self) -> bool: ...
        def adversary_parameters(self) -> list: ...
        def _needs_target(self, dataset: Any) -> bool: ...
        def _end_stages(self) -> None: ...
        def _pool_target_statistics(self) -> None: ...
        def estimate_target_statistics(self, targets: Any) -> None: ...
        def augmented(self, batch: Any) -> Any: ...
        def split_weights(self, batch: Any) -> Any: ...
        def get_classification_loss(self, outputs: Any, labels: Any) -> Any: ...
        def get_metric(self, outputs: Any, labels: Any) -> Any: ...
        def _check_weights_were_used(self, iterator: Any) -> None: ...
        def learn_from(self, batch: Any, **fit_params: Any) -> dict[str, Any]: ...
        def schedule_at(self, step: int) -> Any: ...
        def _loss_names(self, step: Any) -> list[str]: ...
        def _find_divergence(self, batch: Any, step: int, iterator: Any) -> Any: ...
        def backward(self, loss: Any, inputs: Any = None) -> None: ...

else:
    from skorch.dataset import unpack_data
    from skorch.utils import to_device

    NetPart = object

__all__ = ["NetPart", "to_device", "unpack_data"]
