"""Scores of how sure and how spread predictions are, as an accuracy."""

from typing import Any

import numpy as np

from skda.target_accuracy._inputs import Predictions, check_predictions


def nuclear_norm_accuracy(
    target_probabilities: Any,
    source_probabilities: Any,
    source_labels: Any,
    *,
    sample_weight: Any = None,
) -> float:
    r"""Accuracy on the target by the nuclear norm of its matrix of probabilities.

    The norm, the sum of the singular values, is large if rows are sure and the classes that they
    are sure of are many. Divided by the square root of its number of entries it is 1 at most, and
    ``1 / n_classes`` for rows that are not sure of anything. It is mapped to an accuracy by the
    line through two points that are known: those rows have the accuracy of chance, held-out
    source rows their own.

    **Assumes** that accuracy follows the score on that line. **Fails** where a shift makes wrong
    rows sure, and, as it wants all classes, where the target lacks some (too low, but
    for `sample_weight`). Of a classifier that has collapsed into one class it says so.

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
    W. Deng, Y. Suh, S. Gould, L. Zheng. Confidence and Dispersity Speak: Characterizing
    Prediction Matrix for Unsupervised Accuracy Estimation. ICML 2023. The paper ranks by
    the score; the line is the package's own.

    Examples
    --------
    >>> import numpy as np
    >>> from skda.target_accuracy import nuclear_norm_accuracy
    >>> source, labels = np.eye(2)[[0, 1] * 50], [0, 1] * 50
    >>> round(nuclear_norm_accuracy([[0.9, 0.1], [0.2, 0.8]] * 20, source, labels), 2)
    0.85
    """
    return nuclear_norm_line(
        check_predictions(target_probabilities, source_probabilities, source_labels, sample_weight)
    )


def nuclear_norm_line(predictions: Predictions) -> float:
    """Return what :func:`nuclear_norm_accuracy` does, of checked predictions."""
    roots = np.sqrt(predictions.weights)[:, None]
    of_source, of_target = map(_nuclear_norm, (roots * predictions.source, predictions.target))
    return _on_line(of_target, of_source, predictions)


def _nuclear_norm(matrix):
    # By the singular values of a small triangular matrix: a fifth of the time of the tall one.
    factor = np.linalg.qr(matrix, mode="r")
    return np.linalg.svd(factor, compute_uv=False).sum() / np.sqrt(len(matrix) * min(matrix.shape))


def matrix_norm_accuracy(
    target_probabilities: Any,
    source_probabilities: Any,
    source_labels: Any,
    *,
    sample_weight: Any = None,
) -> float:
    r"""Accuracy on the target by the L4 norm of its matrix of probabilities (as MaNo).

    The score is :math:`(\frac{1}{n}\sum_{ik} p_{ik}^4)^{1/4}`, which large margins raise. It is
    mapped to an accuracy by the line through chance, for rows that are not sure of anything, and
    the accuracy of held-out source rows.

    **Assumes** that accuracy follows the score on that line, and that rows far from the boundary
    between classes are right. **Fails** where a shift, or an adaptation, makes wrong rows sure;
    it does not see a collapse into one class.

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
    R. Xie, A. Odonnat, V. Feofanov, W. Deng, J. Zhang, B. An. MaNo: Exploiting Matrix Norm for
    Unsupervised Accuracy Estimation Under Distribution Shifts. NeurIPS 2024, equation 6, with
    the softmax for all logits (the paper chooses between it and a Taylor series of it).

    Examples
    --------
    >>> import numpy as np
    >>> from skda.target_accuracy import matrix_norm_accuracy
    >>> source, labels = np.eye(2)[[0, 1] * 50], [0, 1] * 50
    >>> round(matrix_norm_accuracy([[0.9, 0.1], [0.2, 0.8]] * 20, source, labels), 2)
    0.82
    """
    return matrix_norm_line(
        check_predictions(target_probabilities, source_probabilities, source_labels, sample_weight)
    )


def matrix_norm_line(predictions: Predictions) -> float:
    """Return what :func:`matrix_norm_accuracy` does, of checked predictions."""
    of_source = np.mean(predictions.weights * (predictions.source**4).sum(axis=1)) ** 0.25
    of_target = np.mean((predictions.target**4).sum(axis=1)) ** 0.25
    # A row of K equal probabilities has K ** (1 / 4 - 1).
    return _on_line(of_target, of_source, predictions, predictions.chance**0.75)


def _on_line(of_target, of_source, predictions, of_chance=None):
    """Return the accuracy on the line through chance and the source."""
    of_chance = predictions.chance if of_chance is None else of_chance
    if of_source - of_chance < 1e-9:  # a classifier that is sure of nothing on its source
        return predictions.source_accuracy
    part = (of_target - of_chance) / (of_source - of_chance)
    chance = predictions.chance
    return float(np.clip(chance + part * (predictions.source_accuracy - chance), 0, 1))
