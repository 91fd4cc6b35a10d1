"""Shares of the classes in target domains, with how sure they are."""

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils import Bunch, check_random_state

from skda._checks import as_array, as_float
from skda._naming import naming, shortened
from skda.domains import as_target_tuple, name_of
from skda.label_shift._consistency import label_shift_test
from skda.label_shift._methods import estimate_of
from skda.label_shift._predictions import check_is_classifier, class_numbers, predict_domain


def class_shares(
    estimator: Any,
    X: Any,
    y: Any,
    X_target: Any,
    *,
    method: str | Callable = "em",
    level: float = 0.95,
    n_bootstraps: int | None = 200,
    random_state: Any = None,
) -> Bunch:
    """Estimate how frequent the classes are among unlabeled target rows, with intervals.

    A classifier that has been trained where the classes had other shares is wrong about them if
    its predictions are merely counted. The estimates here take the counts, and what held-out source
    rows show of its errors. They are right if rows of a class look the same in both domains
    (label shift), or the classifier makes them so. Otherwise they may be far off, which
    `p_value` may tell.

    Parameters
    ----------
    estimator : object
        A fitted classifier with ``predict_proba`` or ``decision_function``, whose softmax is taken,
        a pipeline that ends in one, or a search over such. One that tells domains apart, as the
        adaptation estimators do, predicts source rows under the statistics of the source.

    X : array-like of shape (n_samples, n_features), or images as the estimator takes them
        Source rows that `estimator` has **not** been trained on: of others it is too sure, and
        its errors are too few. Where there are too few to hold any out, fit
        :class:`~skda.label_shift.PriorShiftClassifier`, whose ``target_shares_`` are from
        cross-validated predictions.

    y : array-like of shape (n_samples,)
        Their labels. There must be some of every class of the estimator, some ten of each better.

    X_target : array-like or tuple of array-likes
        Unlabeled target rows; a tuple for several target domains, which get shares each.

    method : {"em", "bbse", "rlls"} or callable, default="em"
        - ``"em"``: the most likely shares, :func:`~skda.label_shift.maximum_likelihood_shares`,
          after calibration on X and y by :func:`~skda.label_shift.calibrate`. Least error
          where the domains differ in shares alone.
        - ``"bbse"``: :func:`~skda.label_shift.black_box_shares`, from confusions.
        - ``"rlls"``: :func:`~skda.label_shift.regularized_shares`, which stays near the shares of
          the source where there are few rows.
        - a function of target probabilities, source probabilities and class numbers of source
          rows that returns shares, such as a :func:`functools.partial` of the last two.

    level : float, default=0.95
        How often, in repetitions with other rows, an interval of one class should hold its true
        share in the population that the target rows are drawn from.

    n_bootstraps : int or None, default=200
        How many samples of rows of both domains, drawn with replacement, the intervals are the
        quantiles of; source rows are drawn class by class. None makes no intervals.

    random_state : int, RandomState instance or None, default=None
        Draws the samples.

    Returns
    -------
    result : sklearn.utils.Bunch
        With the entries

        classes : ndarray of shape (n_classes,)
            ``estimator.classes_``.
        shares : ndarray of shape (n_classes,) or (n_targets, n_classes)
            Shares of the target, with a sum of 1; a row for each if there are several.
        lower, upper : ndarrays of the shape of shares, or None
            Bounds of the intervals.
        source_shares : ndarray of shape (n_classes,)
            Shares in `y`.
        p_value, disagreement : floats or ndarrays of shape (n_targets,)
            Of :func:`~skda.label_shift.label_shift_test`. With a p-value below 0.01 rows of a
            class look different in the target, and the shares are not to be trusted, most
            of all if the disagreement of two estimates is more than 0.1. A larger p-value is no
            proof of the contrary.

    Raises
    ------
    TypeError
        If `estimator` is no classifier, or has adapted its predictions to target shares itself.

    ValueError
        If data or parameters are not as described, or if a class has no held-out row.

    See Also
    --------
    skda.label_shift.PriorShiftClassifier : Predictions that follow the shares.

    Notes
    -----
    Where a class is missing in the target its share is near 0, and its interval begins there. In
    simulations with 300 rows of each domain and 3 classes, intervals of 95 % held the true share
    in 91 to 98 % of the cases. They know nothing of errors where rows of a class look different.

    References
    ----------
    S. Garg, Y. Wu, S. Balakrishnan, Z. C. Lipton. A Unified View of Label Shift Estimation.
    NeurIPS 2020; and those of the methods.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skda.metrics import class_shares
    >>> X, y = load_digits(return_X_y=True)
    >>> X = X / 16
    >>> clf = LogisticRegression().fit(X[:600], y[:600])
    >>> target = np.flatnonzero(y[1200:] < 5) + 1200  # of five digits there are none
    >>> result = class_shares(
    ...     clf, X[600:1200], y[600:1200], X[target], n_bootstraps=20, random_state=0
    ... )
    >>> result.shares.round(2)
    array([0.2 , 0.21, 0.19, 0.18, 0.2 , 0.  , 0.  , 0.  , 0.01, 0.  ])
    """
    estimate = estimate_of(method)
    rng = _check_options(level, n_bootstraps, random_state)
    if hasattr(estimator, "target_shares_"):
        raise TypeError(
            f"estimator: {type(estimator).__name__} predicts for target shares that it has "
            "estimated; look at its target_shares_, or give a classifier for the source."
        )
    check_is_classifier(estimator)
    X = as_array(X, "X")
    with naming("X_target", "rows as the estimator takes them, or a tuple of such"):
        targets = as_target_tuple(as_array(X_target, "X_target"))
    if not targets:
        raise ValueError("X_target is None; pass the rows of the target domain.")
    source = predict_domain(estimator, X, "X", "source")
    codes = class_numbers(y, estimator.classes_, source)
    results = []
    for number, rows in enumerate(targets):
        name = name_of("X_target", number, targets)
        domain = "target" if len(targets) == 1 else number
        target = predict_domain(estimator, rows, name, domain, len(targets))
        lower = upper = None
        if n_bootstraps is not None:
            draws = _draw(estimate, target, source, codes, n_bootstraps, rng)
            lower, upper = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
        shares, check = estimate(target, source, codes), label_shift_test(target, source, codes)
        results.append(Bunch(shares=shares, lower=lower, upper=upper, **check))
    counts = np.bincount(codes, minlength=source.shape[1])
    stacked = {
        key: None if results[0][key] is None else _stacked([result[key] for result in results])
        for key in ("shares", "lower", "upper", "p_value", "disagreement")
    }
    classes = np.asarray(estimator.classes_)
    return Bunch(classes=classes, source_shares=counts / counts.sum(), **stacked)


