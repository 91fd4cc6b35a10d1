"""Alignments as modules, from the losses of an estimator's hook."""

import inspect
from collections.abc import Callable
from typing import Any

from torch import nn

from skda.nn import ALIGNMENTS, JointAlignment, LayerwiseAlignment


class AlignmentBuilder:
    """What puts the losses that `make_loss` returns into a module."""

    make_loss: Callable[..., Callable]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "alignment" not in vars(cls):
            return
        for hook in ("make_loss", "make_alignment"):
            owner = next(base for base in cls.__mro__ if hook in vars(base))
            if owner is not cls and AlignmentBuilder not in owner.__bases__:
                raise TypeError(
                    f"{cls.__name__}.alignment may be passed over: {hook} of {owner.__name__} "
                    f"builds its own. Override {hook} too, or derive from "
                    "DeepAdaptationClassifier."
                )

    def _align(self, alignment: Any, layers: Any, widths: dict[str, int]) -> nn.Module:
        """Return an alignment as a module: one loss for all layers if it is joint, or one each."""
        if isinstance(alignment, str):
            alignment = ALIGNMENTS[alignment]
        if getattr(alignment, "joint", False):
            return JointAlignment(self._checked_loss(alignment, tuple(layers), widths), layers)
        return LayerwiseAlignment(
            {layer: self._checked_loss(alignment, (layer,), widths) for layer in layers}
        )

    def _checked_loss(self, alignment, layers, widths):
        loss = self.make_loss(alignment, layers, widths)
        names = inspect.getclosurevars(loss).nonlocals if inspect.isfunction(loss) else {}
        if getattr(loss, "__self__", None) is self or any(x is self for x in names.values()):
            raise TypeError(
                f"make_loss of {type(self).__name__} returns a function that refers to the "
                "estimator, which then holds itself and cannot be pickled; copy what it needs of "
                "the estimator into local variables, or return a module."
            )
        if loss is None:
            raise TypeError(f"make_loss of {type(self).__name__} returns None; return a loss.")
        return loss
