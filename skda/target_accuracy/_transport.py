"""What it costs to move predictions to labels in the shares that they should have."""

from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp

from skda.target_accuracy._confidence import calibrated_target
from skda.target_accuracy._inputs import Predictions, check_predictions

# Entropies by which the dual problem is smoothed, one after the other; the last costs less than
# 0.002 in accuracy (tests/target_accuracy/test_transport.py).
_SMOOTHINGS = (0.1, 0.02, 0.004)


def confidence_optimal_transport(
    target_probabilities: Any,
    source_probabilities: Any,
    source_labels: Any,
    *,
    sample_weight: Any = None,
) -> float:
    r"""Accuracy on the target by optimal transport of its confidences to the source's labels (COT).

    The error is the least cost at which calibrated probabilities of the target rows are moved to
    one-hot labels in the shares of the source, with the cost
    :math:`\|p - e_k\|_\infty = 1 - p_k` of row p and class k. It is never less than what
    :func:`average_confidence` says, and more wherever a class is predicted too often: a
    classifier that has collapsed into one class pays for all rows that must be of others.

    **Assumes** that classes have the same shares in the target, or those that `sample_weight`
    gives to the source. **Fails** where they have not (too low an estimate), and, as all that
    is built on confidence, where wrong rows are sure and evenly spread over the classes.

    Parameters
    ----------
    target_probabilities : array-like of shape (n_target_samples, n_classes)
        Predictions for the target rows.

    source_probabilities : array-like of shape (n_samples, n_classes)
        Predictions for source rows that the classifier has not been trained on.

    source_labels : array-like of shape (n_samples,)
        Their classes, as numbers of columns.

    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the source rows, such as ratios of class shares.

    Returns
    -------
    accuracy : float
        From 0 to 1.

    Raises
    ------
    TypeError, ValueError
        If arguments are not as described.

    References
    ----------
    Y. Lu, Z. Wang, R. Zhai, S. Kolouri, J. Campbell, K. Sycara. Predicting Out-of-Distribution
    Error with Confidence Optimal Transport. ICLR 2023 workshop; extended as Characterizing
    Out-of-Distribution Error via Optimal Transport, NeurIPS 2023.

    Examples
    --------
    All rows are predicted to be of one class of two, which are as frequent.

    >>> from skda.target_accuracy import confidence_optimal_transport
    >>> source, labels = [[0.999, 0.001], [0.001, 0.999]] * 50, [0, 1] * 50
    >>> round(confidence_optimal_transport([[0.999, 0.001]] * 30, source, labels), 2)
    0.5
    """
    return transported_confidence(
        check_predictions(target_probabilities, source_probabilities, source_labels, sample_weight)
    )


def transported_confidence(predictions: Predictions) -> float:
    """Return what :func:`confidence_optimal_transport` does, of checked predictions."""
    n_classes = predictions.source.shape[1]
    shares = np.bincount(predictions.codes, predictions.weights, minlength=n_classes)
    cost = least_transport_cost(1 - calibrated_target(predictions), shares / shares.sum())
    return float(np.clip(1 - cost, 0, 1))


def least_transport_cost(costs: np.ndarray, shares: np.ndarray) -> float:
    """Return the least mean cost of giving rows to classes that have given shares.

    There is one dual variable per class, so that the smoothed dual of ten classes and thousands of
    rows is solved in milliseconds, where a general linear program takes a tenth of a second.

    Parameters
    ----------
    costs : ndarray of shape (n_samples, n_classes)
        Of every row for every class.

    shares : ndarray of shape (n_classes,)
        Of the rows that every class must get, with a sum of 1.

    Returns
    -------
    cost : float
        The value of the dual problem, which is at most the exact one.
    """
    known = shares > 0
    costs, shares = costs[:, known], shares[known]
    prices = np.zeros(len(shares))
    for smoothing in _SMOOTHINGS:

        def loss(prices, smoothing=smoothing):
            scores = (prices - costs) / smoothing
            totals = logsumexp(scores, axis=1, keepdims=True)
            taken = np.exp(scores - totals).mean(axis=0)
            return smoothing * totals.mean() - shares @ prices, taken - shares

        prices = minimize(loss, prices, jac=True, method="L-BFGS-B").x
    return float(shares @ prices + (costs - prices).min(axis=1).mean())
