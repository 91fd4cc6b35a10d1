"""A search on a dask cluster."""

import joblib
import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler

import skda.model_selection
from skda import make_pipeline
from skda.adaptation import DeepCORALClassifier

SCORERS = {
    name: vars(skda.model_selection)[name]()
    for name in skda.model_selection.__all__
    if name.endswith("Scorer") and name != "TargetAccuracyScorer"
}


@pytest.fixture
def cluster():
    distributed = pytest.importorskip("distributed")
    cluster = distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
    )
    with cluster, distributed.Client(cluster):
        yield


def test_search_on_a_cluster_equals_the_sequential_one(cluster, routing, few):
    def search():
        pipe = make_pipeline(StandardScaler(), DeepCORALClassifier(max_epochs=2, random_state=0))
        search = GridSearchCV(
            pipe,
            {"deepcoralclassifier__trade_off": [0.0, 1.0]},
            scoring=SCORERS,
            refit="TargetEntropyScorer",
            cv=2,
            error_score="raise",
        )
        return search.fit(few["X"], few["y"], X_target=(few["X_target"],)).cv_results_

    sequential = search()
    with joblib.parallel_config(backend="dask"):
        on_cluster = search()
    for name in sequential:
        if "test_" in name:
            np.testing.assert_array_equal(on_cluster[name], sequential[name], err_msg=name)
