"""The usual ``prefix__name`` keywords, for editors and type checkers alone.

A type checker knows no pattern of names, so the keywords that the default networks, the libraries
and torch take stand here one by one; at run time any keyword of a known prefix is taken and checked
against what it goes to. One that is missing here is passed on by a type checker too in
``set_params(module__width=3)`` or as ``**options`` with ``options: dict[str, Any]``.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from skda.estimators._params import PrefixedParams

if TYPE_CHECKING:
    from torch import nn

    class ModuleKeywords(PrefixedParams):
        """Of the networks of :mod:`skda.nn`, of timm and of transformers."""

        module__hidden_layer_sizes: Sequence[int] | str = "auto"
        module__channels: Sequence[int] = (32, 48)
        module__dropout: float = 0.0
        module__batch_norm: bool = True
        module__kernel_size: int = 5
        module__pooling: str = "mean"
        module__activation: Callable[[], Any] = nn.ReLU
        module__in_chans: int = 3
        module__img_size: int | tuple[int, int] = 224
        module__drop_rate: float = 0.0
        module__drop_path_rate: float = 0.0
        module__global_pool: str = "avg"
        module__pad_type: str = ""
        module__bn_eps: float = 1e-5
        module__bn_momentum: float = 0.1

    class NetKeywords(ModuleKeywords):
        """Of optimisers, criterion and batches."""

        adapter__r: int = 8
        adapter__lora_alpha: int = 8
        adapter__lora_dropout: float = 0.0
        adapter__target_modules: Sequence[str] | str = ()
        adapter__exclude_modules: Sequence[str] | str = ()
        adapter__rank_pattern: dict[str, int] = {}
        adapter__alpha_pattern: dict[str, int] = {}
        adapter__init_lora_weights: bool | str = True
        adapter__use_rslora: bool = False
        adapter__use_dora: bool = False
        optimizer__weight_decay: float = 0.0
        optimizer__betas: tuple[float, float] = (0.9, 0.999)
        optimizer__eps: float = 1e-8
        optimizer__amsgrad: bool = False
        optimizer__momentum: float = 0.0
        optimizer__dampening: float = 0.0
        optimizer__nesterov: bool = False
        optimizer__alpha: float = 0.99
        optimizer__fused: bool = True
        optimizer__foreach: bool = False
        optimizer__param_groups: Sequence[tuple[str, dict[str, Any]]] = ()
        criterion__weight: Any = None
        criterion__label_smoothing: float = 0.0
        iterator_train__num_workers: int = 0
        iterator_train__pin_memory: bool = False
        iterator_train__prefetch_factor: int | None = None
        iterator_train__persistent_workers: bool = False
        iterator_train__timeout: float = 0
        iterator_train__worker_init_fn: Callable[[int], None] | None = None
        iterator_train__multiprocessing_context: Any = None
        iterator_valid__batch_size: int = 1024
        compile__mode: str | None = None
        compile__dynamic: bool | None = None
        compile__backend: str = "inductor"

    class AlignmentKeywords(NetKeywords):
        """Of the alignments that have a name, and of the networks that play a part in some."""

        alignment__bandwidth: str | float = "median"
        alignment__multipliers: Sequence[float] = (0.25, 0.5, 1.0, 2.0, 4.0)
        alignment__kernel_weights: str | Sequence[float] = "uniform"
        alignment__estimator: str = "biased"
        alignment__temperature: float = 1.5
        alignment__feature_weight: float = 1e-3
        alignment__label_weight: float = 1e-4
        alignment__step: float = 1.0
        alignment__n_singular_values: int = 1
        alignment__hidden_layer_sizes: Sequence[int] = (100,)
        alignment__max_width: int = 4096
        alignment__random_width: int = 1024
        discriminator__hidden_layer_sizes: Sequence[int] = (500, 500)
        discriminator__dropout: float = 0.0
        critic__hidden_layer_sizes: Sequence[int] = (100, 100)
        critic__dropout: float = 0.0
        critic_optimizer__lr: float = 1e-3
        critic_optimizer__betas: tuple[float, float] = (0.9, 0.999)
        critic_optimizer__weight_decay: float = 0.0
        generator__hidden_layer_sizes: Sequence[int] = (128, 128)
        generator__channels: int = 128
        generator_optimizer__lr: float = 1e-3
        generator_optimizer__betas: tuple[float, float] = (0.5, 0.999)
        similarity__hidden_layer_sizes: Sequence[int] = (500, 500)
        similarity__dropout: float = 0.0
        similarity__bandwidth: str | float = "median"
        similarity__multipliers: Sequence[float] = (0.25, 0.5, 1.0, 2.0, 4.0)

else:
    ModuleKeywords = NetKeywords = AlignmentKeywords = PrefixedParams
