"""Targets through pipelines and searches."""

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    RandomizedSearchCV,
    cross_validate,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.svm import LinearSVC

import skda
from skda import make_domain_pipeline, make_pipeline, stack_domains
from skda.adaptation import DANNClassifier, DeepCORALClassifier
from skda.base import DeepAdaptationClassifier, estimator
from skda.model_selection import SourceSplit, TargetEntropyScorer
from skda.subspace import CORAL


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


# -- estimators that hand the target on --------------------------------------------------------


class Seer(ClassifierMixin, BaseEstimator):
    """Of scikit-learn's own kind; writes down the targets that reach any of its copies."""

    seen: list = []
    __metadata_request__fit = {"X_target": True}

    def fit(self, X, y, X_target=None):
        Seer.seen.append(None if X_target is None else np.asarray(X_target[0]))
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


class ThirdParty(Seer):
    """Takes the target, but has never heard of metadata routing."""

    __metadata_request__fit = {"X_target": None}

    def fit(self, X, y, X_target=None):
        return super().fit(X, y, X_target)


HANDING_ON = {
    "voting": lambda seer: VotingClassifier([("a", seer)]),
    "bagging": lambda seer: BaggingClassifier(seer, n_estimators=2),
    "calibration": lambda seer: CalibratedClassifierCV(seer, cv=2),
    "one against the rest": OneVsRestClassifier,
    "one against one": OneVsOneClassifier,
    "output codes": OutputCodeClassifier,
    "self-training": SelfTrainingClassifier,
    "search": lambda seer: GridSearchCV(seer, {}, cv=2),
    "pipeline": lambda seer: make_domain_pipeline(FunctionTransformer(), seer),
    "search of a pipeline": lambda seer: GridSearchCV(
        make_domain_pipeline(FunctionTransformer(), seer), {}, cv=2
    ),
    "ensemble of pipelines": lambda seer: VotingClassifier(
        [("a", make_domain_pipeline("passthrough", FunctionTransformer(), seer))]
    ),
    "plain pipeline of one step": lambda seer: Pipeline([("a", "passthrough"), ("b", seer)]),
}


@pytest.mark.parametrize("name", HANDING_ON)
def test_the_target_of_an_estimator_inside_another_is_transformed(name, routing, few):
    Seer.seen.clear()
    last = HANDING_ON[name](Seer())
    pipe = make_domain_pipeline(StandardScaler(), last)
    pipe.fit(few["X"], few["y"] % 3, X_target=(few["X_target"],))
    assert Seer.seen
    expected = pipe[0].transform(few["X_target"])
    for seen in Seer.seen:
        np.testing.assert_allclose(seen, expected)


@pytest.mark.parametrize("steps", [(SelectFromModel(Seer()),), (FixedThresholdClassifier(Seer()),)])
def test_other_estimators_that_hand_the_target_on_are_known(steps):
    assert make_domain_pipeline(*steps).transform_input == ["X_target"]


def test_a_target_under_another_name_is_transformed(routing, few):
    Seer.seen.clear()
    seer = Seer().set_fit_request(X_target="rows")
    pipe = make_domain_pipeline(StandardScaler(), VotingClassifier([("a", seer)]))
    pipe.fit(few["X"], few["y"], rows=(few["X_target"],))
    np.testing.assert_allclose(Seer.seen[0], pipe[0].transform(few["X_target"]))


def test_an_estimator_without_a_request_may_ask_later(routing, few):
    Seer.seen.clear()
    pipe = make_domain_pipeline(StandardScaler(), BaggingClassifier(ThirdParty(), n_estimators=1))
    pipe[-1].estimator.set_fit_request(X_target=True)
    pipe.fit(few["X"], few["y"], X_target=(few["X_target"],))
    np.testing.assert_allclose(Seer.seen[0], pipe[0].transform(few["X_target"]))


@pytest.mark.parametrize("steps", [("passthrough", None, "passthrough"), (FunctionTransformer(),)])
def test_steps_that_take_no_target_make_a_plain_pipeline(steps):
    assert make_domain_pipeline(*steps).transform_input is None


