"""Networks for grey images."""

import numpy as np
import pytest
import torch
from torch import nn

from skda.adaptation import DeepCORALClassifier
from skda.backbones import BackboneResolver
from skda.images import ImagePreprocess
from skda.nn import ConvNet


def started(module, **keywords):
    resolver = BackboneResolver(module, None if isinstance(module, str) else "pretrained", keywords)
    resolver.start()
    return resolver


@pytest.mark.parametrize("how", ["name", "instance"])
@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_grey_network_of_timm(name, how, pictures):
    timm = pytest.importorskip("timm")
    resolver = (
        started(f"timm/{name}", in_chans=1)
        if how == "name"
        else started(timm.create_model(name, in_chans=1))
    )
    colour = started(f"timm/{name}").preprocess
    own = resolver.preprocess
    assert resolver.n_channels == 1 and own.size == colour.size
    assert own.mean == pytest.approx((np.mean(colour.mean),))
    pixels = own(pictures[0].convert("L"))
    assert resolver.build(tuple(pixels.shape))(pixels[None]).ndim == 2
    with pytest.raises(ValueError, match="preprocess: images must be in mode L"):
        own(pictures[0])


def test_grey_network_of_torchvision():
    models = pytest.importorskip("torchvision.models")
    network = models.resnet18()
    network.conv1 = nn.Conv2d(1, 64, 7, 2, 3, bias=False)
    resolver = started(network)
    assert resolver.n_channels == 1 and resolver.preprocess == ImagePreprocess().to_grey()


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten()), 1),
        (nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten()), 3),
        (nn.Sequential(nn.Conv2d(5, 2, 3), nn.Flatten()), None),
        (nn.Sequential(nn.Flatten(), nn.Linear(4, 2), nn.Conv2d(1, 2, 3)), None),
        (nn.Sequential(nn.Conv1d(1, 2, 3), nn.Flatten()), None),
        (ConvNet(1, (8, 8)), 1),
    ],
    ids=["grey", "colour", "bands", "table", "series", "own"],
)
def test_channels_of_an_instance(module, expected):
    assert started(module).n_channels == expected


def test_channels_of_timm_that_rearranges_pixels():
    timm = pytest.importorskip("timm")
    with torch.device("meta"):
        network = timm.create_model("tresnet_m")
    assert started(network).n_channels is None


def test_channels_of_a_fitted_estimator():
    X = np.random.RandomState(0).normal(size=(8, 1, 8, 8)).astype(np.float32)
    clf = DeepCORALClassifier(max_epochs=1).fit(X, [0, 1] * 4, X_target=X)
    assert BackboneResolver(clf, "pretrained", {}).n_channels == 1


def test_grey_network_with_a_transform_of_timm(pictures):
    timm = pytest.importorskip("timm")
    overlay = dict(crop_mode="border", input_size=(3, 32, 32))
    network = timm.create_model("test_resnet", in_chans=1, pretrained_cfg_overlay=overlay)
    assert started(network).preprocess(pictures[0].convert("L")).shape == (1, 32, 32)
