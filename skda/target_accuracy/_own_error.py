"""How far the estimates are off under shift, as measured."""

import numpy as np

# Quantiles of the absolute error of every estimate at LEVELS, in accuracy, from the tuning half of
# benchmarks/bench_target_accuracy.py: 12 tasks that count the same, 13 models, of "combined" three
# random states, of the others one and of six tasks a second. On the half that is reported intervals
# of 90 % held 88 % of the accuracies ("combined"), and with sampling noise 87 to 98 % (the others).
LEVELS = (0.0, 0.5, 0.8, 0.9, 0.95, 1.0)
_ERRORS: dict[str, tuple[float, ...]] = {
    "combined": (0.0, 0.043, 0.084, 0.111, 0.132, 1.0),
    "confidence": (0.0, 0.142, 0.371, 0.469, 0.581, 1.0),
    "doc": (0.0, 0.129, 0.338, 0.439, 0.549, 1.0),
    "atc": (0.0, 0.131, 0.374, 0.521, 0.618, 1.0),
    "atc_entropy": (0.0, 0.140, 0.389, 0.529, 0.629, 1.0),
    "cot": (0.0, 0.093, 0.270, 0.382, 0.427, 1.0),
    "nuclear_norm": (0.0, 0.115, 0.302, 0.373, 0.409, 1.0),
    "matrix_norm": (0.0, 0.133, 0.339, 0.425, 0.557, 1.0),
    "gde": (0.0, 0.075, 0.168, 0.240, 0.315, 1.0),
}


def own_error(method: str, level: float) -> float:
    """Return the size of error that a method has not exceeded in a share `level` of the study."""
    return float(np.interp(level, LEVELS, _ERRORS[method]))
