"""Trained networks for other programs compute what their estimators do."""

import copy
import json
import os
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from kinds import one_of_each_kind
from torch import nn

import skda.adaptation
from skda.adaptation import (
    AdaBNClassifier,
    CoGANClassifier,
    DANNClassifier,
    DDCClassifier,
    LabelEfficientClassifier,
)
from skda.estimators import DeepEstimator
from skda.fine_tuning import FineTuneClassifier
from skda.nn import DomainBatchNorm, DomainLayer, DomainStandardizer
from skda.training import AdaptationModule

METHODS = [getattr(skda.adaptation, name) for name in skda.adaptation.__all__]
METHODS = [cls for cls in METHODS if isinstance(cls, type) and issubclass(cls, DeepEstimator)]
if find_spec("ot") is None:  # needs an extra
    METHODS.remove(skda.adaptation.DeepJDOTClassifier)
SHORT = {"module__hidden_layer_sizes": (12, 8), "max_epochs": 1, "random_state": 0}
OF_SKDA = (AdaptationModule, DomainBatchNorm, DomainLayer, DomainStandardizer)


def fit(cls, few, **params):
    if cls is skda.adaptation.ShallowDANNClassifier:
        params = {"module__hidden_layer_sizes": (8,), **params}
    target = {} if cls is FineTuneClassifier else {"X_target": few["X_target"][:60]}
    return cls(**{**SHORT, **params}).fit(few["X"][:60], few["y"][:60], **target)


@pytest.fixture(scope="module")
def rows(digits):
    return digits.X_target[100:140].astype(np.float32)


@pytest.fixture(scope="module")
def dann(digits):
    return fit(
        DANNClassifier,
        {"X": digits.X, "y": digits.y, "X_target": digits.X_target},
        standardize="domain",
    )


def run(network, rows):
    with torch.no_grad():
        return network(torch.as_tensor(rows)).numpy()


@pytest.mark.parametrize("cls", one_of_each_kind([*METHODS, FineTuneClassifier]))
def test_networks_compute_what_estimators_do(cls, few, rows):
    clf = fit(cls, few)
    before = str(clf.net_.module_), copy.deepcopy(clf.net_.module_.state_dict())
    network = clf.to_torch("probabilities")
    np.testing.assert_allclose(run(network, rows), clf.predict_proba(rows), atol=1e-6)
    np.testing.assert_allclose(run(clf.to_torch("features"), rows), clf.transform(rows), atol=1e-6)
    logits = run(clf.to_torch(), rows)
    assert (clf.classes_[logits.argmax(axis=1)] == clf.predict(rows)).all()
    # The estimator stays as it is.
    assert str(clf.net_.module_) == before[0]
    after = clf.net_.module_.state_dict()
    assert all(torch.equal(after[name], values) for name, values in before[1].items())
    assert not any(isinstance(part, OF_SKDA) for part in network.modules())
    assert not network.training


@pytest.mark.parametrize("cls", [AdaBNClassifier, CoGANClassifier, DDCClassifier])
@pytest.mark.parametrize("standardize", [None, "domain"])
def test_every_domain_has_its_own_network(cls, standardize, few, rows):
    clf = fit(cls, few, standardize=standardize)
    outputs = {}
    for domain in ("source", "target", 0):
        outputs[domain] = run(clf.to_torch(domain=domain), rows)
        expected = clf.activations_of(rows, ("logits",), domain)["logits"]
        np.testing.assert_allclose(outputs[domain], expected, atol=1e-5)
    assert not np.allclose(outputs["source"], outputs["target"], atol=1e-3)


def test_of_several_targets_each_has_its_own_and_the_mixture_is_the_default(few, rows):
    targets = few["X_target"][:60], few["X_target"][60:] * 2
    clf = AdaBNClassifier(**SHORT).fit(few["X"], few["y"], X_target=targets)
    outputs = [run(clf.to_torch(domain=domain), rows) for domain in (0, 1, "target")]
    np.testing.assert_allclose(outputs[2], clf.decision_function(rows), atol=1e-6)
    for number in (0, 1):
        expected = clf.activations_of(rows, ("logits",), number)["logits"]
        np.testing.assert_allclose(outputs[number], expected, atol=1e-6)
    assert not np.allclose(outputs[0], outputs[1], atol=1e-3)


