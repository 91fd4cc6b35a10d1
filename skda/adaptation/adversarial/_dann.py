"""DANN."""

from typing import ClassVar

from skda.base import DeepAdaptationClassifier, estimator


@estimator
class DANNClassifier(DeepAdaptationClassifier):
    alignment: ClassVar[str] = "dann"
    layers: tuple[str, ...] = ("features",)
    trade_off: float = 1.0
    trade_off_schedule: str = "progressive"
