"""The questions to ask before anything is trained."""

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from skda._checks import LABELS, as_array, as_float, check_column, check_lengths, count_rows
from skda._naming import naming, shortened
from skda.diagnosis._advice import METHODS, advise
from skda.diagnosis._classes import cross_fitted, default_classifier, describe_classes
from skda.diagnosis._diagnosis import (
    Diagnosis,
    class_lines,
    column_lines,
    difference_lines,
    explanation_lines,
    novel_lines,
)
from skda.diagnosis._kinds import column_table, detectable_distance, explanation_table, find_kind
from skda.diagnosis._tables import ROWS, encode, read_tables
from skda.diagnosis._two_sample import compare
from skda.domains import as_target_tuple, name_of
from skda.label_shift import call_last_step, class_numbers, predict_domain

_PREDICTS = "predict_proba", "decision_function"
_CONCEPT = (
    "Not to be seen without labels of the target: whether rows that look alike have other labels "
    "there."
)


def diagnose(
    X: Any,
    y: Any,
    X_target: Any,
    estimator: Any = None,
    *,
    level: float = 0.99,
    max_samples: int | None = 1000,
    random_state: Any = None,
) -> Any:
    """Tell how a target differs from the source, before anything is adapted.

    Three tests say whether the domains differ: a classifier two-sample test, a test of each column
    (Kolmogorov-Smirnov, chi-squared for categories, and of missing values), and one of rows
    that are unlike any of the source. Then each kind of shift is undone in turn: source rows are
    weighted to the target's estimated class shares, columns get the target's mean and spread,
    values are left out, novel rows are taken away. The kind after which least is left of the
    difference is named; if none of them will do, it is a covariate shift.

    Parameters
    ----------
    X : array-like, data frame, sparse matrix or images
        Source rows. Text in a data frame makes categories, and values may be missing. Images and
        series, of 3 or 4 axes, are compared by means of 4 x 4 parts, unless `estimator` makes
        features of them. Of a sparse matrix the 300 columns with most entries count.

    y : array-like of shape (n_samples,), or None
        Labels of classes. None if there are none: shares of classes are then not looked at.

    X_target : array-like or tuple of array-likes
        Unlabeled target rows; a tuple for several target domains, which get a diagnosis each.
        Where only one of X and X_target has names of columns, they are taken by position.

    estimator : object, default=None
        - A fitted classifier, or one whose features are to be compared: X are then rows that it
          was **not** trained on, or they seem to differ. With ``transform`` its features are
          compared instead of the rows.
        - A classifier that is not fitted: it is cloned and cross-validated on X and y.
        - A fitted transformer, which makes features, such as a
          :class:`~skda.feature_extraction.DeepFeatureExtractor` of paths of photographs.
        - None: the mean of a logistic regression and a forest, cross-validated on the rows.

    level : float, default=0.99
        Of intervals. The share of false alarms, where domains do not differ, is at most 1 - level.

    max_samples : int or None, default=1000
        Most rows of a domain, drawn at random. None is all of them.

    random_state : int, RandomState instance or None, default=None
        Draws and splits rows.

    Returns
    -------
    diagnosis : Diagnosis or list of Diagnosis
        Prints as text. A list if there are several targets.

    Raises
    ------
    TypeError, ValueError
        If rows, labels or parameters are not as described.

    See Also
    --------
    skda.metrics.class_shares : Shares of classes by a chosen estimate.
    skda.metrics.domain_report : Distances at the layers of a network.
    skda.inspection.DiagnosisDisplay : A picture of it.

    Notes
    -----
    Kinds are told apart by what undoes them. Where two are the same, as a selection of Gaussian
    rows that moves the mean, the simpler one is named. Several at once are often a covariate
    shift to it.

    References
    ----------
    D. Lopez-Paz, M. Oquab. Revisiting Classifier Two-Sample Tests. ICLR 2017. S. Rabanser,
    S. Guennemann, Z. C. Lipton. Failing Loudly: An Empirical Study of Methods for Detecting
    Dataset Shift. NeurIPS 2019.

    Examples
    --------
    >>> import numpy as np
    >>> import skda
    >>> rng = np.random.default_rng(0)
    >>> y = rng.integers(2, size=300)
    >>> X = rng.normal(size=(300, 3)) + 2 * y[:, None]
    >>> y_target = rng.uniform(size=300) < 0.9  # of the second class there are more
    >>> X_target = rng.normal(size=(300, 3)) + 2 * y_target[:, None]
    >>> skda.diagnose(X, y, X_target, random_state=0).kind
    'class shares'
    >>> skda.diagnose(X, y, 3 * X[::2] + 1, random_state=0).kind
    'scale or offset'
    >>> skda.diagnose(X[:5], y[:5], X_target[:5], random_state=0).kind
    'undecided'
    """
    rng = _check_options(level, max_samples, random_state)
    _check_estimator(estimator)
    X = as_array(X, "X")
    with naming("X_target", f"{ROWS}, or a tuple of such"):
        targets = as_target_tuple(as_array(X_target, "X_target"))
    if not targets:
        raise ValueError("X_target is None; pass the rows of the target domain.")
    labels = None if y is None else check_column(y)
    if labels is not None:
        check_lengths("X", X, "y", labels)
    _check_is_of_use(estimator)
    found = []
    for number, rows in enumerate(targets):
        name = name_of("X_target", number, targets)
        domain = "target" if len(targets) == 1 else number
        place = (name, domain, len(targets))
        seed = rng.randint(2**31)
        found.append(_diagnose(X, labels, rows, estimator, place, level, max_samples, seed))
    return found[0] if len(found) == 1 else found


