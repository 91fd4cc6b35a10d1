"""Accuracy of a fitted classifier on targets without labels, with intervals."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.utils import Bunch, check_random_state

from skda._checks import as_array
from skda._naming import naming, shortened
from skda.domains import as_target_tuple, name_of
from skda.label_shift import (
    calibrate,
    check_is_classifier,
    check_shares,
    class_numbers,
    maximum_likelihood_shares,
    predict_domain,
)
from skda.target_accuracy._inputs import Predictions, check_fraction
from skda.target_accuracy._methods import METHODS, REFERENCES, check_method
from skda.target_accuracy._own_error import own_error
from skda.target_accuracy._references import reference_weight, with_references
from skda.target_accuracy._result import AccuracyResult
from skda.target_accuracy._rows import reference_rows
from skda.target_accuracy._scores import check_metric, score_of_estimate, score_of_source

_TARGET = "rows as the estimator takes them, or a tuple of such"


def estimate_target_accuracy(
    estimator: Any,
    X: Any,
    y: Any,
    X_target: Any,
    *,
    method: str = "combined",
    class_shares: Any = None,
    metric: str = "accuracy",
    level: float = 0.9,
    others: Sequence[Any] | None = None,
    n_bootstraps: int | None = 50,
    random_state: Any = None,
) -> Bunch:
    """Estimate how accurate a classifier is on a target without labels, with an interval.

    Parameters
    ----------
    estimator : object
        A fitted classifier with ``predict_proba`` or ``decision_function``, whose softmax is taken,
        a pipeline that ends in one, or a search over such. One that tells domains apart, as the
        adaptation estimators do, predicts source rows under the statistics of the source.

    X : array-like of shape (n_samples, n_features), or images as the estimator takes them
        Source rows that `estimator` has **not** been trained on: of others it is too sure.

    y : array-like of shape (n_samples,)
        Their labels. There must be some of every class of the estimator, some ten of each better.

    X_target : array-like or tuple of array-likes
        Unlabeled target rows; a tuple for several target domains, which get an estimate each.

    method : str, default="combined"
        - ``"combined"``: :func:`~skda.target_accuracy.reference_accuracy`, the agreement with
          simple classifiers of X and y, and ``"cot"`` as far as these know less of the source
          than `estimator`. It errs least in the study. Rows that are no numbers, nor become any
          in the steps of a pipeline, have ``"cot"`` alone.
        - ``"confidence"``: :func:`~skda.target_accuracy.average_confidence`.
        - ``"doc"``: :func:`~skda.target_accuracy.difference_of_confidences`.
        - ``"atc"``, ``"atc_entropy"``:
          :func:`~skda.target_accuracy.average_thresholded_confidence`.
        - ``"cot"``: :func:`~skda.target_accuracy.confidence_optimal_transport`.
        - ``"nuclear_norm"``: :func:`~skda.target_accuracy.nuclear_norm_accuracy`.
        - ``"matrix_norm"``: :func:`~skda.target_accuracy.matrix_norm_accuracy`.
        - ``"gde"``: :func:`~skda.target_accuracy.model_agreement` with `others`.

    class_shares : None, "estimate" or array-like of shape (n_classes,), default=None
        Shares of the classes in the target, in the order of ``estimator.classes_``: source rows
        are weighted by their ratio to those of `y`. ``"estimate"`` takes the most likely shares, as
        :func:`skda.metrics.class_shares` does; right only if nothing else differs. None leaves
        the rows as they are.

    metric : {"accuracy", "balanced_accuracy", "f1_macro"}, default="accuracy"
        What is estimated. The last two are those of an estimated table of predicted and true
        classes: target probabilities at the temperature at which their mean confidence is the
        estimated accuracy.

    level : float, default=0.9
        How often the interval should hold the truth.

    others : sequence of estimators, default=None
        Fitted models of the same kind, trained from other random states, which ``"gde"`` needs
        and ``"combined"`` takes as further judges. Methods that ask no other model ignore them.

    n_bootstraps : int or None, default=50
        How many samples of rows of both domains, drawn with replacement, the sampling noise is
        taken from. None leaves it out: the interval is that of the method's own error.

    random_state : int, RandomState instance or None, default=None
        Draws the samples.

    Returns
    -------
    result : sklearn.utils.Bunch
        It prints as a short table. With the entries

        estimate, lower, upper : floats, or ndarrays of shape (n_targets,)
            The estimate, and the bounds of its interval, from 0 to 1.
        noise, own_error : floats, or ndarrays of shape (n_targets,)
            Parts of the half width of the interval, of which it is the root of the sum of squares:
            sampling noise, and the error that the method had under shift in the study.
        accuracy : float, or ndarray of shape (n_targets,)
            Estimated accuracy; `estimate` if that is the metric.
        source_score : float
            The metric on X and y, which are not weighted.
        class_shares : ndarray of shape (n_classes,) or (n_targets, n_classes), or None
            Those that the source rows are weighted for.
        predicted_shares : ndarray of shape (n_classes,) or (n_targets, n_classes)
            Shares of the classes in what is predicted for the target.
        reference_weight : float, ndarray of shape (n_targets,), or None
            For ``"combined"``: the part that the agreement has in it. 0 is ``"cot"`` alone.
        method, metric, level
            As given.

    Raises
    ------
    TypeError
        If `estimator` is no classifier.

    ValueError
        If data or parameters are not as described, or if a class has no held-out row.

    See Also
    --------
    skda.metrics.class_shares : Shares of the classes in the target.

    Notes
    -----
    No estimate is right under every shift: how rows of a class may change is assumed by all, and
    shown by no unlabeled row. In the study, on 12 tasks that nothing was chosen on, with 13
    models each (plain, adapted, collapsed, classic) and three random states, the mean absolute
    error in points of accuracy was 5 with ``"combined"`` (6 of adapted networks), 13 with
    ``"cot"`` and ``"gde"``, 16 with ``"nuclear_norm"``, and 20 to 23 with the others, which are
    far too high for adapted and collapsed networks. It was 10 on the worst task. Intervals of
    90 % with ``"combined"`` held 90 % of the accuracies, and are about 23 points wide.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skda.metrics import estimate_target_accuracy
    >>> X, y = load_digits(return_X_y=True)
    >>> X = X / 16
    >>> clf = LogisticRegression().fit(X[:600], y[:600])
    >>> noisy = X[1200:] + np.random.default_rng(0).normal(scale=0.3, size=X[1200:].shape)
    >>> result = estimate_target_accuracy(clf, X[600:1200], y[600:1200], noisy, random_state=0)
    >>> bool(result.lower < clf.score(noisy, y[1200:]) < result.upper)
    True
    """
    with naming("X_target", _TARGET):
        targets = as_target_tuple(as_array(X_target, "X_target"))
    if not targets:
        raise ValueError("X_target is None; pass the rows of the target domain.")
    n_targets = len(targets)
    domains = ["target"] if n_targets == 1 else list(range(n_targets))
    places = [
        (name_of("X_target", number, targets), domain, n_targets)
        for number, domain in enumerate(domains)
    ]
    return estimate_in_domains(
        estimator,
        as_array(X, "X"),
        y,
        targets,
        ("X", "source", 1),
        places,
        method=method,
        class_shares=class_shares,
        metric=metric,
        level=level,
        others=others,
        n_bootstraps=n_bootstraps,
        random_state=random_state,
    )


def estimate_in_domains(
    estimator: Any,
    X: Any,
    y: Any,
    targets: Sequence[Any],
    source_place: tuple[str, Any, int],
    places: Sequence[tuple[str, Any, int]],
    *,
    method: str = "combined",
    class_shares: Any = None,
    metric: str = "accuracy",
    level: float = 0.9,
    others: Sequence[Any] | None = None,
    n_bootstraps: int | None = 50,
    random_state: Any = None,
) -> Bunch:
    """Estimate how accurate a classifier is, where rows are predicted as those of any domain.

    Parameters
    ----------
    estimator, X, y, method, class_shares, metric, level, others, n_bootstraps, random_state
        As of :func:`estimate_target_accuracy`.

    targets : sequence of array-likes
        Unlabeled rows, each of which gets an estimate.

    source_place : tuple of str, domain and int
        Name of the parameter that holds `X`, the domain that its rows are predicted in, and how
        many target domains there are. In use the labeled rows may be of the target.

    places : sequence of tuples
        Such of each of the targets.

    Returns
    -------
    result : sklearn.utils.Bunch
        As of :func:`estimate_target_accuracy`.
    """
    check_method(method, others)
    check_metric(metric)
    rng = _check_options(level, n_bootstraps, random_state)
    models = _check_others(estimator, others)
    source = predict_domain(estimator, X, *source_place)
    codes = class_numbers(y, estimator.classes_, source)
    results = []
    for rows, place in zip(targets, places, strict=True):
        target, *others = (predict_domain(model, rows, *place) for model in models)
        shares = _shares_of(class_shares, target, source, codes)
        agreeing = tuple(other.argmax(axis=1) for other in others)
        predictions = Predictions(target, source, codes, _weights(shares, codes), agreeing)
        if method == REFERENCES:
            tables = _tables(estimator, X, rows, source_place, place)
            if tables is not None:
                seed = rng.randint(2**31 - 1)
                predictions = with_references(predictions, *tables, seed)
        results.append(_estimate(predictions, shares, method, metric, level, n_bootstraps, rng))
    stacked = {
        key: None if value is None else _stacked([result[key] for result in results])
        for key, value in results[0].items()
    }
    score = score_of_source(metric, source, codes)
    return AccuracyResult(**stacked, source_score=score, method=method, metric=metric, level=level)


def _stacked(values):
    return values[0] if len(values) == 1 else np.array(values)


def _check_options(level, n_bootstraps, random_state):
    """Return a random state, if these are what they must be."""
    check_fraction(level, "level")
    is_count = isinstance(n_bootstraps, Integral) and not isinstance(n_bootstraps, bool)
    if n_bootstraps is not None and not (is_count and int(n_bootstraps) >= 2):
        raise ValueError(
            "n_bootstraps must be a whole number of 2 or more, or None for no sampling noise, got "
            f"{shortened(repr(n_bootstraps))}."
        )
    with naming("random_state", "None, a whole number of 0 or more, or a RandomState"):
        return check_random_state(random_state)


def _check_others(estimator, others):
    """Return the estimator and those that it is compared with, which know the same classes."""
    check_is_classifier(estimator)
    with naming("others", "a list of fitted classifiers"):
        others = list(others or ())
        for other in others:
            check_is_classifier(other)
            if not np.array_equal(other.classes_, estimator.classes_):
                raise ValueError("one of them has other classes than estimator.")
    return [estimator, *others]


def _shares_of(class_shares, target, source, codes):
    """Return the shares of the classes that source rows are to be weighted for, or None."""
    if class_shares is None:
        return None
    if isinstance(class_shares, str):
        if class_shares != "estimate":
            raise ValueError(
                "class_shares must be None, 'estimate' or an array of shares, got "
                f"{class_shares!r}."
            )
        counts = np.bincount(codes, minlength=source.shape[1])
        calibration = calibrate(source, codes)
        return maximum_likelihood_shares(calibration(target), counts / counts.sum())
    return check_shares(class_shares, "class_shares", source.shape[1])


def _weights(shares, codes):
    if shares is None:
        return np.ones(len(codes))
    counts = np.bincount(codes, minlength=len(shares))
    weights = (shares / counts)[codes]
    return weights / weights.mean()


def _tables(estimator, X, rows, source_place, place):
    """Return the rows of both domains as tables that references can be fitted to, or None."""
    source = reference_rows(estimator, X, *source_place)
    target = reference_rows(estimator, rows, *place)
    if source is None or target is None or source.shape[1] != target.shape[1]:
        return None
    return source, target


def _estimate(predictions, shares, method, metric, level, n_bootstraps, rng):
    """Return the estimate for one target, with what it is made of."""

    def estimate_of(rows):
        accuracy = METHODS[method](rows)
        return accuracy, score_of_estimate(metric, accuracy, rows.target)

    accuracy, estimate = estimate_of(predictions)
    noise = 0.0
    if n_bootstraps is not None:
        draws = [estimate_of(drawn)[1] for drawn in _samples(predictions, n_bootstraps, rng)]
        # Half the width between the quantiles: draws are too few for each of them.
        lower, upper = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
        noise = float(upper - lower) / 2
    error = own_error(method, level)
    half_width = float(np.hypot(noise, error))
    counts = np.bincount(predictions.target.argmax(axis=1), minlength=predictions.target.shape[1])
    return {
        "estimate": estimate,
        "lower": max(0.0, estimate - half_width),
        "upper": min(1.0, estimate + half_width),
        "noise": noise,
        "own_error": error,
        "accuracy": accuracy,
        "class_shares": shares,
        "predicted_shares": counts / counts.sum(),
        "reference_weight": reference_weight(predictions) if method == REFERENCES else None,
    }


def _samples(predictions, n_bootstraps, rng):
    """Yield predictions of rows that are drawn with replacement, those of the source by class."""
    codes = predictions.codes
    members = [np.flatnonzero(codes == number) for number in np.unique(codes)]
    n_rows = len(predictions.target)
    for _ in range(n_bootstraps):
        rows = np.concatenate([rng.choice(part, len(part)) for part in members])
        yield predictions.drawn(rows, rng.randint(n_rows, size=n_rows))
