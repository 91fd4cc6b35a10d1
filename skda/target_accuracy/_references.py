"""Simple classifiers of the held-out source rows, which judge a classifier by how it agrees."""

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.utils import check_random_state

from skda._checks import check_lengths, check_table
from skda.target_accuracy._agreement import other_codes
from skda.target_accuracy._inputs import Predictions, check_predictions
from skda.target_accuracy._neighborhood import Neighborhood
from skda.target_accuracy._transport import transported_confidence

# Rows of more columns become this many principal components: a forest and a covariance of
# thousands of pixels would take longer than the network that is judged.
_MOST_COLUMNS, _N_COMPONENTS = 256, 64
# Added to the covariances of standardized columns, against directions without variance.
_RIDGE = 0.3
_N_FOLDS = 3
_N_TREES = 50
# Smoothness that makes a judge count e times as much, where labels of the source are all smooth:
# from 0.03 to 0.05 the mean error of the study's tuning half was the same within 0.1 points.
_SHARPNESS = 0.04
# Neighbours are looked for in that many dimensions.
_SMOOTH_COLUMNS = 32


def reference_accuracy(
    target_probabilities: Any,
    source_probabilities: Any,
    source_labels: Any,
    *,
    target_rows: Any,
    source_rows: Any,
    other_probabilities: Any = (),
    sample_weight: Any = None,
    random_state: Any = None,
) -> float:
    r"""Accuracy on the target by agreement with simple classifiers, and else by transport.

    What a classifier says of itself is worth little once it has been adapted: its losses make it
    sure. Others must judge it. Six classifiers are fitted to the held-out source rows, a logistic
    regression and a forest each to the rows as they are, with the columns of each domain
    standardized by its own statistics, and with the source's covariance made that of the target
    (CORAL). Some of these judges suit a target and others do not, which smoothness shows: how
    often neighbours among the target rows are given one class, beyond chance. A judge with
    smoothness s has the weight :math:`\exp(s \, s_S / 0.04)`, where :math:`s_S` is the smoothness
    of the true labels among the source rows: where these are not smooth, all count alike. Then
    the labels of each of the six spread among neighbouring target rows, as far as those of the
    source are smooth: that mends errors which the classifier, having seen the target, does not
    make.

    With the shares of target rows on which the judges agree with the classifier, the estimate is
    :math:`w m + (1 - w) c`. Here m is their weighted median if the smoothest judge is as smooth as
    the labels of the source; the less it is, the more of all judges' errors are the same ones, and
    the lower the quantile: :math:`\min(1, \max s / s_S) / 2`. c is
    :func:`confidence_optimal_transport`, and w says how much of the classifier's knowledge of the
    source the six have: :math:`w = (a_r - 1/K) / (a - 1/K)`, at most 1, with the
    mean of their cross-validated accuracies :math:`a_r` and the classifier's own, a.

    **Assumes** that the classifier and its judges err in different rows: as often as they agree in
    an error, a judge errs where the classifier does not. **Fails** where the classifier is
    much better on the target than the simple ones (too low: an adaptation that works is
    taken for one that has gone astray), and where all are wrong in the same way (too high).

    Parameters
    ----------
    target_probabilities : array-like of shape (n_target_samples, n_classes)
        Predictions for the target rows.

    source_probabilities : array-like of shape (n_samples, n_classes)
        Predictions for source rows that the classifier has not been trained on.

    source_labels : array-like of shape (n_samples,)
        Their classes, as numbers of columns.

    target_rows : array-like of shape (n_target_samples, n_features)
        The rows themselves, or features that the classifier has not learned.

    source_rows : array-like of shape (n_samples, n_features)
        Those of the source.

    other_probabilities : array-like of shape (n_target_samples, n_classes) or tuple, default=()
        Predictions of other models for the target rows, which then are judges, too. The best ones
        are networks that have been trained in the same way, without a target.

    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the source rows, such as ratios of class shares.

    random_state : int, RandomState instance or None, default=None
        Of the forests and folds.

    Returns
    -------
    accuracy : float
        From 0 to 1. Of a source with a class of one row it is that of the transport.

    Raises
    ------
    TypeError, ValueError
        If arguments are not as described.

    References
    ----------
    The package's own; chosen among combinations on one half of the tasks of
    ``benchmarks/bench_target_accuracy.py``. Agreement as accuracy: Y. Jiang et al., ICLR 2022;
    CORAL: B. Sun, J. Feng, K. Saenko, AAAI 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.svm import SVC
    >>> from skda.target_accuracy import reference_accuracy
    >>> X, y = load_digits(return_X_y=True)
    >>> svm = SVC().fit(X[:600], y[:600])
    >>> scores = np.exp(svm.decision_function(X))
    >>> proba = scores / scores.sum(axis=1, keepdims=True)
    >>> estimate = reference_accuracy(
    ...     proba[1200:], proba[600:1200], y[600:1200], target_rows=X[1200:],
    ...     source_rows=X[600:1200], random_state=0,
    ... )
    >>> bool(abs(estimate - svm.score(X[1200:], y[1200:])) < 0.05)
    True
    """
    predictions = check_predictions(
        target_probabilities, source_probabilities, source_labels, sample_weight
    )
    tables = {}
    for name, rows, others in (
        ("source_rows", source_rows, predictions.source),
        ("target_rows", target_rows, predictions.target),
    ):
        tables[name] = check_table(rows, name)
        check_lengths(name.replace("rows", "probabilities"), others, name, tables[name])
    others = other_codes(predictions.target, other_probabilities)
    predictions = replace(predictions, others=others)
    return agreed_or_transported(with_references(predictions, **tables, random_state=random_state))