def _check_options(level, max_samples, random_state):
    """Return a random state, if these are what they must be."""
    if not isinstance(level, Real) or not 0.5 <= as_float(level) < 1:
        raise ValueError(
            f"level must be a number of 0.5 or more and below 1, got {shortened(repr(level))}."
        )
    is_count = isinstance(max_samples, Integral) and not isinstance(max_samples, bool)
    if max_samples is not None and not (is_count and int(max_samples) >= 4):
        raise ValueError(
            "max_samples must be a whole number of 4 or more, or None for all rows, got "
            f"{shortened(repr(max_samples))}."
        )
    with naming("random_state", "None, a whole number of 0 or more, or a RandomState"):
        return check_random_state(random_state)


def _check_estimator(estimator):
    has = any(hasattr(estimator, name) for name in ("transform", "predict_proba", "fit"))
    if estimator is not None and (isinstance(estimator, type) or not has):
        raise TypeError(
            "estimator must be a classifier, a fitted transformer or None, got "
            f"{shortened(repr(estimator), 80)}."
        )


def _check_is_of_use(estimator):
    """Raise for what makes features and is not fitted: the rows would be compared instead."""
    predicts = any(hasattr(estimator, key) for key in _PREDICTS)
    if hasattr(estimator, "transform") and not predicts and not _is_fitted(estimator):
        raise ValueError(
            f"estimator: {type(estimator).__name__} is not fitted, and has no features to compare; "
            "fit it first, as in estimator.fit(X), or give None to compare the rows."
        )


def _is_fitted(estimator):
    try:
        check_is_fitted(estimator)
    except (NotFittedError, TypeError):
        return False
    return True


def _draw(X, labels, max_samples, rng, name):
    """Return some rows, their labels and their places."""
    n_rows = count_rows(X, name)
    if n_rows < 4:
        raise ValueError(f"{name} has {n_rows} rows; a difference needs at least 4.")
    if max_samples is None or n_rows <= max_samples:
        return X, labels, np.arange(n_rows)
    places = np.sort(rng.choice(n_rows, max_samples, replace=False))
    with naming(name, ROWS):
        if hasattr(X, "iloc"):
            rows = X.iloc[places]
        elif isinstance(X, list | tuple):
            rows = [X[place] for place in places]
        else:
            rows = X.tocsr()[places] if hasattr(X, "tocsr") else X[places]
    return rows, (None if labels is None else labels[places]), places


