"""A lower bound of the accuracy on a target, by a critic that disagrees there as much as it can."""

from typing import Any

import numpy as np
from sklearn.utils import Bunch, check_random_state

from skda._checks import as_array, check_lengths, check_table
from skda._naming import naming
from skda.domains import as_target_tuple, name_of
from skda.label_shift import check_is_classifier, class_numbers, predict_domain
from skda.target_accuracy._critic import fit_critic
from skda.target_accuracy._inputs import check_fraction, check_predictions
from skda.target_accuracy._result import AccuracyResult
from skda.target_accuracy._rows import features_of
from skda.target_accuracy._temperature import logarithms

_TARGET = "rows as the estimator takes them, or a tuple of such"
# Half of the rows of each domain to fit the critic, half to see what it does.
_FEWEST_ROWS = 4


def disagreement_bound(
    estimator: Any,
    X: Any,
    y: Any,
    X_target: Any,
    *,
    level: float = 0.95,
    random_state: Any = None,
) -> Bunch:
    r"""Bound the accuracy of a classifier on a target from below, without labels (Dis²).

    A critic, linear in the features of the classifier, is fitted to agree with it on the source
    and to disagree on the target as much as it can. If the true labels disagree no more than the
    critic does, in excess of the source, the accuracy on the target is at least

    .. math::

        \hat a_S - (\hat\epsilon_T - \hat\epsilon_S)
        - \sqrt{\frac{(n_S + 4 n_T) \log(1 / \delta)}{2 n_S n_T}}

    with the accuracy on the source, the critic's disagreements with the classifier on rows of both
    domains that it has not been fitted to, their numbers, and :math:`\delta` = 1 - `level`.

    **Assumes** what no unlabeled row can show: that the true labels are, for the
    classifier, no worse than the worst linear critic. **Fails**, that is: says nothing, where
    features tell the domains apart (the critic disagrees with everything, and the bound is 0);
    and is wrong where the assumption is, as after an adaptation whose features
    have matched the domains with classes exchanged: no linear critic of these features can say so.

    Parameters
    ----------
    estimator : object
        A fitted classifier, as for :func:`estimate_target_accuracy`. Features are those of its
        ``transform``, with ``domain`` if it has that, or the rows that reach it; logarithms of
        its probabilities where there are no numbers.

    X : array-like of shape (n_samples, n_features), or images as the estimator takes them
        Source rows that `estimator` has **not** been trained on.

    y : array-like of shape (n_samples,)
        Their labels.

    X_target : array-like or tuple of array-likes
        Unlabeled target rows; a tuple for several target domains, which get a bound each.

    level : float, default=0.95
        How sure the bound is in view of the number of rows, if the assumption holds.

    random_state : int, RandomState instance or None, default=None
        Parts the rows in halves: those of the critic, and those that it is seen on.

    Returns
    -------
    result : sklearn.utils.Bunch
        It prints as a short table. With the entries

        lower_bound : float, or ndarray of shape (n_targets,)
            Of the accuracy, 0 or more.
        without_noise : float, or ndarray of shape (n_targets,)
            The same without its last term, which is large for few rows; an estimate of the bound.
        disagreement, source_disagreement : floats, or ndarrays of shape (n_targets,)
            Of the critic and the classifier, on target rows and on source rows.
        noise : float, or ndarray of shape (n_targets,)
            The last term.
        source_score : float
            Accuracy on X and y.
        level : float
            As given.

    Raises
    ------
    TypeError
        If `estimator` is no classifier.

    ValueError
        If data or parameters are not as described, or there are less than 4 rows of a domain.

    See Also
    --------
    skda.metrics.estimate_target_accuracy : An estimate, which may be too high.

    Notes
    -----
    In the study, with 86 to 300 held-out rows and three random states, the bound held for 98 % of
    the models of the half of the tasks that is reported, and for all of those for which its
    assumption held, which were 81 %; it was 0 for 25 %, and 34 points below the accuracy in the
    median. The loss is a convex one in place of the disagreement, so that the critic does
    not always find the most there is, least of all for two classes.

    References
    ----------
    E. Rosenfeld, S. Garg. (Almost) Provable Error Bounds Under Distribution Shift via Disagreement
    Discrepancy. NeurIPS 2023, theorem 3.6 and the loss of section 4. The critic here is convex,
    with a small ridge, and is not selected among several by its discrepancy.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skda.metrics import disagreement_bound
    >>> X, y = load_digits(n_class=2, return_X_y=True)
    >>> clf = LogisticRegression().fit(X[:100], y[:100])
    >>> result = disagreement_bound(clf, X[100:230], y[100:230], X[230:], random_state=0)
    >>> bool(result.lower_bound <= result.without_noise <= clf.score(X[230:], y[230:]))
    True
    """
    check_fraction(level, "level")
    with naming("random_state", "None, a whole number of 0 or more, or a RandomState"):
        rng = check_random_state(random_state)
    check_is_classifier(estimator)
    X = as_array(X, "X")
    with naming("X_target", _TARGET):
        targets = as_target_tuple(as_array(X_target, "X_target"))
    if not targets:
        raise ValueError("X_target is None; pass the rows of the target domain.")
    source = predict_domain(estimator, X, "X", "source")
    codes = class_numbers(y, estimator.classes_, source)
    results = []
    for number, rows in enumerate(targets):
        n_targets = len(targets)
        name, domain = name_of("X_target", number, targets), "target" if n_targets == 1 else number
        target = predict_domain(estimator, rows, name, domain, n_targets)
        features = [
            features_of(estimator, X, "X", "source", n_targets),
            features_of(estimator, rows, name, domain, n_targets),
        ]
        if any(part is None for part in features):
            features = [logarithms(source), logarithms(target)]
        for part, what in zip(features, ("X", name), strict=True):
            _check_features(part, f"{what} (the features of its rows)")
        results.append(
            disagreement_discrepancy(
                target,
                source,
                codes,
                target_features=features[1],
                source_features=features[0],
                level=level,
                random_state=rng.randint(2**31 - 1),
            )
        )
    keys = ("lower_bound", "without_noise", "disagreement", "source_disagreement", "noise")
    columns = {key: [result[key] for result in results] for key in keys}
    stacked = {key: v[0] if len(v) == 1 else np.array(v) for key, v in columns.items()}
    return AccuracyResult(**stacked, source_score=results[0].source_score, level=level)


