"""How far the estimates are off under shift, as measured."""

import numpy as np

# Quantiles of the absolute error of every estimate at LEVELS, in accuracy, from the tuning half of
# benchmarks/bench_target_accuracy.py: 12 tasks that count the same, with 13 models each. Where they
# are those of the other eleven tasks, they hold 86 to 89 % of the errors at the level of 90 %.
LEVELS = (0.0, 0.5, 0.8, 0.9, 0.95, 1.0)
_ERRORS: dict[str, tuple[float, ...]] = {
    "combined": (0.0, 0.047, 0.111, 0.154, 0.230, 1.0),
    "confidence": (0.0, 0.117, 0.359, 0.443, 0.559, 1.0),
    "doc": (0.0, 0.127, 0.331, 0.411, 0.525, 1.0),
    "atc": (0.0, 0.126, 0.347, 0.466, 0.575, 1.0),
    "atc_entropy": (0.0, 0.131, 0.372, 0.477, 0.601, 1.0),
    "cot": (0.0, 0.092, 0.271, 0.359, 0.413, 1.0),
    "nuclear_norm": (0.0, 0.115, 0.302, 0.367, 0.409, 1.0),
    "matrix_norm": (0.0, 0.127, 0.320, 0.401, 0.531, 1.0),
    "gde": (0.0, 0.071, 0.168, 0.224, 0.277, 1.0),
}


def own_error(method: str, level: float) -> float:
    """Return the size of error that a method has not exceeded in a share `level` of the study."""
    return float(np.interp(level, LEVELS, _ERRORS[method]))
