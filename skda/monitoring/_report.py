"""What a monitor says of a batch."""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(repr=False)
class DriftReport:
    """What :meth:`DriftMonitor.update` found; printing shows it as text.

    Parameters
    ----------
    batch : int
        Number of the batch, from 1.

    n_rows : int
        Of the batch.

    e_value : float
        Evidence so far that rows are no longer those of the reference.

    p_value : float
        Smallest 1 / `e_value` so far, at most 1: valid whenever one stops to look.

    is_drift : bool
        Whether the evidence has ever reached 1 / alpha.

    e_values : dict of str to float
        Evidence of the groups ``"features"``, ``"shares"`` and ``"confidence"``, those that are
        watched, with their part of the whole.

    statistic : str
        With most evidence.

    reference_mean, batch_mean : float
        Of that statistic, in the reference and in the batch.

    shares : dict or None
        Mean predicted probability of every class in the batch.

    confidence : float or None
        Mean of the highest probability of a row.

    accuracy : sklearn.utils.Bunch or None
        Estimated on the batch with an interval, where the monitor has labels of the reference.

    advice : {"keep", "adapt now"}
        What to do.

    reason : str
        Why.
    """

    batch: int
    n_rows: int
    e_value: float
    p_value: float
    is_drift: bool
    e_values: dict[str, float]
    statistic: str
    reference_mean: float
    batch_mean: float
    shares: dict | None
    confidence: float | None
    accuracy: Any
    advice: str
    reason: str

    def __repr__(self):
        lines = [f"batch {self.batch}, {self.n_rows} rows: e = {self.e_value:.3g}"]
        if self.confidence is not None:
            lines[0] += f", mean confidence {self.confidence:.2f}"
        if self.accuracy is not None:
            lines[0] += (
                f", estimated accuracy {self.accuracy.estimate:.2f} "
                f"({self.accuracy.lower:.2f} to {self.accuracy.upper:.2f})"
            )
        return "\n".join([*lines, f"{self.advice}: {self.reason}"])


def finite_means(rows: np.ndarray) -> np.ndarray:
    """Return the means of the finite values of columns, NaN where there is none."""
    known = np.isfinite(rows)
    total = np.where(known, rows, 0).sum(axis=0)
    return np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan)


def advise(is_drift, log_e, log_limit, group, statistic, values, at) -> tuple[str, str]:
    """Return what to do, and why.

    Parameters
    ----------
    is_drift : bool
        Whether there is an alarm.

    log_e, log_limit : float
        Logarithms of the highest evidence so far and of what an alarm needs.

    group, statistic : str
        Where most of the evidence is.

    values : tuple of ndarray
        Of the statistic in the reference and in the batch: NaN where a value is missing, infinite
        where it is a text that the reference lacks.

    at : int or None
        Number of the batch of the alarm.
    """
    limit = _power(log_limit)
    if not is_drift:
        return "keep", f"the evidence of {_power(log_e)} has not reached {limit}."
    reason = (
        f"since batch {at} the evidence has reached {limit}; most of it is in the {statistic}, of "
        f"{_compared(values)}."
    )
    what = {
        "features": "Rows look different: diagnose them, and adapt to them.",
        "shares": "What is predicted has changed: diagnose; if only shares of classes have, let "
        "predictions follow them.",
        "confidence": "The classifier has become more or less sure: diagnose, and adapt.",
    }[group]
    return "adapt now", f"{reason} {what}"


def _compared(values):
    """Return what of a statistic is in the reference and in a batch."""
    means = [float(finite_means(part[:, None])[0]) for part in values]
    figures = []
    if np.isfinite(means).all():
        figures.append(f"a mean of {means[0]:.3g} in the reference and {means[1]:.3g}")
    for what, function in (("missing", np.isnan), ("unknown or infinite", np.isinf)):
        shares = [float(function(part).mean()) for part in values]
        if any(shares):
            figures.append(
                f"a share of {what} values of {shares[0]:.3g} in the reference and {shares[1]:.3g}"
            )
    return " in this batch, ".join(figures) + " in this batch"


def _power(log_e):
    """Return a number by its logarithm, which may be too large for a float."""
    return f"{np.exp(log_e):.3g}" if log_e < 700 else f"10^{log_e / np.log(10):.0f}"
