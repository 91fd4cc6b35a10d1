"""Which nets can take their steps together: those that differ in numbers of tensors alone."""

import io
from typing import Any

import torch
from torch import nn

from skda._sklearn_compat import cloudpickle
from skda._torch import StepValues
from skda.nn import ConditionalDomainAdversary, DomainAdversary
from skda.training._batches import PairedBatches
from skda.training._drawing import is_known
from skda.training._module import AdaptationModule
from skda.training._optimizers import OPTIMIZERS

# What a step is made of. A net that has others is trained by itself.
_OF_A_STEP = (
    "_infer",
    "_part_loss",
    "augmented",
    "backward",
    "by_domain",
    "get_alignment_loss",
    "get_classification_loss",
    "infer",
    "learn_from",
    "note_target_predictions",
    "schedule_at",
    "split_weights",
    "step_optimizers",
    "target_share",
    "train_adversary",
    "train_step",
    "train_step_single",
    "weighted_trade_off",
)
# Whose losses torch.func can compute, and whose networks learn.
_ADVERSARIES = (DomainAdversary, ConditionalDomainAdversary)


class Parts(nn.Module):
    """The parts of a net that are computed for all nets at once, as one module.

    Parameters
    ----------
    net : AdaptationNet
        Initialised.
    """

    def __init__(self, net: Any):
        super().__init__()
        self.module, self.criterion = net.module_, net.criterion_
        self.alignment = net.alignment_ if is_vectorized(net.alignment_) else None


def step_values(part: nn.Module) -> list[StepValues]:
    """Return what the modules of a part write a number into in every step, in a fixed order."""
    held = [value for module in part.modules() for value in vars(module).values()]
    return list(dict.fromkeys(value for value in held if isinstance(value, StepValues)))


def dropouts(part: nn.Module) -> list[nn.Dropout]:
    """Return the layers of dropout of a part that drop, in a fixed order."""
    return [m for m in part.modules() if type(m) is nn.Dropout and m.training and m.p > 0]


def smoothing_of(criterion: Any) -> float:
    """Return how smooth a cross-entropy takes labels to be, 0 of other criteria."""
    return criterion.label_smoothing if type(criterion) is nn.CrossEntropyLoss else 0.0


def is_vectorized(alignment: nn.Module) -> bool:
    """Return whether the losses of an alignment are computed for all nets at once.

    Those of adversaries are, whose networks learn; all others are computed net by net, by the
    alignment of that net, in which everything may differ.
    """
    losses = [*getattr(alignment, "losses", {}).values(), getattr(alignment, "loss", None)]
    return bool(losses) and all(type(loss) in _ADVERSARIES for loss in losses if loss is not None)


def find_obstacle(net: Any, iterator: Any) -> str | None:
    """Return what keeps a net from taking its steps with others, None if nothing does."""
    base = next(c for c in type(net).__mro__ if c.__module__ == "skda.training._net")
    if any(getattr(type(net), name) is not getattr(base, name) for name in _OF_A_STEP):
        return f"{type(net).__name__} has steps of its own"
    if net.is_limited():
        return "the trade-off is so large that the alignment is held down"
    module: Any = type(net.module_)
    if module.forward is not AdaptationModule.forward or net.module_.source_residual is not None:
        return f"{module.__name__} is a network of another kind"
    if torch.device(net.device).type != "cpu":
        return f"the device is {net.device}"
    if net._notifies_batches or net._notifies_gradients:
        return "a callback looks at batches or gradients"
    if net.compile:
        return "the network is compiled"
    if net.gradient_accumulation_steps > 1:
        return "gradients of several batches make a step"
    if net.gradient_checkpointing:
        return "activations are computed once more"
    if net.precision != "float32":
        return f"precision is {net.precision!r}"
    if net.augment is not None:
        return "rows are augmented"
    if type(iterator) is not PairedBatches or not iterator.resident:
        return "rows are not those of PairedBatches in memory"
    if net._optimizers != ["optimizer"] or type(net.optimizer_) not in OPTIMIZERS.values():
        return f"the optimiser is {type(net.optimizer_).__name__}"
    return _obstacle_of_parts(net)


def _obstacle_of_parts(net):
    for part in Parts(net).modules():
        if not is_known(part):
            return f"{type(part).__name__} may do anything"
        if isinstance(part, nn.Dropout) and part.p == 1:
            return "a layer drops all"
    if not all(map(is_known, getattr(net.alignment_, "losses", {}).values())):
        return "the alignment may do anything"
    if not is_known(getattr(net.alignment_, "loss", None)):
        return "the alignment may do anything"
    if not is_vectorized(net.alignment_) and any(True for _ in net.alignment_.parameters()):
        return "the alignment learns"
    if len(net.module_.rows.sizes) == 1 and net.alignment is not None and net.trade_off:
        return "the rows are of one domain"
    return None


def form_of(net: Any, iterator: Any) -> tuple:
    """Return what nets must have in common to take their steps together.

    Parameters
    ----------
    net : AdaptationNet
        Without an obstacle.

    iterator : PairedBatches
        Its batches.

    Returns
    -------
    form : tuple
        Can be hashed and compared.
    """
    parts, rows = Parts(net), iterator.rows
    return (
        type(net),
        type(net.optimizer_),
        net.trade_off != 0,
        net.alignment is not None,
        net._shares_norms,
        net._has_adversary,
        net.usual_trade_off,
        net.n_threads,
        len(iterator),
        tuple(iterator.sizes),
        iterator.n_labels,
        iterator.weights is None,
        iterator.labels.dtype,
        type(rows),
        getattr(rows, "shape", (0,))[1:],
        getattr(rows, "dtype", None),
        _structure((parts.module, parts.alignment, parts.criterion)),
    )


class _StructurePickler(cloudpickle.Pickler):
    """Writes down objects without the numbers in their tensors, and without rates.

    Dropout and the smoothing of labels have one, which is either zero or not.
    """

    def persistent_id(self, obj):
        """Return what stands for a tensor."""
        if isinstance(obj, torch.Tensor):
            return "tensor", tuple(obj.shape), str(obj.dtype), obj.requires_grad
        return "values" if isinstance(obj, StepValues) else None

    def reducer_override(self, obj):
        """Return what stands for a part with a rate."""
        if type(obj) is nn.Dropout:
            return nn.Dropout, (0.5 if obj.p else 0.0, obj.inplace), {"training": obj.training}
        if smoothing_of(obj):
            state = {**vars(obj), "label_smoothing": 0.5}
            return nn.CrossEntropyLoss, (), state
        return super().reducer_override(obj)


def _structure(parts):
    buffer = io.BytesIO()
    _StructurePickler(buffer).dump(parts)
    return buffer.getvalue()
