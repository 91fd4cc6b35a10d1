"""Distances between domains at the layers of a network."""

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler
from torch import nn

from skda import make_pipeline
from skda.adaptation import DANClassifier, DANNClassifier
from skda.fine_tuning import FineTuneClassifier
from skda.metrics import coral_distance, domain_report, mmd
from skda.metrics._layers import layer_features

DISTANCES = ["proxy_a_distance", "mmd", "coral"]


@pytest.fixture(scope="module")
def networks(digits):
    """One that is adapted, and the same without adaptation."""
    clf = DANClassifier(batch_norm="domain", trade_off=3, max_epochs=8, random_state=0)
    pair = clf, clone(clf).set_params(trade_off=0)
    return [network.fit(digits.X, digits.y, X_target=digits.X_target) for network in pair]


# -- activations ------------------------------------------------------------------------------


def test_rows_go_through_the_network_with_the_statistics_of_their_domain(networks, few):
    clf = networks[0]
    X = few["X"]
    target = layer_features(clf, X, ["features", "logits"], is_source=False)
    np.testing.assert_allclose(target["features"], clf.transform(X), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(target["logits"], clf.decision_function(X), rtol=1e-5, atol=1e-5)
    source = layer_features(clf, X, ["features"], is_source=True)
    with clf.net_.source_statistics():
        expected = clf.transform(X)
    np.testing.assert_allclose(source["features"], expected, rtol=1e-5, atol=1e-6)
    assert np.abs(source["features"] - target["features"]).max() > 0.1


def test_any_layer_can_be_read_without_another_fit(networks, few):
    features = layer_features(
        networks[0], few["X"], ["inputs", "hidden1.0", "logits"], is_source=True
    )
    assert [rows.shape[1] for rows in features.values()] == [64, 128, 10]
    np.testing.assert_array_equal(features["inputs"], few["X"])


def test_a_report_leaves_the_network_as_it_was(networks, few):
    clf = networks[0]
    before = clf.predict_proba(few["X_target"])
    hooks = [len(module._forward_hooks) for module in clf.net_.module_.modules()]
    domain_report(clf, few["X"], few["X_target"], layers=["hidden1.1"], random_state=0)
    assert hooks == [len(module._forward_hooks) for module in clf.net_.module_.modules()]
    np.testing.assert_array_equal(clf.predict_proba(few["X_target"]), before)


def test_maps_are_averaged_over_positions(few):
    images = few["X"].reshape(-1, 1, 8, 8)
    clf = FineTuneClassifier(max_epochs=1, random_state=0).fit(images, few["y"])
    features = layer_features(clf, images, ["inputs", "conv1"], is_source=True)
    assert features["conv1"].shape == (200, 32)
    assert features["inputs"].shape == (200, 64)


def test_inputs_are_those_after_the_standardisation(few):
    clf = DANNClassifier(max_epochs=1, standardize="domain", random_state=0)
    clf.fit(few["X"], few["y"], X_target=few["X_target"])
    for name, is_source in (("X", True), ("X_target", False)):
        rows = layer_features(clf, few[name], ["inputs"], is_source=is_source)["inputs"]
        np.testing.assert_allclose(rows.mean(axis=0), 0, atol=1e-5)


# -- the table --------------------------------------------------------------------------------


def test_an_adapted_network_has_closer_domains_than_its_reference(networks, digits):
    adapted, reference = networks
    report = domain_report(
        adapted, digits.X, digits.X_target, digits.y, reference=reference, random_state=0
    )
    assert report["layer"].tolist() == [n for n in ("inputs", "features", "logits") for _ in "ab"]
    assert report["network"].tolist() == ["reference", "estimator"] * 3
    assert list(report.columns)[2:] == [*DISTANCES, *(f"classwise_{name}" for name in DISTANCES)]
    for name in DISTANCES:
        before, after = report[name][:2]
        assert before == after  # the inputs
    for column, ratio in {
        "mmd": 0.6,
        "classwise_mmd": 0.85,
        "classwise_proxy_a_distance": 1,
    }.items():
        before, after = report[column][4:]
        assert after < ratio * before


def test_distances_are_those_of_standardised_activations(networks, few):
    clf = networks[0]
    report = domain_report(clf, few["X"], few["X_target"], layers=["features"], random_state=0)
    source = layer_features(clf, few["X"], ["features"], is_source=True)["features"]
    target = layer_features(clf, few["X_target"], ["features"], is_source=False)["features"]
    both = np.concatenate([source, target]).astype(float)
    both = (both - both.mean(axis=0)) / np.where(both.std(axis=0) > 0, both.std(axis=0), 1)
    domains = both[:200], both[200:]
    assert report["mmd"][0] == pytest.approx(mmd(*domains), abs=1e-9)
    assert report["coral"][0] == pytest.approx(coral_distance(*domains), rel=1e-6)


def test_small_activations_do_not_make_domains_close(networks, few):
    class Shrunk(nn.Module):
        def __init__(self, backbone):
            super().__init__()
            self.backbone = backbone

        def forward(self, x):
            return 1e-3 * self.backbone(x)

    clf = clone(networks[1]).set_params(max_epochs=1)
    clf.fit(few["X"], few["y"], X_target=few["X_target"])
    large = domain_report(clf, few["X"], few["X_target"], layers=["features"], random_state=0)
    clf.net_.module_.backbone = Shrunk(clf.net_.module_.backbone)
    small = domain_report(clf, few["X"], few["X_target"], layers=["features"], random_state=0)
    for name in DISTANCES:
        assert small[name][0] == pytest.approx(large[name][0], rel=1e-3)


def test_features_that_are_the_same_for_all_rows_have_no_distance(networks, few):
    clf = clone(networks[1]).set_params(max_epochs=1)
    clf.fit(few["X"], few["y"], X_target=few["X_target"])
    clf.net_.module_.backbone.register_forward_hook(lambda module, inputs, output: 0 * output)
    report = domain_report(clf, few["X"], few["X_target"], layers=["features"], random_state=0)
    assert [report[name][0] for name in DISTANCES] == pytest.approx([0, 0, 0], abs=1e-12)


def test_labels_of_the_target_take_the_place_of_predictions(networks, digits):
    clf = networks[0]
    kwargs = {"layers": ["features"], "random_state": 0}
    domains = digits.X, digits.X_target, digits.y
    true = domain_report(clf, *domains, y_target=digits.y_target, **kwargs)
    own = domain_report(clf, *domains, **kwargs)
    given = domain_report(clf, *domains, y_target=clf.predict(digits.X_target), **kwargs)
    assert given["classwise_mmd"] == own["classwise_mmd"] < true["classwise_mmd"]


def test_rows_of_several_targets_are_put_together(networks, few):
    whole = domain_report(networks[0], few["X"], few["X_target"], few["y"], random_state=0)
    parts = few["X_target"][:70], few["X_target"][70:]
    split = domain_report(networks[0], few["X"], parts, few["y"], random_state=0)
    for name in DISTANCES:
        np.testing.assert_allclose(split[name], whole[name], rtol=1e-3, atol=1e-6)


def test_a_network_of_one_domain_has_a_report(few):
    clf = FineTuneClassifier(max_epochs=1, random_state=0).fit(few["X"], few["y"])
    report = domain_report(clf, few["X"], few["X_target"], random_state=0)
    assert report["layer"].tolist() == ["inputs", "features", "logits"]
    assert report["network"].tolist() == ["estimator"] * 3


def test_a_pipeline_and_a_search_are_looked_into(few):
    with sklearn.config_context(enable_metadata_routing=True):
        pipe = make_pipeline(StandardScaler(), DANNClassifier(max_epochs=1, random_state=0))
        pipe.fit(few["X"], few["y"], X_target=few["X_target"])
        grid = {"dannclassifier__lr": [1e-3]}
        search = GridSearchCV(pipe, grid, cv=2).fit(few["X"], few["y"], X_target=(few["X_target"],))
    report = domain_report(pipe, few["X"], few["X_target"], few["y"], random_state=0)
    scaled = [pipe[0].transform(few[name]) for name in ("X", "X_target")]
    direct = domain_report(pipe[-1], *scaled, few["y"], random_state=0)
    searched = domain_report(search, few["X"], few["X_target"], few["y"], random_state=0)
    for name in report.columns:
        np.testing.assert_array_equal(report[name], direct[name])
        np.testing.assert_array_equal(report[name], searched[name])


# -- the object -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def report(networks, few):
    return domain_report(networks[0], few["X"], few["X_target"], few["y"], random_state=0)


def test_it_prints_as_a_table(report):
    heading, *lines = repr(report).splitlines()
    assert heading.split()[:5] == ["layer", "network", "PAD", "MMD", "CORAL"]
    assert len(lines) == len(report) == 3
    assert lines[1].split()[:2] == ["features", "estimator"]
    assert float(lines[1].split()[3]) == pytest.approx(report["mmd"][1], abs=5e-4)
    assert len({len(line) for line in (heading, *lines)}) == 1


def test_it_becomes_a_data_frame(report):
    frame = report.to_frame()
    assert list(frame.columns) == list(report.columns)
    assert frame["mmd"].tolist() == report["mmd"].tolist()


# -- errors -----------------------------------------------------------------------------------


def test_what_has_no_network_is_an_error(few):
    for estimator in (DANNClassifier(), LogisticRegression()):
        with pytest.raises(NotFittedError, match="estimator: this"):
            domain_report(estimator, few["X"], few["X_target"])


def test_an_unknown_layer_is_an_error_with_the_nearest(networks, few):
    with pytest.raises(ValueError, match=r"no submodule 'hiden1'.*'hidden1'"):
        domain_report(networks[0], few["X"], few["X_target"], layers=["hiden1"])


def test_no_target_is_an_error(networks, few):
    with pytest.raises(ValueError, match="X_target is None"):
        domain_report(networks[0], few["X"], None)