def _diagnose(X, labels, X_target, estimator, place, level, max_samples, seed):
    """Return the diagnosis of one target."""
    rng = np.random.RandomState(seed)
    n_target = count_rows(X_target, place[0])
    X, labels, _ = _draw(X, labels, max_samples, rng, "X")
    X_target, _, places = _draw(X_target, None, max_samples, rng, place[0])
    is_fitted = estimator is not None and _is_fitted(estimator)
    domains = X, X_target
    if is_fitted and hasattr(estimator, "transform"):
        domains = _features(estimator, domains, place)
    source, target = read_tables(*domains, place[0], _wanted(estimator, is_fitted))
    first = compare(source, target, rng, level=level)
    classes = None
    if labels is not None:
        probabilities = _probabilities(
            estimator, is_fitted, (X, X_target), (source, target), labels, place, rng
        )
        if probabilities is not None:
            classes = describe_classes(*probabilities, first.scores, rng, level)
    kind, tried = find_kind(source, target, first, classes, rng, level)
    detectable = detectable_distance(len(source), len(target), level)
    novel = np.zeros(n_target, dtype=bool)
    novel[places[first.novelty.in_target]] = True
    advice = advise(kind, first.p_value, detectable, classes, float(first.novelty.in_target.mean()))
    columns, table = column_table(source, target, first), explanation_table(first, tried)
    left_out = source.n_columns - len(source.names)
    methods = METHODS[kind]
    sizes = len(source), len(target)
    sentences = difference_lines(first, level, kind, detectable, sizes)
    sentences += column_lines(columns, 1 - level, left_out)
    sentences += novel_lines(first.novelty) + class_lines(classes, kind)
    sentences += explanation_lines(kind, table, classes, 1 - level)
    sentences += [_CONCEPT, f"Will adaptation help? {advice.verdict}: {advice.reason}"]
    if methods:
        sentences += [f"Try first, by the kind of shift ({kind}):"]
        sentences += [f"  {name}: {why}" for name, why in methods]
    return Diagnosis(
        kind=kind,
        p_value=first.p_value,
        distance=first.distance,
        lower=first.lower,
        upper=first.upper,
        detectable=detectable,
        columns=columns,
        explanations=table,
        classes=None if classes is None else classes.table(),
        share_novel=float(first.novelty.in_target.mean()),
        novel=novel,
        adaptation=advice.verdict,
        methods=[name for name, _ in methods],
        sentences=sentences,
        level=float(level),
    )


def _wanted(estimator, is_fitted):
    """Return what rows must be, for messages."""
    if is_fitted or not hasattr(estimator, "transform"):
        return ROWS
    return (
        "a table, a data frame, a sparse matrix or an array of pictures or series, as "
        f"{type(estimator).__name__} is not fitted; fit it first, and its features are compared"
    )


def _features(estimator, domains, place):
    """Return what a fitted estimator makes of the rows of both domains."""
    name, domain, n_targets = place
    features = [
        call_last_step(estimator, "transform", domains[0], "X", "source"),
        call_last_step(estimator, "transform", domains[1], name, domain, n_targets),
    ]
    features = [as_array(rows, "transform") for rows in features]
    return [rows.reshape(len(rows), -1) if np.ndim(rows) > 2 else rows for rows in features]


def _probabilities(estimator, is_fitted, domains, tables, labels, place, rng):
    """Return classes, class numbers, and probabilities of both domains, None for rare classes."""
    name, domain, n_targets = place
    predicts = any(hasattr(estimator, key) for key in _PREDICTS)
    if is_fitted and predicts:
        names = np.asarray(estimator.classes_)
        if set(names.tolist()) - set(labels.tolist()):
            return None
        source = predict_domain(estimator, domains[0], "X", "source")
        target = predict_domain(estimator, domains[1], name, domain, n_targets)
        return names, class_numbers(labels, names, source), source, target
    with naming("y", LABELS):
        check_classification_targets(labels)
        names, codes = np.unique(labels, return_inverse=True)
    if estimator is None or is_fitted:
        estimator, domains = default_classifier(), encode(*tables)
    elif not predicts:
        raise TypeError(
            f"estimator: {type(estimator).__name__} is not fitted and is no classifier with "
            "predict_proba; fit it first, or give a classifier or None."
        )
    if len(names) < 2:
        return None
    found = cross_fitted(estimator, domains[0], codes, domains[1], rng)
    return None if found is None else (names, codes, *found)
