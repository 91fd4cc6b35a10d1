"""How often models that have been trained apart agree."""

from typing import Any

import numpy as np

from skda.label_shift import check_probabilities


def model_agreement(target_probabilities: Any, other_probabilities: Any) -> float:
    """Accuracy on the target as the share of rows on which independent models agree (GDE).

    The models must have been trained in the same way, from other random states or on other rows.
    No label is used, and no source row: where their ensemble is calibrated by classes, two of them
    disagree as often as one of them errs.

    **Assumes** that calibration, and errors that are as diverse on the target as the ensemble is
    unsure. **Fails** where models err alike (too high): two networks on photographs of a kind
    that both have not seen, a forest with itself; and where the others are less accurate than the
    one in question, whose accuracy it then underestimates.

    Parameters
    ----------
    target_probabilities : array-like of shape (n_target_samples, n_classes)
        Predictions for the target rows.

    other_probabilities : array-like of shape (n_target_samples, n_classes), or a tuple of such
        Predictions of other models for the same rows.

    Returns
    -------
    accuracy : float
        From 0 to 1, the mean over the other models.

    Raises
    ------
    TypeError, ValueError
        If arguments are not as described, or there is no other model.

    References
    ----------
    Y. Jiang, V. Nagarajan, C. Baek, J. Z. Kolter. Assessing Generalization of SGD via
    Disagreement. ICLR 2022.

    Examples
    --------
    >>> from skda.target_accuracy import model_agreement
    >>> model_agreement([[0.9, 0.1], [0.2, 0.8]], [[0.6, 0.4], [0.7, 0.3]])
    0.5
    """
    target = check_probabilities(target_probabilities, "target_probabilities")
    others = other_codes(target, other_probabilities)
    if not others:
        raise ValueError("other_probabilities is empty; give those of one other model at least.")
    predicted = target.argmax(axis=1)
    return float(np.mean([np.mean(other == predicted) for other in others]))


def other_codes(target: np.ndarray, other_probabilities: Any) -> tuple[np.ndarray, ...]:
    """Return the classes that other models predict for the target rows, a tuple of arrays."""
    are_several = isinstance(other_probabilities, tuple)
    codes = []
    for other in other_probabilities if are_several else (other_probabilities,):
        other = check_probabilities(other, "other_probabilities")
        if other.shape != target.shape:
            raise ValueError(
                f"other_probabilities has the shape {other.shape}, and target_probabilities "
                f"{target.shape}; give predictions for the same rows and classes."
            )
        codes.append(other.argmax(axis=1))
    return tuple(codes)
