"""Probabilities that are as often right as they say, from held-out rows."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from skda.label_shift._checks import check_codes, check_probabilities

# Below float32's smallest step from 1, a probability says no more than that it is tiny.
_LEAST = 1e-12
# Standard deviations of the priors of the logarithm of the temperature and of the biases. They
# are wide (a factor of 7 on either side), and matter where held-out rows are all predicted right,
# which a temperature of 0 would suit best, or where a class has none, whose bias would be -inf.
_SPREAD = 2.0


@dataclass(frozen=True)
class Calibration:
    """A temperature and biases of classes; call it with probabilities.

    Made by :func:`calibrate`.

    Parameters
    ----------
    temperature : float
        By which logarithms of probabilities are divided; more than 1 makes them less sure.

    biases : ndarray of shape (n_classes,)
        What is then added to them.
    """

    temperature: float
    biases: np.ndarray

    def __call__(self, probabilities: Any) -> np.ndarray:
        """Return calibrated probabilities.

        Parameters
        ----------
        probabilities : array-like of shape (n_samples, n_classes)
            Probabilities of the same classifier, of any rows.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes), dtype=float64
            Rows with a sum of 1.
        """
        logs = _logs(check_probabilities(probabilities, "probabilities"))
        return softmax(logs / self.temperature + self.biases, axis=1)


def calibrate(source_probabilities: Any, source_labels: Any) -> Calibration:
    """Calibrate a classifier by bias-corrected temperature scaling (BCTS).

    One temperature for all logits, and a bias per class, which are the most likely ones for the
    held-out rows. The biases make the mean of the probabilities of every class its share, which is
    what :func:`maximum_likelihood_shares` builds on: a temperature alone does not, and
    does worse than no calibration in some of the paper's tables.

    Parameters
    ----------
    source_probabilities : array-like of shape (n_samples, n_classes)
        Predictions for source rows that the classifier has not been trained on.

    source_labels : array-like of shape (n_samples,)
        Their classes, as numbers of columns.

    Returns
    -------
    calibration : Calibration
        Call it with probabilities of source or target rows.

    Raises
    ------
    ValueError
        If probabilities or labels are not as described.

    References
    ----------
    A. Alexandari, A. Kundaje, A. Shrikumar. Maximum Likelihood with Bias-Corrected Calibration is
    Hard-To-Beat at Label Shift Adaptation. ICML 2020, section 2.2.

    Examples
    --------
    A classifier that is right in four of five rows, and says that it is so in 99 of 100.

    >>> import numpy as np
    >>> from skda.label_shift import calibrate
    >>> sure = np.where(np.eye(2, dtype=bool), 0.99, 0.01)
    >>> predicted = sure[np.repeat([0, 1], 500)]
    >>> true = np.repeat([0, 1, 1, 0], [400, 100, 400, 100])
    >>> calibration = calibrate(predicted, true)
    >>> calibration(sure).round(2)
    array([[0.8, 0.2],
           [0.2, 0.8]])
    """
    probabilities = check_probabilities(source_probabilities, "source_probabilities")
    codes = check_codes(source_labels, "source_labels", probabilities, "source_probabilities")
    logs = _logs(probabilities)
    members = np.eye(logs.shape[1])[codes]

    def loss(params):
        scale, biases = np.exp(-params[0]), params[1:]
        scores = log_softmax(scale * logs + biases, axis=1)
        errors = np.exp(scores) - members
        prior = params / _SPREAD**2
        gradient = np.concatenate([[-scale * (errors * logs).sum()], errors.sum(axis=0)]) + prior
        return -(scores * members).sum() + 0.5 * params @ prior, gradient

    found = minimize(loss, np.zeros(logs.shape[1] + 1), jac=True, method="L-BFGS-B").x
    return Calibration(float(np.exp(found[0])), found[1:])


def _logs(probabilities):
    return np.log(np.maximum(probabilities, _LEAST))
