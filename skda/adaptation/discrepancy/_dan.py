"""DAN."""

from typing import ClassVar

from skda.base import DeepAdaptationClassifier, estimator


@estimator
class DANClassifier(DeepAdaptationClassifier):
    alignment: ClassVar[str] = "mmd"
    layers: tuple[str, ...] = ("features", "logits")
    trade_off: float = 1.0
