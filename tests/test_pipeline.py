"""Targets through pipelines and searches."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.decomposition import PCA
from sklearn.model_selection import (
    GridSearchCV,
    RandomizedSearchCV,
    cross_validate,
)
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from skda import make_pipeline, stack_domains
from skda.adaptation import DANNClassifier, DeepCORALClassifier
from skda.base import DeepAdaptationClassifier, estimator
from skda.model_selection import SourceSplit, TargetEntropyScorer


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@estimator
class Witness(DeepAdaptationClassifier):
    """Keeps what reached fit."""

    def fit(self, X, y, *, X_target=None, y_target=None, sample_domain=None):
        self.seen_X_, self.seen_target_ = np.asarray(X), X_target
        return super().fit(X, y, X_target=X_target, y_target=y_target, sample_domain=sample_domain)


def test_without_an_adaptation_step_it_is_a_plain_pipeline(few):
    pipe = make_pipeline(StandardScaler(), LinearSVC())
    assert pipe.transform_input is None
    pipe.fit(few["X"], few["y"])  # needs no metadata routing


def test_the_target_goes_through_the_earlier_steps(routing, few):
    pipe = make_pipeline(StandardScaler(), PCA(5, random_state=0), Witness(max_epochs=1))
    X_target = few["X_target"]
    pipe.fit(few["X"], few["y"], X_target=(X_target,))
    (seen,) = pipe[-1].seen_target_
    np.testing.assert_array_equal(seen, pipe[:-1].transform(X_target))


def test_forgotten_routing_is_an_error(few):
    pipe = make_pipeline(StandardScaler(), DANNClassifier(max_epochs=1))
    with pytest.raises(ValueError, match="enable_metadata_routing"):
        pipe.fit(few["X"], few["y"], X_target=(few["X_target"],))


def test_untransformed_target_of_another_width_is_an_error(routing, few):
    pipe = sklearn.pipeline.make_pipeline(PCA(5), DANNClassifier(max_epochs=1))
    with pytest.raises(ValueError, match=r"skda\.make_pipeline"):
        pipe.fit(few["X"], few["y"], X_target=(few["X_target"],))


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_grid_search_over_everything(routing, few, n_jobs):
    """Pipeline, module and optimiser parameters, strings, data frames, the target scaled."""
    columns = [f"pixel {i}" for i in range(64)]
    X, X_target = (pd.DataFrame(few[name], columns=columns) for name in ("X", "X_target"))
    y = np.array([f"digit {label}" for label in few["y"]])
    pipe = make_pipeline(StandardScaler(), Witness(max_epochs=1, random_state=0))
    grid = {
        "standardscaler__with_std": [True, False],
        "witness__trade_off": [0.1, 1.0],
        "witness__module__hidden_layer_sizes": [(16,)],
        "witness__optimizer__weight_decay": [0, 1e-4],
    }
    search = GridSearchCV(pipe, grid, scoring=TargetEntropyScorer(), cv=2, n_jobs=n_jobs)
    search.fit(X, y, X_target=(X_target,))
    best = search.best_estimator_
    (seen,) = best[-1].seen_target_
    np.testing.assert_array_equal(seen, best[:-1].transform(X_target))
    np.testing.assert_array_equal(best[-1].seen_X_, best[:-1].transform(X))
    assert set(search.predict(X_target)) <= set(y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert best[-1].transform(best[:-1].transform(X)).shape == (200, 16)


def test_parallel_search_equals_the_sequential_one(routing, few):
    scores = []
    for n_jobs in (None, 2):
        search = GridSearchCV(
            DANNClassifier(max_epochs=2, random_state=0),
            {"trade_off": [0, 1.0]},
            scoring=TargetEntropyScorer(),
            cv=2,
            n_jobs=n_jobs,
        )
        search.fit(few["X"], few["y"], X_target=(few["X_target"],))
        scores.append(search.cv_results_["mean_test_score"])
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-6)


def test_a_tuple_is_never_cut_into_folds(routing, few):
    """An array with as many rows as X would be; a tuple keeps all rows."""
    X_target = few["X"] + 1
    results = cross_validate(
        Witness(max_epochs=1),
        few["X"],
        few["y"],
        cv=2,
        params={"X_target": (X_target,)},
        return_estimator=True,
    )
    for fitted in results["estimator"]:
        np.testing.assert_array_equal(fitted.seen_target_[0], X_target)
        assert len(fitted.seen_X_) == 100


def test_search_without_routing(few):
    search = GridSearchCV(
        DeepCORALClassifier(max_epochs=1, random_state=0),
        {"trade_off": [0.1, 1.0]},
        cv=2,
        scoring=lambda clf, X, y: TargetEntropyScorer()(clf, X, X_target=few["X_target"]),
    )
    search.fit(few["X"], few["y"], X_target=(few["X_target"],))
    assert search.best_score_ < 0


def test_randomized_search_over_callbacks_and_iterators(routing, few):
    search = RandomizedSearchCV(
        DANNClassifier(max_epochs=1, random_state=0),
        {"iterator_train__batch_size": [16, 32], "lr": [1e-3, 1e-2]},
        n_iter=2,
        cv=2,
        random_state=0,
    )
    search.fit(few["X"], few["y"], X_target=(few["X_target"],))
    assert 0 <= search.best_score_ <= 1


@pytest.mark.parametrize("with_routing", [True, False])
def test_search_over_stacked_domains(few, with_routing):
    X, y, sample_domain = stack_domains(few["X"], few["y"], few["X_target"])
    with sklearn.config_context(enable_metadata_routing=with_routing):
        search = GridSearchCV(
            DANNClassifier(max_epochs=2, random_state=0), {"trade_off": [0, 1.0]}, cv=SourceSplit(2)
        )
        metadata = {"sample_domain": sample_domain}
        if not with_routing:
            metadata["groups"] = sample_domain
        search.fit(X, y, **metadata)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_estimator_.classes_.tolist() == list(range(10))


def test_pipeline_of_deep_features(routing, few):
    pipe = make_pipeline(DANNClassifier(max_epochs=2, random_state=0), LinearSVC())
    pipe.fit(few["X"], few["y"], X_target=(few["X_target"],))
    assert pipe.predict(few["X_target"]).shape == (150,)