def test_classes_that_the_target_has_not_are_not_predicted_either(few, rows):
    y_target = np.where(few["y_target"] < 3, few["y_target"] + 20, -1)
    clf = LabelEfficientClassifier(**SHORT)
    clf.fit(few["X"], few["y"], X_target=few["X_target"], y_target=y_target)
    assert set(clf.predict(rows)) <= {20, 21, 22}
    for output, expected in (
        ("logits", clf.decision_function(rows)),
        ("probabilities", clf.predict_proba(rows)),
    ):
        np.testing.assert_allclose(run(clf.to_torch(output), rows), expected, atol=1e-6)


class Own(nn.Module):
    """A network of the user's."""

    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Linear(64, 8), nn.BatchNorm1d(8)
        self.last = nn.Linear(8, 4)

    def forward(self, X):
        return self.last(self.norm(self.first(X)).relu())


def test_the_state_fits_the_users_own_class(few, rows):
    clf = DANNClassifier(module=Own(), max_epochs=1, random_state=0)
    clf.fit(few["X"], few["y"], X_target=few["X_target"])
    network = clf.to_torch("features")
    own = Own().eval()
    own.load_state_dict(network.backbone.state_dict())
    np.testing.assert_array_equal(run(own, rows), clf.transform(rows))
    assert type(network) is nn.Sequential and type(network.backbone) is Own


def test_a_network_is_a_copy_on_the_cpu(dann, rows):
    network = dann.to_torch()
    expected = dann.decision_function(rows)
    with torch.no_grad():
        for parameter in network.parameters():
            assert parameter.device.type == "cpu" and parameter.requires_grad
            parameter.zero_()
    np.testing.assert_array_equal(dann.decision_function(rows), expected)


@pytest.mark.parametrize("cls", [DANNClassifier, DDCClassifier])
def test_traced_exported_and_stored_networks_are_the_same(cls, few, rows, tmp_path):
    network = fit(cls, few, standardize="domain").to_torch()
    expected, example = run(network, rows), torch.as_tensor(rows)
    np.testing.assert_allclose(
        run(torch.jit.trace(network, example[:4]), rows), expected, atol=1e-6
    )
    np.testing.assert_allclose(run(torch.jit.script(network), rows), expected, atol=1e-6)
    shapes = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(network, (example[:4],), dynamic_shapes=shapes, strict=False)
    np.testing.assert_allclose(run(program.module(), rows), expected, atol=1e-6)
    np.testing.assert_array_equal(run(copy.deepcopy(network), rows), expected)
    torch.save(network, tmp_path / "network.pt")


def test_a_stored_network_needs_no_skda(few, rows, tmp_path):
    clf = DANNClassifier(
        module=nn.Linear(64, 8), standardize="domain", max_epochs=1, random_state=0
    )
    network = clf.fit(few["X"], few["y"], X_target=few["X_target"]).to_torch()
    torch.save(network, tmp_path / "network.pt")
    code = (
        "import sys, torch\n"
        "network = torch.load(sys.argv[1], weights_only=False)\n"
        "assert network(torch.zeros(2, 64)).shape == (2, 10)\n"
        "assert not [name for name in sys.modules if name.startswith('skda')]\n"
    )
    path = os.fspath(tmp_path / "network.pt")
    subprocess.run([sys.executable, "-c", code, path], check=True)


def test_gradients_reach_the_inputs(dann, rows):
    inputs = torch.as_tensor(rows).requires_grad_()
    dann.to_torch()(inputs)[:, 3].sum().backward()
    assert inputs.grad is not None and inputs.grad.abs().sum() > 0


def test_inputs_by_name_go_in_as_keywords(few):
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 3)

        def forward(self, left, right):
            return self.layer(torch.cat([left, right], dim=1))

    X = {"left": few["X"][:, 20:22], "right": few["X"][:, 30:32]}
    clf = FineTuneClassifier(module=Two(), max_epochs=1, random_state=0).fit(X, few["y"])
    inputs = {name: torch.as_tensor(part).float() for name, part in X.items()}
    with torch.no_grad():
        logits = clf.to_torch()(**inputs).numpy()
    np.testing.assert_allclose(logits, clf.decision_function(X), atol=1e-6)
    with pytest.raises(ValueError, match="this one takes inputs by name; use to_torch"):
        clf.to_onnx("unused.onnx")


