"""Deep CORAL."""

from typing import ClassVar

from skda.base import DeepAdaptationClassifier, estimator


@estimator
class DeepCORALClassifier(DeepAdaptationClassifier):
    alignment: ClassVar[str] = "coral"
    layers: tuple[str, ...] = ("logits",)
    trade_off: float = 1.0
