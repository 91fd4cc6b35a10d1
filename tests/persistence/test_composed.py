"""Estimators of scikit-learn around and beside ours."""

import sys
import zipfile

import numpy as np
import pytest
import sklearn
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.feature_selection import SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    OneHotEncoder,
    StandardScaler,
)
from sklearn.svm import SVC, LinearSVC

import skda
from skda.adaptation import DANNClassifier
from skda.feature_extraction import DeepFeatureExtractor
from skda.fine_tuning import FineTuneClassifier
from skda.model_selection import TargetEntropyScorer

SMALL = {"module__hidden_layer_sizes": (8,), "random_state": 0}
SHORT = {**SMALL, "max_epochs": 1}


@pytest.fixture(scope="module")
def rows(digits):
    return digits.X[:60], digits.y[:60], digits.X_target[:50]


COMPOSED = {
    "features before an SVM": lambda: make_pipeline(DeepFeatureExtractor(**SMALL), LinearSVC()),
    "union": lambda: make_pipeline(
        FeatureUnion([("deep", DeepFeatureExtractor(**SMALL)), ("pca", PCA(3))]),
        LogisticRegression(),
    ),
    "columns": lambda: make_pipeline(
        ColumnTransformer(
            [
                ("deep", DeepFeatureExtractor(**SMALL), slice(0, 30)),
                ("scaled", MinMaxScaler(), [31]),
            ]
        ),
        RidgeClassifier(),
    ),
    "vote": lambda: VotingClassifier(
        [("deep", FineTuneClassifier(**SHORT)), ("flat", LogisticRegression())], voting="soft"
    ),
    "search": lambda: GridSearchCV(FineTuneClassifier(**SHORT), {"lr": [1e-3, 1e-2]}, cv=2),
    "selection": lambda: make_pipeline(
        SelectKBest(k=9), StandardScaler(), FineTuneClassifier(**SHORT)
    ),
    "perceptron": lambda: MLPClassifier((4,), max_iter=3, random_state=0),
}


@pytest.mark.parametrize("name", COMPOSED)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_estimators_around_ours_come_back(name, rows, roundtrip, assert_same):
    X, y, X_target = rows
    estimator = COMPOSED[name]().fit(X, y)
    assert_same(estimator, roundtrip(estimator), X_target)


@pytest.mark.parametrize("searched", [False, True])
def test_pipelines_with_a_target_come_back(searched, rows, roundtrip, assert_same):
    X, y, X_target = rows
    with sklearn.config_context(enable_metadata_routing=True):
        pipe = skda.make_pipeline(StandardScaler(), DANNClassifier(**SHORT))
        if searched:
            grid = {"dannclassifier__trade_off": [0.1, 1]}
            pipe = GridSearchCV(pipe, grid, cv=2, scoring=TargetEntropyScorer())
        pipe = pipe.fit(X, y, X_target=(X_target,))
        loaded = roundtrip(pipe)
        assert_same(pipe, loaded, X_target)
        if searched:
            assert loaded.best_params_ == pipe.best_params_
            scores = (search.cv_results_["mean_test_score"] for search in (pipe, loaded))
            np.testing.assert_array_equal(*scores)
        again = loaded.fit(X, y, X_target=(X_target,))  # requests of metadata are there still
        assert_same(pipe, again, X_target)


def test_a_fitted_estimator_as_module_comes_back(rows, roundtrip, assert_same):
    X, y, X_target = rows
    old = FineTuneClassifier(**SHORT).fit(X, y)
    new = FineTuneClassifier(module=FrozenEstimator(old), max_epochs=1, random_state=0).fit(X, y)
    loaded = roundtrip(new)
    assert_same(new, loaded, X_target)
    assert_same(old, loaded.module.estimator, X_target)
    extractor = DeepFeatureExtractor(old, layers=("hidden1", "features")).fit(X)
    assert_same(extractor, roundtrip(extractor), X_target)


def test_sparse_matrices_types_and_vocabularies_come_back(roundtrip):
    counts = CountVectorizer(dtype=np.int32).fit(["a bc", "de bc"])
    loaded = roundtrip(counts)
    assert loaded.vocabulary_ == counts.vocabulary_ and loaded.dtype is np.int32
    encoder = OneHotEncoder().fit([["a"], ["b"]])
    assert (roundtrip(encoder).transform([["b"]]) != encoder.transform([["b"]])).nnz == 0
    matrix = encoder.transform([["a"], ["b"]])
    loaded = roundtrip(FunctionTransformer(kw_args={"matrix": matrix})).kw_args["matrix"]
    assert type(loaded) is type(matrix) and (loaded != matrix).nnz == 0


def test_columns_of_text_with_gaps_come_back(rows, roundtrip):
    # The imputer keeps the type of its column, that of objects.
    cities = np.array([["Bern"], [None], ["Chur"], ["Bern"]], dtype=object)
    imputer = SimpleImputer(strategy="constant", fill_value="unknown", missing_values=None)
    steps = make_pipeline(imputer, OneHotEncoder(sparse_output=False)).fit(cities)
    np.testing.assert_array_equal(roundtrip(steps).transform(cities), steps.transform(cities))


def test_another_version_of_scikit_learn_is_told(rows, roundtrip, monkeypatch):
    scaler = StandardScaler().fit(rows[0])
    state = scaler.__getstate__()
    monkeypatch.setattr(
        StandardScaler, "__getstate__", lambda _: {**state, "_sklearn_version": "0"}
    )
    with pytest.warns(InconsistentVersionWarning, match="from version 0"):
        roundtrip(scaler)


@pytest.mark.parametrize("make", [SVC, SGDClassifier, RandomForestClassifier])
def test_without_skops_what_is_more_than_numbers_is_told(make, rows, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "skops.io", None)
    X, y, _ = rows
    pipe = make_pipeline(StandardScaler(), make()).fit(X, y)
    with pytest.raises(TypeError, match=r"steps\[1\]\[1\].* cannot be saved: .*skda\[skops\]"):
        skda.save(pipe, tmp_path / "a")
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("make", [SVC, SGDClassifier])
def test_with_skops_it_comes_back(make, rows, roundtrip):
    pytest.importorskip("skops.io")
    X, y, X_target = rows
    pipe = make_pipeline(DeepFeatureExtractor(**SMALL), make(random_state=0)).fit(X, y)
    loaded = roundtrip(pipe)
    np.testing.assert_array_equal(loaded.predict(X_target), pipe.predict(X_target))


def test_what_skops_does_not_trust_is_for_the_user_to_trust(rows, roundtrip):
    pytest.importorskip("skops.io")
    X, y, X_target = rows
    forest = make_pipeline(StandardScaler(), RandomForestClassifier(3, random_state=0)).fit(X, y)
    with pytest.raises(ValueError, match=r"pass trusted=\('sklearn.tree._tree.Tree',\)"):
        roundtrip(forest)
    loaded = roundtrip(forest, trusted=("sklearn.tree._tree.Tree",))
    np.testing.assert_array_equal(loaded.predict(X_target), forest.predict(X_target))


def test_a_part_of_skops_may_not_be_compressed(write_objects):
    skops = pytest.importorskip("skops.io")
    content = skops.dumps(StandardScaler(), compression=zipfile.ZIP_DEFLATED)
    path = write_objects(
        [{"is": "skops", "data": "skops/0.skops"}], attachments={"skops/0.skops": content}
    )
    with pytest.raises(ValueError, match="a part of skops is compressed"):
        skda.load(path)
