"""The blocks of networks."""

import pytest
import torch
from torch import nn

from skda.nn import MLP, ConvNet
from skda.training import list_blocks


def names(network):
    return [block.name for block in list_blocks(network)]


def test_default_networks():
    assert names(MLP(8, hidden_layer_sizes=(4, 4, 4))) == ["hidden1.0", "hidden2.0", "hidden3.0"]
    assert names(ConvNet(1, (8, 8))) == ["conv1.0", "conv2.0", "hidden1.0"]


def test_what_has_no_weights_belongs_to_the_layer_before():
    network = nn.Sequential(
        nn.Flatten(), nn.Linear(4, 3), nn.BatchNorm1d(3), nn.ReLU(), nn.Dropout(), nn.Linear(3, 2)
    )
    first, second = list_blocks(network)
    assert first.modules == ("0", "1", "2", "3", "4") and second.modules == ("5",)


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 4))
        self.stem = nn.Linear(4, 4)
        self.stages = nn.ModuleList([nn.Sequential(Residual(4), Residual(4)), Residual(4)])
        self.norm = nn.LayerNorm(4)


@pytest.mark.parametrize("wrap, prefix", [(nn.Identity, ""), (nn.Sequential, "0.")])
def test_containers_are_opened_and_other_modules_are_not(wrap, prefix):
    network = Network() if not prefix else wrap(Network(), nn.Flatten())
    expected = ["stem", "stages.0.0", "stages.0.1", "stages.1"]
    assert names(network) == [prefix + name for name in expected]


def test_parameters_of_the_network_itself_go_with_the_first_block():
    blocks = list_blocks(Network())
    assert blocks[0].parameters == ("token",) and blocks[-1].modules == ("stages.1", "norm")


@pytest.mark.parametrize("network", [Network(), nn.Sequential(Network()), MLP(4), nn.Linear(2, 2)])
def test_blocks_hold_every_parameter_once(network):
    found = [id(p) for block in list_blocks(network) for p in block.get_parameters(network)]
    assert sorted(found) == sorted(id(p) for p in network.parameters())


def test_a_network_without_weights_has_no_blocks():
    assert list_blocks(nn.Sequential(nn.Flatten(), nn.ReLU())) == []


def test_reset_parameters_draws_what_a_new_layer_has():
    torch.manual_seed(0)
    network = MLP(4)
    torch.manual_seed(0)
    trained = MLP(4)
    trained(torch.randn(9, 4))
    with torch.no_grad():
        for parameter in trained.parameters():
            parameter.add_(1)
    torch.manual_seed(0)
    for block in list_blocks(trained):
        block.reset_parameters(trained)
    expected = network.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in trained.state_dict().items())


def test_loose_parameters_cannot_be_reset():
    network = Network()
    with pytest.raises(ValueError, match="'token'"):
        list_blocks(network)[0].reset_parameters(network)


@pytest.mark.parametrize(
    "model, n_blocks", [("alexnet", 7), ("vgg11", 10), ("resnet18", 9), ("mobilenet_v2", 19)]
)
def test_networks_of_torchvision(model, n_blocks):
    models = pytest.importorskip("torchvision.models")
    with torch.device("meta"):
        network = models.get_model(model)
    assert len(list_blocks(network)) - 1 == n_blocks  # without the classifier


@pytest.mark.parametrize(
    "model, n_blocks", [("mobilenetv2_100", 19), ("resnet18", 9), ("vit_tiny_patch16_224", 13)]
)
def test_networks_of_timm(model, n_blocks):
    timm = pytest.importorskip("timm")
    network = timm.create_model(model, num_classes=0)
    assert len(list_blocks(network)) == n_blocks
