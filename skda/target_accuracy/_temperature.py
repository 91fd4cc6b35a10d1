"""One temperature for all probabilities: the likeliest one, or one for a stated accuracy."""

from typing import Any

import numpy as np
from scipy.optimize import brentq, minimize_scalar
from scipy.special import log_softmax, softmax

from skda.label_shift import check_codes, check_probabilities
from skda.target_accuracy._inputs import check_fraction, check_weights

# As in skda.label_shift.calibrate: below it a probability says no more than that it is tiny, and
# the logarithm of the temperature has a prior of this width, which matters where all rows are
# predicted right.
_LEAST = 1e-12
_SPREAD = 2.0
# Temperatures from exp(-5) to exp(7) leave one-hot rows at one end, and equal ones at the other.
_RANGE = (-5.0, 7.0)


def fit_temperature(
    source_probabilities: Any, source_labels: Any, *, sample_weight: Any = None
) -> float:
    """Temperature under which held-out labels are the likeliest.

    Logarithms of probabilities are divided by it. More than 1 makes them less sure, and no
    prediction changes. With a weak prior about 1: rows that are all predicted right would have 0.

    Parameters
    ----------
    source_probabilities : array-like of shape (n_samples, n_classes)
        Predictions for source rows that the classifier has not been trained on.

    source_labels : array-like of shape (n_samples,)
        Their classes, as numbers of columns.

    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the rows.

    Returns
    -------
    temperature : float
        More than 0.

    Raises
    ------
    TypeError, ValueError
        If arguments are not as described.

    References
    ----------
    C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger. On Calibration of Modern Neural Networks.
    ICML 2017, section 4.2.

    Examples
    --------
    >>> import numpy as np
    >>> from skda.target_accuracy import fit_temperature
    >>> sure = np.where(np.eye(2, dtype=bool), 0.99, 0.01)
    >>> predicted = sure[np.repeat([0, 1], 500)]
    >>> true = np.repeat([0, 1, 1, 0], [400, 100, 400, 100])
    >>> round(fit_temperature(predicted, true), 1)
    3.3
    """
    probabilities = check_probabilities(source_probabilities, "source_probabilities")
    codes = check_codes(source_labels, "source_labels", probabilities, "source_probabilities")
    return likeliest_temperature(probabilities, codes, check_weights(sample_weight, probabilities))


def likeliest_temperature(probabilities, codes, weights):
    """Return what :func:`fit_temperature` does, of arrays that are checked."""
    logs, rows = logarithms(probabilities), np.arange(len(codes))

    def loss(power):
        scores = log_softmax(logs * np.exp(-power), axis=1)[rows, codes]
        return -(weights * scores).sum() + 0.5 * (power / _SPREAD) ** 2

    found: Any = minimize_scalar(loss, bounds=_RANGE, method="bounded", options={"xatol": 1e-3})
    return float(np.exp(found.x))


def match_temperature(probabilities: Any, accuracy: float) -> float:
    """Temperature under which the mean confidence is a stated accuracy.

    The confidence of a row is its largest probability. A temperature that is fitted to labels of
    the source does not hold on a target that looks different; one that makes a classifier as
    sure, on average, as it is right there does, if the accuracy is estimated well.

    Parameters
    ----------
    probabilities : array-like of shape (n_samples, n_classes)
        Predictions, such as those for the target.

    accuracy : float
        What the mean of the largest probabilities shall be. One below that of equal probabilities,
        or one beyond what rows with ties allow, gets the nearest temperature in use, of
        exp(-5) to exp(7).

    Returns
    -------
    temperature : float
        More than 0.

    Raises
    ------
    TypeError, ValueError
        If arguments are not as described.

    Examples
    --------
    >>> import numpy as np
    >>> from skda.target_accuracy import match_temperature, scale_probabilities
    >>> sure = np.array([[0.99, 0.01], [0.05, 0.95]])
    >>> temperature = match_temperature(sure, 0.8)
    >>> float(scale_probabilities(sure, temperature).max(axis=1).mean().round(3))
    0.8
    """
    logs = logarithms(check_probabilities(probabilities, "probabilities"))
    check_fraction(accuracy, "accuracy", inner=False)

    def excess(power):
        return softmax(logs * np.exp(-power), axis=1).max(axis=1).mean() - accuracy

    # The mean confidence falls with the temperature, so that there is one crossing at most.
    coolest, hottest = _RANGE
    if excess(hottest) >= 0:
        return float(np.exp(hottest))
    if excess(coolest) <= 0:
        return float(np.exp(coolest))
    found: Any = brentq(excess, coolest, hottest, xtol=1e-4)
    return float(np.exp(found))


def scale_probabilities(probabilities: Any, temperature: float) -> np.ndarray:
    """Return probabilities of another temperature.

    Parameters
    ----------
    probabilities : array-like of shape (n_samples, n_classes)
        Predictions.

    temperature : float
        By which their logarithms are divided; more than 1 makes them less sure.

    Returns
    -------
    probabilities : ndarray of shape (n_samples, n_classes), dtype=float64
        Rows with a sum of 1.

    Raises
    ------
    TypeError, ValueError
        If arguments are not as described.

    Examples
    --------
    >>> from skda.target_accuracy import scale_probabilities
    >>> scale_probabilities([[0.9, 0.1]], 2.0).round(2)
    array([[0.75, 0.25]])
    """
    logs = logarithms(check_probabilities(probabilities, "probabilities"))
    if not 0 < temperature < np.inf:
        raise ValueError(f"temperature must be a finite number above 0, got {temperature!r}.")
    return softmax(logs / temperature, axis=1)


def logarithms(probabilities):
    """Return logarithms of probabilities, of which none is infinite."""
    return np.log(np.maximum(probabilities, _LEAST))