@dataclass(frozen=True)
class Judged:
    """What is known of the accuracy of a classifier on the target by its judges.

    Parameters
    ----------
    agreements : ndarray of bool of shape (n_judges, n_target_samples)
        Where each judge predicts as the classifier does.

    judge_weights : ndarray of shape (n_judges,)
        How much each of them counts.

    trust : float
        From 0 to 1, of the best of them.

    weight : float
        Part of the agreement in the estimate.

    transported : float
        Of the rest.
    """

    agreements: np.ndarray
    judge_weights: np.ndarray
    trust: float
    weight: float
    transported: float

    def accuracy(self, rows: Any = slice(None)) -> float:
        """Return the estimate, with the agreement in some of the target rows."""
        if self.weight == 0:
            return self.transported
        shares = self.agreements[:, rows].mean(axis=1)
        order = np.argsort(shares)
        weights = self.judge_weights[order]
        # A weighted quantile: the median of judges to be trusted, and less of others.
        places = (np.cumsum(weights) - weights / 2) / weights.sum()
        agreed = float(np.interp(self.trust / 2, places, shares[order]))
        return self.weight * agreed + (1 - self.weight) * self.transported


def agreed_or_transported(predictions: Predictions) -> float:
    """Return what :func:`reference_accuracy` does, of predictions that hold references."""
    return judged(predictions).accuracy()


def judged(predictions: Predictions) -> Judged:
    """Return what the estimate is made of, of predictions that hold references."""
    weight = reference_weight(predictions)
    predicted = predictions.target.argmax(axis=1)
    judges = (*predictions.references, *predictions.others)
    return Judged(
        np.array([codes == predicted for codes in judges]),
        predictions.judge_weights,
        predictions.trust,
        weight,
        transported_confidence(predictions) if weight < 1 else 0.0,
    )


def reference_weight(predictions: Predictions) -> float:
    """Return the part of a classifier's knowledge of the source that the references have."""
    if not predictions.references:
        return 0.0
    known = predictions.source_accuracy - predictions.chance
    of_references = predictions.reference_accuracy - predictions.chance
    if known <= 0:  # a classifier that knows nothing: any reference is a judge
        return 1.0
    return float(np.clip(of_references / known, 0, 1))


