"""Rows of a domain that is named: features, predictions and scores."""

import numpy as np
import pytest
import sklearn
from devices import on_cpu
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from skda import make_domain_pipeline, stack_domains
from skda.adaptation import (
    AdaBNClassifier,
    ADDAClassifier,
    CoGANClassifier,
    DANNClassifier,
    DeepCORALClassifier,
    RTNClassifier,
)
from skda.fine_tuning import FineTuneClassifier

METHODS = [
    "predict",
    "predict_proba",
    "predict_log_proba",
    "decision_function",
    "transform",
]


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.fixture(scope="module")
def fitted(few):
    clf = DANNClassifier(max_epochs=5, random_state=0)
    return clf.fit(few["X"], few["y"], X_target=few["X_target"])


@pytest.fixture(scope="module")
def of_two(few):
    """With two target domains."""
    clf = DeepCORALClassifier(max_epochs=3, random_state=0)
    return clf.fit(few["X"], few["y"], X_target=(few["X_target"], few["X_target"][:80] + 1))


@pytest.mark.parametrize("method", METHODS)
def test_rows_of_the_source_are_those_under_its_statistics(method, fitted, few):
    of_source = getattr(fitted, method)(few["X"], domain="source")
    with fitted.net_.source_statistics():
        np.testing.assert_array_equal(of_source, getattr(fitted, method)(few["X"]))
    if method != "predict":
        assert np.abs(of_source - getattr(fitted, method)(few["X"])).max() > 1e-3


@pytest.mark.parametrize("method", METHODS)
def test_rows_are_of_the_target_unless_something_else_is_said(method, fitted, few):
    call = getattr(fitted, method)
    for domain in ("target", 0):
        np.testing.assert_array_equal(call(few["X"], domain=domain), call(few["X"]))


@pytest.mark.parametrize("method", METHODS)
def test_a_number_is_that_of_one_of_several_targets(method, of_two, few):
    call = getattr(of_two, method)
    first, second, mixture = (call(few["X"], domain=domain) for domain in (0, 1, "target"))
    assert np.abs(np.subtract(first, second)).max() > 0
    assert np.abs(np.subtract(first, mixture)).max() > 0
    features = on_cpu(of_two.activations_of(few["X"], domain=1)["features"]).numpy()
    np.testing.assert_array_equal(of_two.transform(few["X"], domain=1), features)


@pytest.mark.parametrize("domain", ["both", None, True, 1, -1, 0.5, np.array([1])])
@pytest.mark.parametrize("method", METHODS)
def test_an_unknown_domain_is_an_error(method, domain, fitted, few):
    message = r'domain must be "source" or "target", or the number of a target domain, below 1'
    with pytest.raises(ValueError, match=message):
        getattr(fitted, method)(few["X"], domain=domain)
    with pytest.raises(ValueError, match=message):
        fitted.score(few["X"], few["y"], domain=domain)


@pytest.mark.filterwarnings("ignore::skda.exceptions.NoTargetWarning")
def test_without_a_target_all_domains_are_one(few):
    clf = DANNClassifier(max_epochs=1, random_state=0).fit(few["X"], few["y"])
    features = clf.transform(few["X"])
    np.testing.assert_array_equal(clf.transform(few["X"], domain="source"), features)
    with pytest.raises(ValueError, match='"source" or "target"; got 0'):
        clf.predict(few["X"], domain=0)


@pytest.mark.parametrize("cls", [DANNClassifier, ADDAClassifier, AdaBNClassifier, CoGANClassifier])
def test_rows_of_the_source_are_told_apart_best_as_such(cls, digits):
    clf = cls(max_epochs=5, random_state=0).fit(digits.X, digits.y, X_target=digits.X_target)
    as_source = clf.score(digits.X, digits.y, domain="source")
    assert as_source > clf.score(digits.X, digits.y) and as_source > 0.9
    assert clf.score(digits.X, digits.y, domain="target") == clf.score(digits.X, digits.y)


def test_rows_of_the_source_have_the_classifier_of_the_source(few):
    """That of RTN is the target's and a residual."""
    clf = RTNClassifier(max_epochs=2, random_state=0)
    clf.fit(few["X"], few["y"], X_target=few["X_target"])
    logits = clf.activations_of(few["X"], ("logits",), "source")["logits"]
    residual = clf.net_.module_.source_residual(logits).detach()
    expected = (logits + residual).numpy()
    np.testing.assert_allclose(
        clf.decision_function(few["X"], domain="source"), expected, rtol=1e-5
    )
    assert residual.abs().max() > 1e-3


# -- fit_transform ----------------------------------------------------------------------------


