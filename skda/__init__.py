"""Deep transfer learning and domain adaptation as scikit-learn estimators."""

from importlib import import_module

from skda._version import __version__
from skda.domains import stack_domains
from skda.pipeline import make_pipeline

_SUBPACKAGES = (
    "adaptation",
    "base",
    "datasets",
    "exceptions",
    "feature_extraction",
    "fine_tuning",
    "losses",
    "metrics",
    "model_selection",
    "nn",
    "subspace",
    "training",
)

__all__ = ["__version__", "make_pipeline", "stack_domains", *_SUBPACKAGES]


def __getattr__(name):
    # Subpackages load on first use, which keeps `import skda` light.
    if name in _SUBPACKAGES:
        return import_module(f"skda.{name}")
    raise AttributeError(f"module 'skda' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