def with_references(
    predictions: Predictions, source_rows: Any, target_rows: Any, random_state: Any
) -> Predictions:
    """Return predictions beside those of six simple classifiers of the held-out source rows.

    Parameters
    ----------
    predictions : Predictions
        Of the classifier in question.

    source_rows, target_rows : ndarrays or sparse matrices of shape (n_samples, n_features)
        The rows.

    random_state : int, RandomState instance or None
        Of the forests and folds.

    Returns
    -------
    predictions : Predictions
        As they were if a class has one row alone, or all columns are constant.
    """
    codes, weights = predictions.codes, predictions.weights
    counts = np.bincount(codes)
    n_folds = min(_N_FOLDS, counts[counts > 0].min())
    n_known = np.count_nonzero(np.bincount(codes, weights))
    if n_folds < 2 or n_known < 2:
        return predictions
    source, target = without_gaps(source_rows, target_rows)
    source, target = _few_columns(source, target, random_state)
    both = np.vstack([source, target])
    if not (both.std(axis=0) > 0).any():
        return predictions
    as_is = _standardized(source, both), _standardized(target, both)
    own = _standardized(source, source), _standardized(target, target)
    views = as_is, own, (_recolored(*own), own[1])
    pairs = [(model, view) for view in views for model in (_logistic(), _forest(random_state))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        references = tuple(
            model.fit(rows, codes, sample_weight=weights).predict(others)
            for model, (rows, others) in pairs
        )
        # Source rows are all alike but for the columns' scale, so that two of the six will do.
        rights = []
        folds = StratifiedKFold(n_folds, shuffle=True, random_state=random_state)
        for train, test in folds.split(as_is[0], codes):
            for model in (_logistic(), _forest(random_state)):
                predicted = model.fit(as_is[0][train], codes[train]).predict(as_is[0][test])
                rights.append(np.average(predicted == codes[test]))
    near = _neighborhoods(own, random_state)
    of_source = near[0].smoothness(codes)
    judge_weights, trust = _weighed((*references, *predictions.others), of_source, near[1])
    return replace(
        predictions,
        references=tuple(near[1].spread(labels, of_source) for labels in references),
        reference_accuracy=float(np.mean(rights)),
        judge_weights=judge_weights,
        trust=trust,
    )


def _neighborhoods(rows, random_state):
    """Return rows of both domains as points of few dimensions."""
    rng = check_random_state(random_state)
    source, target = rows
    source, target = _few_columns(source, target, random_state, _SMOOTH_COLUMNS, _SMOOTH_COLUMNS)
    near = Neighborhood(source, rng)
    return near, Neighborhood(target, rng, near.usual)


def _weighed(judges, of_source, target):
    """Return how much each judge counts, and how well the best of them fits the target."""
    found = np.array([target.smoothness(judge) for judge in judges])
    if of_source <= 0:  # neighbours know nothing of the classes
        return np.ones(len(judges)), 1.0
    weights = np.exp((found - found.max()) * of_source / _SHARPNESS)
    return weights, float(np.clip(found.max() / of_source, 0, 1))


def as_rows(rows: Any) -> Any:
    """Return rows as a table of numbers, dense or sparse, or None if they are something else.

    Gaps are numbers here: NaN in dense tables.
    """
    if sparse.issparse(rows):
        return rows.tocsr().astype(np.float64)
    try:
        table = np.asarray(rows, dtype=np.float64)
    except (TypeError, ValueError):  # text, paths, ragged rows
        return None
    if table.ndim < 2 or not table.size or np.isinf(table).any():
        return None
    return table.reshape(len(table), -1)


def without_gaps(source: Any, target: Any) -> tuple[Any, Any]:
    """Return rows of both domains with the medians of their columns in place of NaN.

    Parameters
    ----------
    source, target : ndarrays or sparse matrices of shape (n_samples, n_features)
        The rows.

    Returns
    -------
    source, target : the same, or tables without NaN
        Of a column that is empty in both, 0; in sparse tables of more than 256 columns 0 for all.
    """
    tables = source, target
    if not any(np.isnan(_numbers_in(table)).any() for table in tables):
        return tables
    if any(sparse.issparse(table) and table.shape[1] > _MOST_COLUMNS for table in tables):
        source, target = (sparse.csr_matrix(table, copy=True) for table in tables)
        for table in (source, target):
            table.data = np.nan_to_num(table.data)
        return source, target
    dense = [table.toarray() if sparse.issparse(table) else table for table in tables]
    imputer = SimpleImputer(strategy="median", keep_empty_features=True)
    imputer.fit(np.concatenate(dense))
    return imputer.transform(dense[0]), imputer.transform(dense[1])


def _numbers_in(table):
    return table.data if sparse.issparse(table) else table


def _logistic():
    return LogisticRegression(C=0.1, max_iter=300)


def _forest(random_state):
    return RandomForestClassifier(_N_TREES, min_samples_leaf=2, random_state=random_state)


def _few_columns(
    source, target, random_state, most_columns=_MOST_COLUMNS, n_components=_N_COMPONENTS
):
    """Return the rows, or their principal components."""
    is_sparse = sparse.issparse(source) or sparse.issparse(target)
    if source.shape[1] <= most_columns:
        return [rows.toarray() if sparse.issparse(rows) else rows for rows in (source, target)]
    both: Any = (sparse.vstack if is_sparse else np.vstack)([source, target])
    n_components = min(n_components, both.shape[0])
    model: Any = PCA(n_components, svd_solver="randomized", random_state=random_state)
    if is_sparse:
        model = TruncatedSVD(n_components, random_state=random_state)
    model.fit(both)
    return [model.transform(source), model.transform(target)]


def _standardized(rows, of):
    scale = of.std(axis=0)
    return (rows - of.mean(axis=0)) / np.where(scale > 1e-9, scale, 1)


def _recolored(source, target):
    """Return source rows with the covariance of the target."""
    whitened = source @ _power(source, -0.5)
    return whitened @ _power(target, 0.5)


def _power(rows, exponent):
    """Return a power of the covariance of rows, of which one alone has none."""
    covariance = _RIDGE * np.eye(rows.shape[1])
    if len(rows) > 1:
        covariance += np.cov(rows, rowvar=False)
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.maximum(values, 1e-12) ** exponent) @ vectors.T
