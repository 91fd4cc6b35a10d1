"""Names of networks: of libraries, of the hub, and of folders."""

import json

import numpy as np
import pytest
import torch

from skda.backbones import BackboneResolver
from skda.feature_extraction import DeepFeatureExtractor


def started(module, weights="pretrained", **keywords):
    resolver = BackboneResolver(module, weights, keywords)
    resolver.start()
    return resolver


@pytest.fixture
def timm_folder(tmp_path):
    """A tiny network of timm in the format of the hub, and its instance."""
    timm = pytest.importorskip("timm")
    pytest.importorskip("safetensors")
    torch.manual_seed(0)
    network = timm.create_model(
        "test_resnet", num_classes=5, pretrained_cfg_overlay=dict(input_size=(3, 96, 96))
    )
    timm.models.save_for_hf(network, tmp_path / "tiny")
    return tmp_path / "tiny", network


@pytest.mark.parametrize("form", ["timm/local-dir:{}", "timm/{}", "{}", "local-dir:{}"])
def test_folder_of_timm(timm_folder, form, pictures):
    folder, network = timm_folder
    by_name, by_instance = (
        DeepFeatureExtractor(module, engine="eager", precision="float32").fit(pictures)
        for module in (form.format(folder), network)
    )
    assert by_name.input_shape_ == (3, 96, 96)
    np.testing.assert_array_equal(by_name.transform(pictures), by_instance.transform(pictures))


def test_folder_may_be_given_without_weights(timm_folder):
    folder, network = timm_folder
    module = started(str(folder), None).build((3, 96, 96))
    assert not torch.equal(module.layer1[0].conv1.weight, network.layer1[0].conv1.weight)


def test_folder_in_the_home(timm_folder, monkeypatch):
    folder, _ = timm_folder
    monkeypatch.setenv("HOME", str(folder.parent))
    assert started("~/tiny").preprocess.size == (96, 96)


@pytest.mark.parametrize("content", [None, "{"])
def test_folder_without_a_network(content, tmp_path):
    if content:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(ValueError, match=r"module: .*config\.json"):
        started(str(tmp_path))


def test_folder_of_timm_without_a_configuration(tmp_path):
    pytest.importorskip("timm")
    with pytest.raises(ValueError, match=r"module: .*no config\.json.*save_for_hf"):
        started(f"timm/{tmp_path}")


def test_folder_of_timm_without_weights(timm_folder):
    folder, _ = timm_folder
    for path in folder.glob("*.safetensors"):
        path.unlink()
    for path in folder.glob("*.bin"):
        path.unlink()
    with pytest.raises(
        ValueError, match=r"weights: the pretrained weights of timm/.*cannot be had"
    ):
        started(str(folder))


@pytest.mark.parametrize("name", ["resnet18", "user/resnet18", "keras/resnet18", "/no/folder"])
def test_name_without_a_library(name):
    last = name.rpartition("/")[2]
    with pytest.raises(ValueError, match=f"or is a folder or 'hf-hub:.*'timm/{last}'"):
        started(name)


def test_library_is_read_from_the_folder(tmp_path):
    pytest.importorskip("transformers")
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "wav2vec2"}))
    with pytest.raises(ValueError, match=r"module: transformers/.* takes no images"):
        started(str(tmp_path))
