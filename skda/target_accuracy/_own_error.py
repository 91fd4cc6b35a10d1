"""How far the estimates are off under shift, as measured."""

import numpy as np

# Quantiles of the absolute error of every estimate at LEVELS, in accuracy, from the tuning half of
# benchmarks/bench_target_accuracy.py: 12 tasks that count the same, 13 models, three random states.
# On the half that is reported intervals of 90 % held 88 to 99 % of the accuracies.
LEVELS = (0.0, 0.5, 0.8, 0.9, 0.95, 1.0)
_ERRORS: dict[str, tuple[float, ...]] = {
    "combined": (0.0, 0.040, 0.083, 0.113, 0.152, 1.0),
    "confidence": (0.0, 0.123, 0.365, 0.469, 0.566, 1.0),
    "doc": (0.0, 0.124, 0.339, 0.434, 0.537, 1.0),
    "atc": (0.0, 0.126, 0.359, 0.491, 0.600, 1.0),
    "atc_entropy": (0.0, 0.133, 0.374, 0.515, 0.617, 1.0),
    "cot": (0.0, 0.089, 0.247, 0.392, 0.455, 1.0),
    "nuclear_norm": (0.0, 0.114, 0.305, 0.368, 0.419, 1.0),
    "matrix_norm": (0.0, 0.132, 0.339, 0.426, 0.538, 1.0),
    "gde": (0.0, 0.075, 0.168, 0.241, 0.297, 1.0),
}


def own_error(method: str, level: float) -> float:
    """Return the size of error that a method has not exceeded in a share `level` of the study."""
    return float(np.interp(level, LEVELS, _ERRORS[method]))