def disagreement_discrepancy(
    target_probabilities: Any,
    source_probabilities: Any,
    source_labels: Any,
    *,
    target_features: Any,
    source_features: Any,
    level: float = 0.95,
    random_state: Any = None,
) -> Bunch:
    """Bound the accuracy on a target from predictions and features, see `disagreement_bound`.

    Parameters
    ----------
    target_probabilities : array-like of shape (n_target_samples, n_classes)
        Predictions for the target rows.

    source_probabilities : array-like of shape (n_samples, n_classes)
        Predictions for source rows that the classifier has not been trained on.

    source_labels : array-like of shape (n_samples,)
        Their classes, as numbers of columns.

    target_features : array-like of shape (n_target_samples, n_features)
        Features of the target rows, in which critics are linear.

    source_features : array-like of shape (n_samples, n_features)
        Those of the source rows.

    level : float, default=0.95
        How sure the bound is in view of the number of rows.

    random_state : int, RandomState instance or None, default=None
        Parts the rows in halves.

    Returns
    -------
    result : sklearn.utils.Bunch
        As of :func:`~skda.metrics.disagreement_bound`.

    Raises
    ------
    TypeError, ValueError
        If arguments are not as described, or there are less than 4 rows of a domain.

    Examples
    --------
    Where the features do not tell the domains apart, the critic can only disagree with both.

    >>> import numpy as np
    >>> from skda.target_accuracy import disagreement_discrepancy
    >>> y = np.arange(2000) % 2
    >>> proba, features = np.eye(2)[y], y[:, None] + 0.01 * np.sin(y)[:, None]
    >>> result = disagreement_discrepancy(
    ...     proba, proba, y, target_features=features, source_features=features, random_state=0
    ... )
    >>> result.without_noise, round(result.noise, 2)
    (1.0, 0.09)
    """
    check_fraction(level, "level")
    predictions = check_predictions(target_probabilities, source_probabilities, source_labels)
    domains = []
    for name, features, proba in (
        ("source", source_features, predictions.source),
        ("target", target_features, predictions.target),
    ):
        table = _check_features(features, f"{name}_features")
        check_lengths(f"{name}_probabilities", proba, f"{name}_features", table)
        domains.append((table, proba.argmax(axis=1)))
    if domains[0][0].shape[1] != domains[1][0].shape[1]:
        raise ValueError(
            f"target_features has {domains[1][0].shape[1]} columns and source_features "
            f"{domains[0][0].shape[1]}; give the same features."
        )
    with naming("random_state", "None, a whole number of 0 or more, or a RandomState"):
        rng = check_random_state(random_state)
    orders = [rng.permutation(len(table)) for table, _ in domains]
    (source, source_codes), (target, target_codes) = domains
    (fit_source, see_source), (fit_target, see_target) = ((o[::2], o[1::2]) for o in orders)
    predict = fit_critic(
        source[fit_source],
        source_codes[fit_source],
        target[fit_target],
        target_codes[fit_target],
        predictions.source.shape[1],
    )
    of_source = float(np.mean(predict(source[see_source]) != source_codes[see_source]))
    of_target = float(np.mean(predict(target[see_target]) != target_codes[see_target]))
    # Accuracy of the same source rows: the term of noise is of the difference of both, row by row.
    right = float(np.mean(predictions.is_right[see_source]))
    n_source, n_target = len(see_source), len(see_target)
    spread = (n_source + 4 * n_target) / (2 * n_source * n_target)
    noise = float(np.sqrt(spread * np.log(1 / (1 - level))))
    bound = right - (of_target - of_source)
    return AccuracyResult(
        lower_bound=max(0.0, bound - noise),
        without_noise=float(np.clip(bound, 0, 1)),
        disagreement=of_target,
        source_disagreement=of_source,
        noise=noise,
        source_score=predictions.source_accuracy,
        level=level,
    )


def _check_features(features, name):
    table = check_table(features, name)
    if len(table) < _FEWEST_ROWS:
        raise ValueError(
            f"{name} has {len(table)} rows; the critic needs {_FEWEST_ROWS}, half of them to see "
            "what it does, and some hundred for a bound that says something."
        )
    return table