def test_fit_transform_gives_source_rows(few):
    features = DANNClassifier(max_epochs=2, random_state=0).fit_transform(
        few["X"], few["y"], X_target=few["X_target"]
    )
    clf = DANNClassifier(max_epochs=2, random_state=0)
    clf.fit(few["X"], few["y"], X_target=few["X_target"])
    np.testing.assert_array_equal(features, clf.transform(few["X"], domain="source"))
    assert np.abs(features - clf.transform(few["X"])).max() > 0.1


def test_fit_transform_of_stacked_rows_gives_each_its_own_domain(few):
    targets = few["X_target"][:90], few["X_target"][90:]
    X, y, sample_domain = stack_domains(few["X"], few["y"], targets)
    order = np.random.RandomState(0).permutation(len(X))
    clf = DANNClassifier(max_epochs=1, random_state=0)
    features = clf.fit_transform(X[order], y[order], sample_domain=sample_domain[order])
    for mark, domain in ((1, "source"), (-1, 0), (-2, 1)):
        chosen = sample_domain[order] == mark
        expected = clf.transform(X[order][chosen], domain=domain)
        np.testing.assert_array_equal(features[chosen], expected)


def test_features_become_data_frames(few):
    clf = DANNClassifier(max_epochs=1, random_state=0).set_output(transform="pandas")
    frame = clf.fit_transform(few["X"], few["y"], X_target=few["X_target"])
    assert list(frame.columns) == list(clf.get_feature_names_out())
    assert list(clf.transform(few["X"], domain="source").columns) == list(frame.columns)


# -- pipelines and searches -------------------------------------------------------------------


def test_the_next_step_of_a_pipeline_learns_from_source_rows_as_such(routing, few):
    X, y, X_target = few["X"], few["y"], few["X_target"]
    deep = DANNClassifier(max_epochs=3, random_state=0)
    pipe = make_domain_pipeline(StandardScaler(), deep, LogisticRegression())
    pipe.fit(X, y, X_target=(X_target,))
    scaler, clf = pipe[0], pipe[1]
    with clf.net_.source_statistics():
        features = clf.transform(scaler.transform(X))
    by_hand = LogisticRegression().fit(features, y)
    np.testing.assert_array_equal(
        pipe.predict(X_target), by_hand.predict(clf.transform(scaler.transform(X_target)))
    )
    np.testing.assert_array_equal(pipe.predict(X, domain="source"), by_hand.predict(features))
    assert pipe.score(X, y, domain="source") == by_hand.score(features, y)


def test_a_pipeline_without_routing_learns_in_the_same_way(routing, few):
    steps = DANNClassifier(max_epochs=2, random_state=0), LinearSVC(C=0.01)
    routed = make_domain_pipeline(*steps).fit(few["X"], few["y"], X_target=(few["X_target"],))
    expected = routed.predict(few["X_target"])
    with sklearn.config_context(enable_metadata_routing=False):
        plain = sklearn.pipeline.make_pipeline(*steps)
        plain.fit(few["X"], few["y"], dannclassifier__X_target=few["X_target"])
        np.testing.assert_array_equal(plain.predict(few["X_target"]), expected)


def test_a_pipeline_that_ends_in_an_adapted_network_names_domains(routing, few):
    pipe = make_domain_pipeline(StandardScaler(), DANNClassifier(max_epochs=2, random_state=0))
    pipe.fit(few["X"], few["y"], X_target=(few["X_target"],))
    X = pipe[0].transform(few["X"])
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        expected = getattr(pipe[1], method)(X, domain="source")
        np.testing.assert_array_equal(getattr(pipe, method)(few["X"], domain="source"), expected)


def test_a_search_judges_held_out_rows_of_the_source_as_such(routing, few):
    X, y, X_target = few["X"], few["y"], few["X_target"]
    clf, cv = DANNClassifier(max_epochs=2, random_state=0), KFold(2)
    search = GridSearchCV(clf, {"lr": [1e-3]}, cv=cv, refit=False)
    search.fit(X, y, X_target=(X_target,), domain="source")
    scores = cross_val_score(clf, X, y, cv=cv, params={"X_target": (X_target,), "domain": "source"})
    assert search.best_score_ == scores.mean()
    for score, (train, test) in zip(scores, cv.split(X), strict=True):
        clf.fit(X[train], y[train], X_target=X_target)
        assert score == clf.score(X[test], y[test], domain="source")


def test_fine_tuning_knows_of_no_domains(few):
    clf = FineTuneClassifier(max_epochs=1, random_state=0).fit(few["X"], few["y"])
    with pytest.raises(TypeError, match="domain"):
        clf.predict(few["X"], domain="source")
    with sklearn.config_context(enable_metadata_routing=True):
        assert not clf.get_metadata_routing().consumes("predict", {"domain"})
