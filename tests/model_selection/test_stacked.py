"""Searches that train alike networks as one are those of scikit-learn."""

import os
import time

import numpy as np
import pytest
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV, cross_validate
from sklearn.preprocessing import StandardScaler

from skda import make_pipeline
from skda.adaptation import DeepCORALClassifier
from skda.model_selection import (
    InformationMaximizationScorer,
    StackedRandomizedSearchCV,
    StackedSearchCV,
    _stacked_backend,
    stacked_fits,
)

GRID = {"trade_off": [0.1, 10.0], "lr": [1e-3, 1e-2]}


@pytest.fixture
def rows():
    rng = np.random.RandomState(0)
    X, y = rng.standard_normal((48, 4)).astype("float32"), np.arange(48) % 2
    X[:, 0] += 2 * y
    return X, y, {"X_target": (X[:40] + 0.5,)}


@pytest.fixture
def classifier():
    return DeepCORALClassifier(
        max_epochs=2, batch_size=16, module__hidden_layer_sizes=(8,), random_state=0
    )


def assert_alike(plain, stacked):
    assert set(plain.cv_results_) == set(stacked.cv_results_)
    for name, values in plain.cv_results_.items():
        if name.startswith(("mean_test", "mean_train", "split")):
            np.testing.assert_allclose(values, stacked.cv_results_[name], atol=1e-4)
    assert plain.cv_results_["params"] == stacked.cv_results_["params"]
    assert plain.best_params_ == stacked.best_params_


@pytest.mark.usefixtures("routing")
def test_the_search_is_that_of_scikit_learn(rows, classifier, capsys):
    X, y, target = rows
    scoring = {"im": InformationMaximizationScorer(), "accuracy": "accuracy"}
    options = {"scoring": scoring, "refit": "im", "cv": 2, "return_train_score": True}
    plain = GridSearchCV(classifier, GRID, **options).fit(X, y, **target)
    stacked = StackedSearchCV(classifier, GRID, verbose=1, **options).fit(X, y, **target)
    assert_alike(plain, stacked)
    assert "16 of 16 epochs were computed in stacks" in capsys.readouterr().out
    np.testing.assert_allclose(stacked.predict_proba(X), plain.predict_proba(X), atol=1e-4)


@pytest.mark.usefixtures("routing")
def test_pipelines_and_random_candidates(rows, classifier):
    X, y, target = rows
    pipeline = make_pipeline(StandardScaler(), classifier)
    grid = {f"deepcoralclassifier__{name}": values for name, values in GRID.items()}
    options = {"n_iter": 3, "random_state": 0, "cv": 2}
    plain = RandomizedSearchCV(pipeline, grid, **options).fit(X, y, **target)
    stacked = StackedRandomizedSearchCV(pipeline, grid, stack_size=4, **options)
    assert_alike(plain, stacked.fit(X, y, **target))


@pytest.mark.usefixtures("routing")
def test_no_fit_is_left_over(rows, classifier):
    X, y, target = rows
    with stacked_fits(stack_size=3) as report:
        cross_validate(classifier, X, y, cv=4, params=target)
    assert report.n_stacked == 8 and not report.n_alone


@pytest.mark.usefixtures("routing")
def test_a_candidate_that_fails_has_the_score_of_errors(rows, classifier):
    X, y, target = rows
    grid = {"optimizer": ["adam", "nothing"]}
    search = StackedSearchCV(classifier, grid, cv=2, error_score=-1.0)
    with pytest.warns(FitFailedWarning, match="2 fits failed out of a total of 4"):
        search.fit(X, y, **target)
    assert search.cv_results_["mean_test_score"][1] == -1
    assert search.cv_results_["mean_test_score"][0] > 0
    with pytest.raises(ValueError, match="optimizer must be one of"):
        clone(search).set_params(error_score="raise").fit(X, y, **target)


@pytest.mark.usefixtures("routing")
def test_other_functions_of_scikit_learn_stack_too(rows, classifier):
    X, y, target = rows
    plain = cross_validate(classifier, X, y, cv=3, params=target)
    with stacked_fits(stack_size=2) as report:
        stacked = cross_validate(classifier, X, y, cv=3, params=target)
    np.testing.assert_allclose(plain["test_score"], stacked["test_score"], atol=1e-4)
    # Of three fits two are under way at a time.
    assert report.n_stacked == 4
    assert report.n_alone == {"no other network is like it": 2}


def test_no_processes_at_all():
    with stacked_fits(), pytest.raises(ValueError, match="n_jobs must not be 0"):
        GridSearchCV(DeepCORALClassifier(), GRID, n_jobs=0).fit(np.eye(4), [0, 1, 0, 1])


def test_worker_processes_share_the_parts_with_this_one():
    def who(number):
        return number, os.getpid()

    with stacked_fits(stack_size=2):
        done = Parallel(n_jobs=2)(delayed(who)(number) for number in range(7))
    assert [number for number, _ in done] == list(range(7))
    processes = {process for _, process in done}
    assert os.getpid() in processes and len(processes) == 2
    assert Parallel(n_jobs=2)(delayed(who)(number) for number in range(2))  # joblib is as it was


def test_an_interruption_ends_the_other_processes(monkeypatch):
    def interrupted(tasks, stack_size):
        raise KeyboardInterrupt

    monkeypatch.setattr(_stacked_backend, "_run", interrupted)  # here alone
    start = time.monotonic()
    with stacked_fits(stack_size=1), pytest.raises(KeyboardInterrupt):
        Parallel(n_jobs=2)(delayed(time.sleep)(600) for _ in range(4))
    assert time.monotonic() - start < 300
