"""Features of a network that was adapted: source rows as such, target rows as such."""

import numpy as np
import pytest
import sklearn
import torch
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from skda import make_domain_pipeline
from skda.adaptation import DANNClassifier, DeepCORALClassifier
from skda.feature_extraction import DeepFeatureExtractor


@pytest.fixture(scope="module")
def adapted(few):
    clf = DANNClassifier(max_epochs=3, random_state=0)
    return clf.fit(few["X"], few["y"], X_target=few["X_target"])


@pytest.fixture(scope="module")
def of_two(few):
    clf = DeepCORALClassifier(max_epochs=2, random_state=0)
    return clf.fit(few["X"], few["y"], X_target=(few["X_target"], few["X_target"][:80] + 1))


def test_rows_to_learn_from_are_of_the_source_and_others_of_the_target(adapted, few):
    extractor = DeepFeatureExtractor(adapted)
    features = extractor.fit_transform(few["X"])
    np.testing.assert_allclose(features, adapted.transform(few["X"], domain="source"), atol=1e-5)
    np.testing.assert_allclose(
        extractor.transform(few["X"]), adapted.transform(few["X"]), atol=1e-5
    )
    assert np.abs(features - extractor.transform(few["X"])).max() > 0.1


@pytest.mark.parametrize("domain", ["source", "target", 0, 1])
@pytest.mark.parametrize("layers", ["features", ("hidden1", "features")])
def test_a_domain_can_be_named(domain, layers, of_two, few):
    extractor = DeepFeatureExtractor(of_two, layers=layers).fit(few["X"])
    features = extractor.transform(few["X"], domain=domain)[:, -64:]
    np.testing.assert_allclose(features, of_two.transform(few["X"], domain=domain), atol=1e-5)


@pytest.mark.parametrize("module", [None, "adapted"])
@pytest.mark.parametrize("domain", ["both", None, 7, True])
def test_an_unknown_domain_is_an_error(module, domain, adapted, few):
    extractor = DeepFeatureExtractor(adapted if module else None).fit(few["X"])
    with pytest.raises(ValueError, match='domain must be "source" or "target"'):
        extractor.transform(few["X"], domain=domain)


def test_of_other_networks_all_rows_are_of_one_domain(few):
    extractor = DeepFeatureExtractor(random_state=0)
    features = extractor.fit_transform(few["X"])
    for domain in ("source", "target"):
        np.testing.assert_array_equal(extractor.transform(few["X"], domain=domain), features)


def test_stacked_rows_are_each_of_their_own_domain(of_two, few):
    marks = np.random.RandomState(0).choice([3, -1, -2], len(few["X"]))
    extractor = DeepFeatureExtractor(of_two)
    features = extractor.fit_transform(few["X"], sample_domain=marks)
    for mark, domain in ((3, "source"), (-1, 0), (-2, 1)):
        expected = extractor.transform(few["X"][marks == mark], domain=domain)
        np.testing.assert_allclose(features[marks == mark], expected, atol=1e-5)


def test_labelled_target_rows_can_be_learned_from(adapted, few):
    extractor = DeepFeatureExtractor(adapted)
    features = extractor.fit_transform(few["X_target"], sample_domain=np.full(150, -1))
    np.testing.assert_array_equal(features, extractor.transform(few["X_target"]))


def test_a_pipeline_names_domains(adapted, few):
    pipe = make_domain_pipeline(
        DeepFeatureExtractor(FrozenEstimator(adapted)), LogisticRegression()
    )
    with sklearn.config_context(enable_metadata_routing=True):
        pipe.fit(few["X"], few["y"])
        features = adapted.transform(few["X"], domain="source")
        by_hand = LogisticRegression().fit(features, few["y"])
        np.testing.assert_array_equal(
            pipe.predict(few["X_target"]), by_hand.predict(adapted.transform(few["X_target"]))
        )
        assert pipe.score(few["X"], few["y"], domain="source") == by_hand.score(features, few["y"])
        # All rows are of the target.
        pipe.fit(few["X_target"], few["y_target"], sample_domain=np.full(150, -1))
        features = adapted.transform(few["X_target"])
        by_hand = LogisticRegression().fit(features, few["y_target"])
        np.testing.assert_array_equal(pipe.predict(few["X_target"]), by_hand.predict(features))


def test_a_cache_tells_domains_apart(adapted, few, tmp_path):
    extractor = DeepFeatureExtractor(adapted, cache=tmp_path).fit(few["X"])
    expected = {d: extractor.transform(few["X"], domain=d) for d in ("source", "target")}
    for _ in range(2):
        for domain, features in expected.items():
            np.testing.assert_array_equal(extractor.transform(few["X"], domain=domain), features)
    assert np.abs(expected["source"] - expected["target"]).max() > 0.1


def test_a_lazy_array_is_of_the_domain_that_is_named(adapted, few):
    da = pytest.importorskip("dask.array")
    X = da.from_array(few["X"], chunks=(50, 64))
    extractor = DeepFeatureExtractor(adapted)
    expected = extractor.fit(few["X"]).transform(few["X"], domain="source")
    np.testing.assert_allclose(extractor.fit_transform(X).compute(), expected, atol=1e-5)


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_every_engine_tells_domains_apart(engine, adapted, few):
    pytest.importorskip(engine)
    X = few["X"].astype(np.float32)
    extractor = DeepFeatureExtractor(adapted, engine=engine).fit(X)
    for domain in ("source", "target", "source"):
        expected = adapted.transform(X, domain=domain)
        np.testing.assert_allclose(extractor.transform(X, domain=domain), expected, atol=1e-3)


def test_tensors_stay_tensors(adapted, few):
    X = torch.tensor(few["X"], dtype=torch.float32)
    features = DeepFeatureExtractor(adapted).fit_transform(X)
    assert isinstance(features, torch.Tensor)


def test_features_become_data_frames(adapted, few):
    extractor = DeepFeatureExtractor(adapted).set_output(transform="pandas")
    frame = extractor.fit_transform(few["X"])
    stacked = extractor.fit_transform(few["X"], sample_domain=np.ones(200))
    assert list(frame.columns) == list(stacked.columns) == list(extractor.get_feature_names_out())
