"""Classifiers that differ in their random state alone, and their mean."""

import pickle

import numpy as np
import pytest
import sklearn
from kinds import shorter
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from skda import make_domain_pipeline
from skda.adaptation import AdaBNClassifier, DANNClassifier, DeepCORALClassifier
from skda.exceptions import DivergenceError
from skda.model_selection import (
    DeepEnsembleClassifier,
    InformationMaximizationScorer,
    StackedSearchCV,
)


def ensemble_of(estimator=None, **params):
    estimator = DeepCORALClassifier(max_epochs=3) if estimator is None else estimator
    return DeepEnsembleClassifier(estimator, **{"n_estimators": 3, "random_state": 0, **params})


@pytest.fixture(scope="module")
def fitted(few):
    return ensemble_of().fit(few["X"], few["y"], X_target=few["X_target"])


@pytest.mark.filterwarnings("ignore::skda.exceptions.NoTargetWarning")
@parametrize_with_checks(
    [ensemble_of(DeepCORALClassifier(max_epochs=6), n_estimators=2)],
    expected_failed_checks=lambda ensemble: {
        f"check_sample_weight_equivalence_on_{kind}_data": "as in the network"
        for kind in ("dense", "sparse")
    },
)
def test_check_estimator(estimator, check):
    check(shorter(estimator, check))


def test_members_are_what_each_would_be_alone(fitted, few):
    states = [member.random_state for member in fitted.estimators_]
    assert len(set(states)) == 3
    for member in fitted.estimators_:
        alone = clone(member).fit(few["X"], few["y"], X_target=few["X_target"])
        np.testing.assert_allclose(
            alone.predict_proba(few["X_target"]), member.predict_proba(few["X_target"]), atol=1e-4
        )


@pytest.mark.parametrize("domain", ["target", "source"])
def test_probabilities_are_the_mean(domain, fitted, few):
    parts = [member.predict_proba(few["X"], domain=domain) for member in fitted.estimators_]
    mean = fitted.predict_proba(few["X"], domain=domain)
    np.testing.assert_allclose(mean, np.mean(parts, axis=0), rtol=1e-6)
    assert np.abs(parts[0] - parts[1]).max() > 0.01
    expected = fitted.classes_[mean.argmax(axis=1)]
    np.testing.assert_array_equal(fitted.predict(few["X"], domain=domain), expected)
    assert fitted.score(few["X"], expected, domain=domain) == 1


def test_a_random_state_gives_the_same_again(fitted, few):
    again = clone(fitted).fit(few["X"], few["y"], X_target=few["X_target"])
    expected = fitted.predict_proba(few["X_target"])
    np.testing.assert_array_equal(again.predict_proba(few["X_target"]), expected)
    restored = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(restored.predict_proba(few["X_target"]), expected)
    assert fitted.estimator.random_state is None


def test_their_mean_is_better_than_they_are(digits):
    ensemble = ensemble_of(DANNClassifier(max_epochs=8), n_estimators=3)
    ensemble.fit(digits.X, digits.y, X_target=digits.X_target)
    rows = digits.X_target, digits.y_target
    assert ensemble.score(*rows) > np.mean([m.score(*rows) for m in ensemble.estimators_]) + 0.01


def test_images_and_several_targets(few):
    X, target = few["X"].reshape(-1, 1, 8, 8), few["X_target"].reshape(-1, 1, 8, 8)
    ensemble = ensemble_of(AdaBNClassifier(max_epochs=1), n_estimators=2)
    ensemble.fit(X, few["y"], X_target=(target, target[:80]))
    assert ensemble.predict_proba(target, domain=1).shape == (150, 10)
    with pytest.raises(ValueError, match="domain"):
        ensemble.predict(target, domain=2)


def test_pipelines_and_searches_hand_the_target_on(few):
    with sklearn.config_context(enable_metadata_routing=True):
        inner = make_domain_pipeline(StandardScaler(), DeepCORALClassifier(max_epochs=1))
        ensemble = ensemble_of(inner, n_estimators=2)
        search = GridSearchCV(
            ensemble,
            {"estimator__deepcoralclassifier__trade_off": [1, 10]},
            scoring=InformationMaximizationScorer(),
            cv=2,
        )
        search.fit(few["X"], few["y"], X_target=(few["X_target"],))
    members = search.best_estimator_.estimators_
    assert len({member[-1].random_state for member in members}) == 2


def test_a_search_in_stacks_may_hold_ensembles(few):
    with sklearn.config_context(enable_metadata_routing=True):
        search = StackedSearchCV(
            ensemble_of(DeepCORALClassifier(max_epochs=1), n_estimators=2),
            {"estimator__trade_off": [1, 10]},
            scoring=InformationMaximizationScorer(),
            cv=2,
        ).fit(few["X"], few["y"], X_target=(few["X_target"],))
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_errors_say_what_to_do(few):
    with pytest.raises(ValueError, match="GaussianNB has no random_state"):
        ensemble_of(GaussianNB()).fit(few["X"], few["y"])
    with pytest.raises(ValueError, match="'n_estimators' parameter of DeepEnsembleClassifier"):
        ensemble_of(n_estimators=0).fit(few["X"], few["y"])
    with pytest.raises(DivergenceError):
        ensemble_of(DeepCORALClassifier(lr=1e30, max_epochs=3)).fit(
            few["X"], few["y"], X_target=few["X_target"]
        )
