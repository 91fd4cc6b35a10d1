"""Accuracy of fitted classifiers on targets, with intervals."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import balanced_accuracy_score, f1_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from skda.adaptation import AdaBNClassifier
from skda.metrics import disagreement_bound, estimate_target_accuracy
from skda.target_accuracy import reference_accuracy, target_reliability
from skda.target_accuracy._inputs import Predictions
from skda.target_accuracy._methods import METHODS
from skda.target_accuracy._neighborhood import Neighborhood
from skda.target_accuracy._references import (
    _weighed,
    agreed_or_transported,
    with_references,
    without_gaps,
)

X, Y = load_digits(return_X_y=True)
X = X / 16
HELD_OUT, TARGET = slice(600, 1200), slice(1200, None)
# Without the forests, whose 1.2 s would be in every test.
FAST = {"method": "cot", "n_bootstraps": 3, "random_state": 0}


@pytest.fixture(scope="module")
def clf():
    return LogisticRegression(max_iter=500).fit(X[:600], Y[:600])


@pytest.fixture(scope="module")
def data():
    """Held-out rows, their labels and noisy target rows."""
    noise = np.random.default_rng(0).normal(scale=0.3, size=X[TARGET].shape)
    return X[HELD_OUT], Y[HELD_OUT], X[TARGET] + noise


class Constant(ClassifierMixin, BaseEstimator):
    """Is sure of the first class."""

    classes_ = np.arange(10)

    def __sklearn_is_fitted__(self):
        return True

    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        return np.where(np.arange(10) == 0, 0.991, 0.001) * np.ones((len(X), 1))


def test_recommended_estimate_and_its_interval(clf, data):
    result = estimate_target_accuracy(clf, *data, random_state=0)
    truth = clf.score(data[2], Y[TARGET])
    assert result.method == "combined"
    assert result.estimate == pytest.approx(truth, abs=0.08)
    assert 0 <= result.lower < truth < result.upper <= 1
    assert result.source_score == clf.score(*data[:2])
    assert result.reference_weight > 0.9
    assert result.accuracy == result.estimate


@pytest.mark.parametrize("method", [name for name in METHODS if name != "gde"])
def test_a_constant_classifier_is_not_trusted(data, method):
    """Its source says what it is worth, whatever it says itself."""
    result = estimate_target_accuracy(
        Constant(), *data, method=method, n_bootstraps=None, random_state=0
    )
    assert result.source_score < 0.12
    assert result.estimate < 0.25


def test_random_state_decides_all_that_is_drawn(clf, data):
    first, again, other = (
        estimate_target_accuracy(clf, *data, n_bootstraps=5, random_state=seed)
        for seed in (0, 0, 1)
    )
    assert (first.estimate, first.noise) == (again.estimate, again.noise)
    assert first.noise != other.noise


def test_less_rows_are_noisier(clf, data):
    few, many = (
        estimate_target_accuracy(clf, *data[:2], data[2][:n_rows], method="doc", random_state=0)
        for n_rows in (10, 500)
    )
    assert few.noise > 2 * many.noise
    assert few.upper - few.lower > many.upper - many.lower


def test_no_bootstraps_leave_the_own_error(clf, data):
    result = estimate_target_accuracy(clf, *data, **{**FAST, "n_bootstraps": None})
    assert result.noise == 0
    assert result.upper == pytest.approx(min(1, result.estimate + result.own_error))


@pytest.mark.parametrize("method", METHODS)
def test_a_higher_level_has_a_wider_interval(clf, data, method):
    others = [LogisticRegression(C=0.01).fit(X[:600], Y[:600])]
    narrow, wide = (
        estimate_target_accuracy(
            clf, *data, method=method, level=level, others=others, n_bootstraps=None
        ).own_error
        for level in (0.5, 0.95)
    )
    assert narrow < wide


def test_several_targets_have_an_estimate_each(clf, data):
    clean = X[TARGET]
    both = estimate_target_accuracy(clf, *data[:2], (data[2], clean), **FAST)
    assert both.estimate.shape == both.lower.shape == both.upper.shape == (2,)
    alone = estimate_target_accuracy(clf, *data, **FAST)
    assert both.estimate[0] == alone.estimate < both.estimate[1]
    assert both.predicted_shares.shape == (2, 10)


def test_labels_may_be_text(data):
    names = np.array([f"digit {number}" for number in Y])
    clf = LogisticRegression(max_iter=500).fit(X[:600], names[:600])
    result = estimate_target_accuracy(clf, data[0], names[HELD_OUT], data[2], **FAST)
    assert 0.5 < result.estimate < 1


@pytest.mark.parametrize(
    "model",
    [
        make_pipeline(PCA(30, random_state=0), LogisticRegression()),
        GridSearchCV(LogisticRegression(), {"C": [0.1, 1]}, cv=2),
        LinearSVC(),
    ],
    ids=["pipeline", "search", "decision_function"],
)
def test_any_classifier_will_do(data, model):
    model.fit(X[:600], Y[:600])
    result = estimate_target_accuracy(model, *data, **FAST)
    assert result.estimate == pytest.approx(model.score(data[2], Y[TARGET]), abs=0.25)


def test_source_rows_are_predicted_as_such(data):
    """Under the statistics of the target, the source would be predicted worse."""
    shifted = 2 * X[TARGET] + 3
    model = AdaBNClassifier(max_epochs=10, random_state=0).fit(X[:600], Y[:600], X_target=shifted)
    result = estimate_target_accuracy(model, *data[:2], shifted, **FAST)
    assert result.source_score == model.score(*data[:2], domain="source")
    assert result.source_score > model.score(*data[:2]) + 0.1


def test_two_classes_and_ten_rows():
    chosen = np.flatnonzero(Y < 2)
    A, b = X[chosen], Y[chosen]
    clf = LogisticRegression().fit(A[:100], b[:100])
    result = estimate_target_accuracy(clf, A[100:130], b[100:130], A[130:140], random_state=0)
    assert result.estimate > 0.9


@pytest.mark.parametrize("method", [name for name in METHODS if name != "gde"])
def test_one_target_row_has_an_estimate(clf, data, method):
    result = estimate_target_accuracy(
        clf, *data[:2], data[2][:1], method=method, n_bootstraps=None, random_state=0
    )
    assert 0 <= result.lower <= result.estimate <= result.upper <= 1


def test_other_models_are_further_judges(clf, data):
    """Three that always disagree are the median of seven with the lowest of the four."""
    args = clf, *data
    alone = estimate_target_accuracy(*args, n_bootstraps=None, random_state=0)
    judged = estimate_target_accuracy(
        *args, others=[Constant()] * 3, n_bootstraps=None, random_state=0
    )
    assert judged.estimate < alone.estimate


def test_classes_missing_in_the_target(clf):
    """Equal shares would cost the transport more than half; the estimated ones do not."""
    few = X[TARGET][Y[TARGET] < 4]
    plain, weighted = (
        estimate_target_accuracy(clf, X[HELD_OUT], Y[HELD_OUT], few, class_shares=shares, **FAST)
        for shares in (None, "estimate")
    )
    assert plain.estimate < 0.6 < 0.85 < weighted.estimate
    assert weighted.class_shares[4:].max() < 0.03
    shares = np.bincount(Y[TARGET][Y[TARGET] < 4], minlength=10) / len(few)
    given = estimate_target_accuracy(
        clf, X[HELD_OUT], Y[HELD_OUT], few, class_shares=shares, **FAST
    )
    assert given.estimate > 0.85


def test_agreement_asks_for_others(clf, data):
    others = [LogisticRegression(C=0.001).fit(X[:600], Y[:600]), clf]
    result = estimate_target_accuracy(
        clf, *data, method="gde", others=others, n_bootstraps=3, random_state=0
    )
    agreed = np.mean(others[0].predict(data[2]) == clf.predict(data[2]))
    assert result.estimate == pytest.approx((1 + agreed) / 2)
    with pytest.raises(ValueError, match="others"):
        estimate_target_accuracy(clf, *data, method="gde")


@pytest.mark.parametrize(
    ("metric", "score"),
    [
        ("balanced_accuracy", balanced_accuracy_score),
        ("f1_macro", lambda true, predicted: f1_score(true, predicted, average="macro")),
    ],
)
def test_other_metrics_come_from_the_table_of_classes(clf, data, metric, score):
    """Eight of ten target rows are of one class, which is predicted best."""
    rng = np.random.default_rng(0)
    rows = np.concatenate([np.flatnonzero(Y[TARGET] == 0)] * 8 + [np.arange(len(Y[TARGET]))])
    target = X[TARGET][rows] + rng.normal(scale=0.4, size=(len(rows), 64))
    result = estimate_target_accuracy(
        clf, *data[:2], target, **{**FAST, "method": "atc"}, metric=metric
    )
    true = Y[TARGET][rows]
    assert result.metric == metric
    assert result.source_score == score(data[1], clf.predict(data[0]))
    # The accuracy itself is off by some points, and so is what goes with it.
    off = result.accuracy - clf.score(target, true)
    assert result.estimate - off == pytest.approx(score(true, clf.predict(target)), abs=0.07)


def test_rows_that_are_no_numbers_go_through_the_pipeline():
    texts = np.array(["good fine film", "good play", "bad dull film", "bad slow play"] * 20)
    labels = np.array(["+", "+", "-", "-"] * 20)
    model = make_pipeline(CountVectorizer(), LogisticRegression()).fit(texts, labels)
    result = estimate_target_accuracy(model, texts, labels, texts[:30], random_state=0)
    assert result.reference_weight == 1
    assert result.estimate == 1


def test_results_print_as_short_tables(clf, data):
    result = estimate_target_accuracy(clf, *data, **FAST)
    lines = repr(result).splitlines()
    assert lines[0].split() == ["estimate", f"{result.estimate:.3f}"]
    assert f"{result.predicted_shares[0]:.3f}, " in repr(result) and "..." in repr(result)
    assert "None" not in repr(result) and str(result) == repr(result)
    several = estimate_target_accuracy(clf, *data[:2], (data[2], data[2][::2]), **FAST)
    assert repr(several).splitlines()[0].split()[1:] == [
        f"{several.estimate[0]:.3f},",
        f"{several.estimate[1]:.3f}",
    ]
    bound = disagreement_bound(clf, *data, random_state=0)
    assert repr(bound).splitlines()[0].split() == ["lower_bound", f"{bound.lower_bound:.3f}"]
    reliability = target_reliability(clf.predict_proba(data[2]), 0.6)
    assert "calibration_error  " in repr(reliability)


def test_a_class_of_one_row_leaves_the_transport(clf, data):
    rows = np.r_[np.flatnonzero(data[1] != 3), np.flatnonzero(data[1] == 3)[:1]]
    args = clf, data[0][rows], data[1][rows], data[2]
    result = estimate_target_accuracy(*args, random_state=0, n_bootstraps=None)
    assert result.reference_weight == 0
    assert result.estimate == estimate_target_accuracy(*args, method="cot").estimate


def test_gaps_are_filled_for_the_judges_of_a_classifier_that_takes_them(data):
    gaps = np.random.default_rng(1).uniform(size=X.shape) < 0.1
    rows = np.where(gaps, np.nan, X)
    clf = HistGradientBoostingClassifier(max_iter=20, random_state=0).fit(rows[:600], Y[:600])
    result = estimate_target_accuracy(
        clf, rows[HELD_OUT], Y[HELD_OUT], rows[TARGET], random_state=0, n_bootstraps=None
    )
    assert result.reference_weight > 0.8
    assert result.estimate == pytest.approx(clf.score(rows[TARGET], Y[TARGET]), abs=0.12)


def test_a_gap_is_the_median_of_both_domains_or_nothing():
    source, target = np.array([[1.0, np.nan], [2, np.nan]]), np.array([[6.0, np.nan], [np.nan] * 2])
    filled = without_gaps(source, target)
    np.testing.assert_array_equal(filled[0], [[1, 0], [2, 0]])
    np.testing.assert_array_equal(filled[1], [[6, 0], [2, 0]])
    whole = np.eye(2), np.eye(2)
    assert all(a is b for a, b in zip(without_gaps(*whole), whole, strict=True))


def test_rows_of_many_columns_become_components(clf, data):
    proba = clf.predict_proba(data[2]), clf.predict_proba(data[0])
    wide = [np.repeat(rows, 5, axis=1) for rows in (data[2], data[0])]
    estimate = reference_accuracy(
        *proba, data[1], target_rows=wide[0], source_rows=wide[1], random_state=0
    )
    assert estimate == pytest.approx(clf.score(data[2], Y[TARGET]), abs=0.12)


def test_judges_count_as_neighbours_in_the_target_say(rng):
    """Shares of the classes have changed: standardization by domain parts rows of one class."""
    codes, true = np.repeat([0, 1], [100, 100]), np.repeat([0, 1], [360, 40])
    rows, target_rows = (rng.normal(size=(len(y), 2)) + 5 * y[:, None] for y in (codes, true))
    source, target = (np.where(np.eye(2)[y] == 1, 0.9, 0.1) for y in (codes, true))
    judged = with_references(Predictions(target, source, codes, np.ones(200)), rows, target_rows, 0)
    right = np.array([np.mean(judge == true) for judge in judged.references])
    assert right.min() < 0.8 < 0.97 < right.max()
    assert (
        judged.judge_weights[right > 0.97].mean() > 1.2 * judged.judge_weights[right < 0.9].mean()
    )
    assert agreed_or_transported(judged) > 0.97


def test_trust_is_smoothness_beside_that_of_the_source(rng):
    true = np.repeat([0, 1, 2], 60)
    rows = rng.normal(size=(180, 2)) + 6 * np.array([[0, 0], [1, 0], [0, 1]])[true]
    mixed, half = rng.permutation(true), np.where(np.arange(180) % 2, true, rng.permutation(true))
    near = Neighborhood(rows, rng)
    weights, trust = _weighed((true, mixed), near.smoothness(true), near)
    assert trust == 1
    np.testing.assert_allclose(weights, [1, 0], atol=1e-3)
    assert _weighed((half, mixed), near.smoothness(true), near)[1] < 0.4
    # Labels of the source that neighbours know little of leave all judges nearly alike.
    assert _weighed((true, mixed), near.smoothness(np.arange(180) % 3), near)[0].min() > 0.3


def test_the_less_judges_are_trusted_the_lower_the_quantile():
    target = np.eye(2)[np.zeros(10, int)]
    judges = tuple(np.arange(10) >= 10 - wrong for wrong in (1, 3, 5))
    judged = Predictions(target, target, np.zeros(10, int), np.ones(10), judges)
    judged = replace(judged, references=tuple(j.astype(int) for j in judges), others=())
    judged = replace(judged, reference_accuracy=1.0, judge_weights=np.ones(3))
    assert agreed_or_transported(judged) == pytest.approx(0.7)
    assert agreed_or_transported(replace(judged, trust=0.4)) == pytest.approx(0.5 + 0.2 / 10)
    unequal = replace(judged, judge_weights=np.array([1e-6, 1e-6, 1.0]))
    assert agreed_or_transported(unequal) == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("estimator", [LinearRegression().fit(X[:20], Y[:20]), Constant, 3])
def test_no_classifier_is_refused(data, estimator):
    with pytest.raises(TypeError, match="estimator must be a fitted classifier"):
        estimate_target_accuracy(estimator, *data)


def test_unfitted_is_refused(data):
    with pytest.raises(NotFittedError):
        estimate_target_accuracy(LogisticRegression(), *data)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"method": "best"}, "method must be one of 'combined'"),
        ({"method": ["cot"]}, "method must be one of"),
        ({"metric": "roc_auc"}, "metric must be one of 'accuracy'"),
        ({"level": 1.0}, "level must be"),
        ({"level": "high"}, "level must be"),
        ({"n_bootstraps": 1}, "n_bootstraps must be"),
        ({"random_state": "a"}, "random_state must be"),
        ({"class_shares": "same"}, "class_shares must be None, 'estimate'"),
        ({"class_shares": [0.5, 0.5]}, "class_shares must be"),
        ({"method": "gde", "others": 3}, "others must be"),
    ],
)
def test_errors_name_the_parameter(clf, data, params, message):
    with pytest.raises((TypeError, ValueError), match=message):
        estimate_target_accuracy(clf, *data, **{**FAST, **params})


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (0, np.full((2, 64), np.nan), "X"),
        (1, Y[:3], "y"),
        (1, np.full(600, 11), "y holds"),
        (1, np.zeros(600, dtype=int), "y holds no row of class"),
        (2, None, "X_target is None"),
        (2, X[:0], "X_target has 0 rows"),
        (2, np.full((5, 64), np.nan), "X_target must be"),
        (2, X[:5, :3], "X_target must be"),
    ],
)
def test_data_that_does_not_fit_is_named(clf, data, place, value, message):
    args = list(data)
    args[place] = value
    with pytest.raises((TypeError, ValueError), match=message):
        estimate_target_accuracy(clf, *args, **FAST)