def test_images_go_in_as_the_network_takes_them(few):
    images = (few["X"].reshape(-1, 8, 8, 1) * 255).astype(np.uint8)
    clf = DANNClassifier(max_epochs=1, random_state=0, standardize="domain")
    clf.fit(images, few["y"], X_target=images[:100])
    inputs = images.transpose(0, 3, 1, 2).astype(np.float32) / 255
    np.testing.assert_allclose(
        run(clf.to_torch(), inputs), clf.decision_function(images), atol=1e-5
    )


@pytest.mark.parametrize(
    "args, message",
    [
        ({"output": "classes"}, "output must be one of 'logits', 'features', 'probabilities'"),
        ({"domain": "sauce"}, "domain must be 'target', 'source'; got 'sauce'"),
        ({"domain": 1}, "domain must be"),
        ({"domain": -1}, "domain must be"),
        ({"domain": True}, "domain must be"),
    ],
)
def test_what_there_is_not_is_told(args, message, dann):
    with pytest.raises(ValueError, match=message):
        dann.to_torch(**args)


# -- ONNX -----------------------------------------------------------------------------------------


@pytest.fixture
def session(tmp_path):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")

    def run_file(path, inputs):
        opened = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        (given,), (output,) = opened.get_inputs(), opened.get_outputs()
        values = opened.run(None, {given.name: inputs})[0]
        texts = opened.get_modelmeta().custom_metadata_map
        return values, (given.name, output.name), texts

    return run_file


@pytest.mark.parametrize(
    "output",
    [
        "probabilities",
        pytest.param("logits", marks=pytest.mark.slow),
        pytest.param("features", marks=pytest.mark.slow),
    ],
)
def test_files_of_onnx_compute_the_same_for_any_number_of_rows(
    output, dann, rows, session, tmp_path
):
    dann.to_onnx(tmp_path / "a.onnx", output)
    for part in (rows[:1], rows):
        values, names, texts = session(tmp_path / "a.onnx", part)
        np.testing.assert_allclose(values, run(dann.to_torch(output), part), atol=1e-5)
    assert names == ("input", output)
    assert json.loads(texts["classes"]) == list(range(10))
    assert json.loads(texts["input_shape"]) == [64] and texts["kind"] == "table"
    assert texts["output"] == output and texts["skda"] == skda.__version__
    assert os.listdir(tmp_path) == ["a.onnx"]


def test_a_file_of_onnx_says_how_images_are_prepared(pictures, session, tmp_path):
    size = {"size": 24, "mean": 0.5, "std": 0.25}
    clf = FineTuneClassifier(preprocess=size, max_epochs=1, random_state=0)
    clf.fit(pictures, ["b", "a"] * 3)
    clf.to_onnx(tmp_path / "a.onnx")
    inputs = np.stack([clf.preprocess_(picture).numpy() for picture in pictures])
    values, _, texts = session(tmp_path / "a.onnx", inputs)
    two = values[:, 1] - values[:, 0]
    np.testing.assert_allclose(two, clf.decision_function(pictures), atol=1e-5)
    told = json.loads(texts["preprocess"])
    assert told["size"] == [24, 24] and told["mean"] == 0.5 and told["std"] == 0.25
    assert texts["layout"] == "batch, channels, height, width"
    assert json.loads(texts["classes"]) == ["a", "b"]


class DependsOnData(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 4)

    def forward(self, X):
        return self.layer(X) if X.sum() > 0 else self.layer(-X)


def test_what_cannot_be_converted_is_told_and_leaves_the_file(few, session, tmp_path):
    clf = FineTuneClassifier(module=DependsOnData(), max_epochs=1, random_state=0)
    clf.fit(few["X"], few["y"])
    (tmp_path / "a.onnx").write_bytes(b"old")
    with pytest.raises(ValueError, match=r"(?s)cannot be converted to ONNX: .*Use to_torch"):
        clf.to_onnx(tmp_path / "a.onnx")
    assert (tmp_path / "a.onnx").read_bytes() == b"old"


def test_without_onnx_the_extra_is_named(dann, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"skda\[onnx\]"):
        dann.to_onnx(tmp_path / "a.onnx")
