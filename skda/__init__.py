"""Deep transfer learning and domain adaptation as scikit-learn estimators."""

from importlib import import_module
from typing import TYPE_CHECKING

from skda.domains import stack_domains
from skda.pipeline import make_domain_pipeline, make_pipeline

if TYPE_CHECKING:
    from skda import (
        adaptation,
        backbones,
        base,
        datasets,
        diagnosis,
        estimators,
        exceptions,
        feature_extraction,
        fine_tuning,
        images,
        inspection,
        label_shift,
        losses,
        metrics,
        model_selection,
        monitoring,
        nn,
        persistence,
        subspace,
        target_accuracy,
        training,
    )
    from skda.diagnosis import diagnose
    from skda.persistence import load, save

__version__ = "0.1.0"

__all__ = [
    "__version__",
    "adaptation",
    "backbones",
    "base",
    "datasets",
    "diagnose",
    "diagnosis",
    "estimators",
    "exceptions",
    "feature_extraction",
    "fine_tuning",
    "images",
    "inspection",
    "label_shift",
    "load",
    "losses",
    "make_domain_pipeline",
    "make_pipeline",
    "metrics",
    "model_selection",
    "monitoring",
    "nn",
    "persistence",
    "save",
    "stack_domains",
    "subspace",
    "target_accuracy",
    "training",
]


def __getattr__(name):
    # Subpackages load on first use, which keeps `import skda` light.
    if name in ("load", "save"):
        return getattr(import_module("skda.persistence"), name)
    if name == "diagnose":
        return import_module("skda.diagnosis").diagnose
    if name in __all__:
        return import_module(f"skda.{name}")
    raise AttributeError(f"module 'skda' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