def _stacked(values):
    return values[0] if len(values) == 1 else np.array(values)


def _check_options(level, n_bootstraps, random_state):
    """Return a random state, if these are what they must be."""
    if not isinstance(level, Real) or not 0 < as_float(level) < 1:
        raise ValueError(f"level must be a number between 0 and 1, got {shortened(repr(level))}.")
    is_count = isinstance(n_bootstraps, Integral) and not isinstance(n_bootstraps, bool)
    if n_bootstraps is not None and not (is_count and int(n_bootstraps) >= 2):
        raise ValueError(
            "n_bootstraps must be a whole number of 2 or more, or None for no intervals, got "
            f"{shortened(repr(n_bootstraps))}."
        )
    with naming("random_state", "None, a whole number of 0 or more, or a RandomState"):
        return check_random_state(random_state)


def _draw(estimate, target, source, codes, n_bootstraps, rng):
    """Return the shares of samples of the rows of both domains."""
    members = [np.flatnonzero(codes == number) for number in range(source.shape[1])]
    draws = []
    for _ in range(n_bootstraps):
        # As many rows of every class: their number is the choice of whoever held them out.
        rows = np.concatenate([rng.choice(part, len(part)) for part in members])
        chosen = rng.randint(len(target), size=len(target))
        draws.append(estimate(target[chosen], source[rows], codes[rows]))
    return np.array(draws)
