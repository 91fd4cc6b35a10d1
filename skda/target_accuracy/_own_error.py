"""How far the estimates are off under shift, as measured."""

import numpy as np

# Quantiles of the absolute error of every estimate at LEVELS, in accuracy. From the tuning half of
# benchmarks/bench_target_accuracy.py: 12 tasks, 12 models, 3 random states.
LEVELS = (0.0, 0.5, 0.8, 0.9, 0.95, 1.0)
_ERRORS: dict[str, tuple[float, ...]] = {
    name: (0.0, 0.08, 0.2, 0.27, 0.35, 1.0)
    for name in (
        "combined",
        "confidence",
        "doc",
        "atc",
        "atc_entropy",
        "cot",
        "nuclear_norm",
        "matrix_norm",
        "gde",
    )
}


def own_error(method: str, level: float) -> float:
    """Return the size of error that a method has not exceeded in a share `level` of the study."""
    return float(np.interp(level, LEVELS, _ERRORS[method]))
