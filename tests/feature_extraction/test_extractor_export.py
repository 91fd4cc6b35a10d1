"""The network of an extractor for other programs computes its features."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from skda.adaptation import AdaBNClassifier
from skda.feature_extraction import DeepFeatureExtractor

SETTINGS = [
    {},
    {"layers": ("conv1", "features")},
    {"layers": "conv2", "pooling": "max", "power": 0.5, "normalize": True},
    {"layers": ("conv1",), "pooling": "flatten", "augment": "flip"},
    {"augment": "sixteen", "power": 0.5},
]


@pytest.fixture(scope="module")
def images():
    return np.random.RandomState(0).randint(256, size=(7, 20, 18, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def inputs(images):
    return torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.float32) / 255)


def extractor(images, **params):
    return DeepFeatureExtractor(engine="eager", random_state=0, **params).fit(images)


def run(network, inputs):
    with torch.no_grad():
        return network(inputs).numpy()


@pytest.mark.parametrize("params", SETTINGS, ids=str)
def test_the_network_computes_the_features(params, images, inputs):
    fitted = extractor(images, **params)
    network = fitted.to_torch()
    for rows in (inputs[:2], inputs):
        np.testing.assert_allclose(
            run(network, rows), fitted.transform(images[: len(rows)]), atol=1e-6
        )
    assert network.backbone is not fitted.module_ and not network.training


def test_it_can_be_traced_and_exported(images, inputs):
    network = extractor(images, layers=("conv1", "features"), normalize=True).to_torch()
    expected = run(network, inputs)
    np.testing.assert_allclose(
        run(torch.jit.trace(network, inputs[:3]), inputs), expected, atol=1e-6
    )
    shapes = ({0: torch.export.Dim("batch")},)
    program = torch.export.export(network, (inputs[:3],), dynamic_shapes=shapes, strict=False)
    np.testing.assert_allclose(run(program.module(), inputs), expected, atol=1e-6)


def test_of_a_fitted_estimator_the_target_counts(few):
    clf = AdaBNClassifier(max_epochs=1, random_state=0, standardize="domain")
    clf.fit(few["X"], few["y"], X_target=few["X_target"])
    fitted = DeepFeatureExtractor(clf, layers=("hidden1", "features")).fit(few["X_target"])
    rows = torch.from_numpy(few["X_target"]).float()
    np.testing.assert_allclose(
        run(fitted.to_torch(), rows), fitted.transform(few["X_target"]), atol=1e-5
    )


def test_the_state_has_the_keys_of_the_users_module(images):
    module = nn.Sequential(nn.Flatten(), nn.Linear(20 * 18 * 3, 4))
    fitted = extractor(images, module=module)
    assert list(fitted.to_torch().backbone.state_dict()) == list(module.state_dict())


@pytest.mark.parametrize(
    "params",
    [SETTINGS[2], *(pytest.param(params, marks=pytest.mark.slow) for params in SETTINGS)],
    ids=str,
)
def test_files_of_onnx_compute_the_same(params, images, inputs, tmp_path):
    for library in ("onnx", "onnxscript"):
        pytest.importorskip(library)
    onnxruntime = pytest.importorskip("onnxruntime")
    fitted = extractor(images, **params)
    fitted.to_onnx(tmp_path / "a.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "a.onnx", providers=["CPUExecutionProvider"])
    for n_rows in (1, 7):
        (values,) = session.run(["features"], {"input": inputs[:n_rows].numpy()})
        np.testing.assert_allclose(values, fitted.transform(images[:n_rows]), atol=1e-5)
    texts = session.get_modelmeta().custom_metadata_map
    assert json.loads(texts["layers"]) == fitted.layer_sizes_
    assert texts["scale"] == "pixels of 0 to 255 are divided by 255"
