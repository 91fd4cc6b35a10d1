"""Scoring by predictions between target rows."""

from numbers import Real
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from skda._naming import naming
from skda._sklearn_compat import Interval
from skda.model_selection._base import TargetScorer
from skda.model_selection._inputs import predict
from skda.model_selection._representations import past_steps


class MixValScorer(TargetScorer):
    r"""Accuracy on mixed target rows, by the predicted labels of what was mixed (MixVal).

    .. math:: x = \alpha x_i + (1 - \alpha) x_j, \quad y = f(x_i), \quad \alpha > 1/2

    Every target row i is mixed once with a random row of the same predicted class and once with
    one of another. The score is the mean of the two accuracies: from 0 to 1, greater is better. The
    former asks whether classes are compact, the latter whether boundaries lie halfway between
    them. A kind of pair that does not exist counts as 0, so that a model that predicts one class
    for all rows gets 1/2 at most.

    It looks at target rows only, and gets them as :class:`TargetEntropyScorer` does. Rows are
    mixed as they are before the steps of a pipeline and must be numbers: tables or arrays of
    images, not paths. Rows of several targets are mixed within each. Scores depend on the order
    of the rows, which decides about the pairs. The paper repeats this with several
    :math:`\alpha` and combines models' ranks instead of averaging accuracies.

    Parameters
    ----------
    alpha : float, default=0.55
        Share of the row that gives the label, above 1/2 and below 1.

    random_state : int, RandomState instance or None, default=0
        Draws the pairs. An int gives all models of a search the same draw.

    References
    ----------
    D. Hu, J. Liang, J. H. Liew, C. Xue, S. Bai, X. Wang. Mixed Samples as Probes for Unsupervised
    Model Selection in Domain Adaptation. NeurIPS 2023, section 3.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skda.datasets import load_shifted_digits
    >>> from skda.model_selection import MixValScorer
    >>> digits = load_shifted_digits(random_state=0)
    >>> clf = LogisticRegression().fit(digits.X, digits.y)
    >>> 0.5 < MixValScorer()(clf, digits.X, X_target=digits.X_target) < 1
    True
    """

    _parameter_constraints = {
        "alpha": [Interval(Real, 0.5, 1, closed="neither")],
        "random_state": ["random_state"],
    }

    def __init__(self, alpha: float = 0.55, random_state: Any = 0):
        self.alpha = alpha
        self.random_state = random_state

    def _score(self, estimator, X, y, targets):
        random_state = check_random_state(self.random_state)
        # Text and categories cannot be mixed, but what a pipeline makes of them can.
        names = ["X_target"] * len(targets)
        estimator, targets = past_steps(estimator, *targets, names=names)
        hits = {"same class": [], "other class": []}
        for rows in targets:
            labels = predict(estimator, rows, "X_target")
            for kind, (first, second) in draw_pairs(labels, random_state).items():
                if len(first):
                    mixed_rows = mix_rows(rows, first, second, self.alpha)
                    mixed = predict(estimator, mixed_rows, "X_target")
                    hits[kind].append(mixed == labels[first])
        return sum(np.concatenate(parts).mean() for parts in hits.values() if parts) / len(hits)


def draw_pairs(labels, random_state):
    """Draw a partner of the same class and one of another class for every row.

    Parameters
    ----------
    labels : ndarray of shape (n_samples,)
        Classes.

    random_state : RandomState instance
        The generator.

    Returns
    -------
    pairs : dict
        ``"same class"`` and ``"other class"``: row numbers and those of the partners, as a tuple
        of two ndarrays. Rows without a partner are left out.
    """
    _, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    order = np.argsort(codes, kind="stable")
    codes, n_rows = codes[order], len(order)
    size = counts[codes]
    start = (np.cumsum(counts) - counts)[codes]
    rank = np.arange(n_rows) - start
    # In the order of classes: steps ahead within the class, and steps past its end.
    ahead = 1 + random_state.randint(np.maximum(size - 1, 1))
    past = random_state.randint(np.maximum(n_rows - size, 1))
    same, other = start + (rank + ahead) % size, (start + size + past) % n_rows
    return {
        "same class": (order[size > 1], order[same[size > 1]]),
        "other class": (order[size < n_rows], order[other[size < n_rows]]),
    }


def mix_rows(rows, first, second, alpha):
    """Return weighted means of pairs of rows.

    Parameters
    ----------
    rows : array-like or DataFrame of shape (n_samples, ...)
        Rows.

    first, second : ndarray of int
        Numbers of the rows that are mixed.

    alpha : float
        Share of the first ones.

    Returns
    -------
    mixed : ndarray or DataFrame of shape (n_pairs, ...)
        Of uint8 if rows are, and of floats otherwise.

    Raises
    ------
    TypeError
        If rows are no numbers.
    """
    with naming("X_target", "rows of numbers"):
        values = np.asarray(rows)
    if values.dtype.kind not in "biuf":
        raise TypeError(
            "X_target: MixValScorer mixes rows and needs arrays of numbers, got "
            f"{type(rows).__name__} of {values.dtype}."
        )
    mixed = alpha * values[first] + (1 - alpha) * values[second]
    if values.dtype == np.uint8:  # images, whose layout is told by their type
        mixed = np.rint(mixed).astype(np.uint8)
    return type(rows)(mixed, columns=rows.columns) if hasattr(rows, "iloc") else mixed