def test_an_inner_pipeline_that_leaves_the_target_as_it_is_is_an_error():
    inner = sklearn.pipeline.make_pipeline(StandardScaler(), DANNClassifier())
    for step in (inner, GridSearchCV(inner, {})):
        with pytest.raises(ValueError, match=r"'dannclassifier'.*skda\.make_domain_pipeline"):
            make_domain_pipeline(StandardScaler(), step)


def test_the_two_names_are_one_function():
    assert skda.make_pipeline is skda.make_domain_pipeline is make_domain_pipeline


def test_configuration_stays_as_it_is():
    make_domain_pipeline(StandardScaler(), VotingClassifier([("a", DANNClassifier())]))
    assert not sklearn.get_config()["enable_metadata_routing"]


@pytest.mark.parametrize("name", ["voting", "bagging", "calibration", "search", "pipeline"])
def test_deep_estimators_inside_others_learn_as_by_hand(name, routing, few):
    """Pixels of 0 to 255, scaled in the pipeline: without the target's share the rest is chance."""
    steps = (
        FunctionTransformer(lambda X: X / 255),
        HANDING_ON[name](DANNClassifier(max_epochs=2, random_state=0)),
    )
    by_hand = sklearn.pipeline.make_pipeline(*steps, transform_input=["X_target"])
    predicted = []
    for pipe in (make_domain_pipeline(*steps), by_hand):
        if name == "bagging":
            pipe[-1].set_params(random_state=0)
        pipe.fit(255 * few["X"], few["y"], X_target=(255 * few["X_target"],))
        predicted.append(pipe.predict(255 * few["X_target"]))
    np.testing.assert_array_equal(*predicted)


def test_transformers_side_by_side_get_the_transformed_target(routing, few):
    union = FeatureUnion([("coral", CORAL()), ("pca", PCA(2, random_state=0))])
    pipe = make_domain_pipeline(StandardScaler(), union, LinearSVC(C=0.01))
    pipe.fit(few["X"], few["y"], X_target=(few["X_target"],))
    scaled = (pipe[0].transform(few[name]) for name in ("X", "X_target"))
    X, X_target = scaled
    coral = CORAL().fit(X, X_target=X_target)
    mapped = pipe[:-1].transform(few["X_target"])
    np.testing.assert_allclose(mapped[:, :-2], coral.transform(X_target))


def test_a_stack_of_adaptation_estimators_goes_behind_one(routing, few):
    """StackingClassifier gives its final estimator what its estimators get in fit."""
    X, y, X_target = few["X"], few["y"], few["X_target"]
    last = {"final_estimator": LogisticRegression(), "cv": 2}
    dann = DANNClassifier(max_epochs=2, random_state=0)
    with pytest.raises(TypeError, match="X_target"):
        StackingClassifier([("dann", dann)], **last).fit(X, y, X_target=(X_target,))
    stack = StackingClassifier([("svm", LinearSVC(C=0.01))], **last)
    pipe = make_domain_pipeline(dann, stack).fit(X, y, X_target=(X_target,))
    features = pipe[0].transform(X, domain="source")
    alone = StackingClassifier([("svm", LinearSVC(C=0.01))], **last).fit(features, y)
    np.testing.assert_array_equal(
        pipe.predict(X_target), alone.predict(pipe[0].transform(X_target))
    )


def test_calibration_behind_an_adapted_network_sees_source_rows_as_such(routing, few):
    X, y, X_target = few["X"], few["y"], few["X_target"]
    calibrated = CalibratedClassifierCV(LogisticRegression(), cv=2)
    pipe = make_domain_pipeline(DANNClassifier(max_epochs=2, random_state=0), calibrated)
    pipe.fit(X, y, X_target=(X_target,))
    features = pipe[0].transform(X, domain="source")
    alone = CalibratedClassifierCV(LogisticRegression(), cv=2).fit(features, y)
    np.testing.assert_allclose(
        pipe.predict_proba(X_target), alone.predict_proba(pipe[0].transform(X_target)), atol=1e-6
    )
