"""Scorers in searches, alone and together, in pipelines and without routing."""

import numpy as np
import pytest
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    cross_validate,
)
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

import skda.model_selection
from skda import make_pipeline, stack_domains
from skda.adaptation import DeepCORALClassifier
from skda.exceptions import TargetLabelWarning
from skda.model_selection import (
    ImportanceWeightedScorer,
    MixValScorer,
    RankMeScorer,
    ReverseValidationScorer,
    StratifiedDomainShuffleSplit,
    TargetAccuracyScorer,
    TargetEntropyScorer,
)

SCORERS = {
    name: vars(skda.model_selection)[name]()
    for name in skda.model_selection.__all__
    if name.endswith("Scorer") and name != "TargetAccuracyScorer"
}


@pytest.fixture
def deep():
    return make_pipeline(StandardScaler(), DeepCORALClassifier(max_epochs=1, random_state=0))


@pytest.fixture
def plain():
    return make_pipeline(StandardScaler(), LogisticRegression())


@pytest.mark.parametrize("kind", ["deep", "plain"])
def test_all_scorers_together(request, routing, few, kind):
    """Equal to a call by hand with the target as it was given."""
    model, X, y, X_target = request.getfixturevalue(kind), few["X"], few["y"], few["X_target"]
    results = cross_validate(
        model,
        X,
        y,
        cv=2,
        scoring=SCORERS,
        params={"X_target": (X_target,)},
        return_estimator=True,
        return_indices=True,
        error_score="raise",
    )
    fitted, test = results["estimator"][1], results["indices"]["test"][1]
    for name, scorer in SCORERS.items():
        by_hand = scorer(fitted, X[test], y[test], X_target=X_target)
        assert results[f"test_{name}"][1] == by_hand, name


def test_multimetric_search(routing, few, deep):
    search = GridSearchCV(
        deep,
        {"deepcoralclassifier__trade_off": [0.0, 1.0]},
        scoring=SCORERS,
        refit="InformationMaximizationScorer",
        cv=2,
        error_score="raise",
    )
    search.fit(few["X"], few["y"], X_target=(few["X_target"],))
    for name in SCORERS:
        assert np.ptp(search.cv_results_[f"mean_test_{name}"]) > 0
    best = search.cv_results_["mean_test_InformationMaximizationScorer"].argmax()
    assert search.best_index_ == best


@pytest.mark.parametrize(
    "scorer",
    [TargetEntropyScorer(), ImportanceWeightedScorer(representation="features"), RankMeScorer()],
    ids=str,
)
@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (RandomizedSearchCV, {"n_iter": 2, "random_state": 0}),
        (HalvingGridSearchCV, {"min_resources": 100, "factor": 2, "random_state": 0}),
    ],
)
def test_other_searches(routing, few, deep, scorer, cls, options):
    grid = {"deepcoralclassifier__trade_off": [0.0, 1.0]}
    search = cls(deep, grid, scoring=scorer, cv=2, error_score="raise", **options)
    search.fit(few["X"], few["y"], X_target=(few["X_target"],))
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_classifier_without_probabilities(routing, few):
    scoring = {"mixed": MixValScorer(), "reverse": ReverseValidationScorer()}
    search = GridSearchCV(
        make_pipeline(StandardScaler(), LinearSVC(random_state=0)),
        {"linearsvc__C": [0.01, 1.0]},
        scoring=scoring,
        refit="mixed",
        cv=2,
        error_score="raise",
    )
    search.fit(few["X"], few["y"], X_target=(few["X_target"],))
    assert 0 < search.cv_results_["mean_test_reverse"].min() < 1


def test_the_target_of_a_search_is_whole(routing, few):
    """A tuple with as many rows as X is not cut into folds."""
    seen = []

    class Spy(TargetEntropyScorer):
        def _score(self, estimator, X, y, targets):
            seen.append((len(X), [len(rows) for rows in targets]))
            return 0.0

    params = {"X_target": (few["X"], few["X_target"])}
    cross_validate(
        LogisticRegression(), few["X"], few["y"], cv=2, scoring={"spy": Spy()}, params=params
    )
    assert seen == [(100, [200, 150])] * 2


@pytest.mark.parametrize("scorer", SCORERS.values(), ids=str)
def test_without_routing_by_a_closure(few, scorer):
    def score(estimator, X, y):
        return scorer(estimator, X, y, X_target=few["X_target"])

    clf = DeepCORALClassifier(max_epochs=1, random_state=0)
    search = GridSearchCV(clf, {"trade_off": [1.0]}, scoring=score, cv=2, error_score="raise")
    search.fit(few["X"], few["y"], X_target=(few["X_target"],))
    assert np.isfinite(search.best_score_)


def test_oracle_in_a_search(routing, few, plain):
    with pytest.warns(TargetLabelWarning):
        results = cross_validate(
            plain,
            few["X"],
            few["y"],
            cv=2,
            scoring={"oracle": TargetAccuracyScorer(few["y_target"])},
            params={"X_target": (few["X_target"],)},
        )
    assert 0 < results["test_oracle"].min() < 1


def test_stacked_domains_with_held_out_target_rows(routing, few):
    X, y, sample_domain = stack_domains(few["X"], few["y"], few["X_target"])
    cv = StratifiedDomainShuffleSplit(2, test_size=0.5, target_test_size=0.4, random_state=0)
    results = cross_validate(
        DeepCORALClassifier(max_epochs=1, random_state=0),
        X,
        y,
        cv=cv,
        scoring=SCORERS,
        params={"sample_domain": sample_domain},
        return_estimator=True,
        return_indices=True,
        error_score="raise",
    )
    test = results["indices"]["test"][0]
    held_out = X[test][sample_domain[test] < 0]
    assert len(held_out) == 60
    by_hand = TargetEntropyScorer()(results["estimator"][0], None, X_target=held_out)
    assert results["test_TargetEntropyScorer"][0] == by_hand
