"""The default networks."""

import numpy as np
import pytest
import torch
from torch import nn

from skda.nn import MLP, ConvNet, DomainDiscriminator


def test_mlp_ends_in_the_last_hidden_layer():
    assert MLP(8, hidden_layer_sizes=(16, 4))(torch.zeros(5, 8)).shape == (5, 4)


@pytest.mark.parametrize(
    "n_columns, widths",
    [(2, (128, 64)), (127, (128, 64)), (128, (512, 128)), (1024, (512, 128)), (1025, (128, 64))],
)
def test_mlp_is_wider_for_many_columns(n_columns, widths):
    network = MLP(n_columns)
    assert network.hidden_layer_sizes == widths
    assert network(torch.zeros(2, n_columns)).shape == (2, widths[-1])


def test_mlp_of_a_hundred_thousand_columns_fits_into_memory():
    weights = sum(part.numel() for part in MLP(100_000).parameters())
    assert weights < 1.3e7  # 200 MB in training with Adam; 800 with 512 units


def test_mlp_refuses_an_unknown_rule_of_widths():
    with pytest.raises(ValueError, match=r"must be 'auto' or a tuple of widths .* got 'wide'"):
        MLP(8, hidden_layer_sizes="wide")


def test_mlp_names_its_layers():
    assert [name for name, _ in MLP(8).named_children()] == ["hidden1", "hidden2"]


def test_mlp_without_hidden_layers_passes_its_input():
    x = torch.randn(5, 8)
    assert torch.equal(MLP(8, hidden_layer_sizes=())(x), x)


@pytest.mark.parametrize("batch_norm", [True, False])
def test_mlp_batch_norm_is_a_choice(batch_norm):
    network = MLP(8, batch_norm=batch_norm)
    found = sum(isinstance(module, nn.BatchNorm1d) for module in network.modules())
    assert found == (2 if batch_norm else 0)
    # A bias in front of a batch norm would have no effect.
    assert (network.hidden1[0].bias is None) == batch_norm


def test_mlp_drops_hidden_units_in_training_alone():
    network = MLP(8, hidden_layer_sizes=(400,), dropout=0.5, batch_norm=False)
    x = torch.ones(1, 8)
    dropped = (network(x) == 0).float().mean()
    network.eval()
    assert dropped > (network(x) == 0).float().mean() + 0.1


@pytest.mark.parametrize(
    "channels, size", [(1, (8, 8)), (1, (28, 28)), (3, (32, 32)), (2, (9, 20))]
)
def test_convnet_takes_images_of_many_sizes(channels, size):
    assert ConvNet(channels, size)(torch.zeros(5, channels, *size)).shape == (5, 100)


def test_convnet_pools_away_all_but_the_smallest_image():
    network = ConvNet(1, (4, 4), hidden_layer_sizes=())
    assert network(torch.zeros(2, 1, 4, 4)).shape == (2, 48)


def test_convnet_of_lenet_size_has_lenet_maps():
    network = ConvNet(1, (28, 28), hidden_layer_sizes=())
    assert network(torch.zeros(2, 1, 28, 28)).shape == (2, 48 * 4 * 4)


@pytest.mark.parametrize("size", [(3, 28), (28, 3), (1, 1)])
def test_convnet_refuses_images_that_pooling_would_consume(size):
    with pytest.raises(ValueError, match=f"at least 4 pixels a side, got {size[0]} x {size[1]}"):
        ConvNet(1, size)


def test_convnet_with_fewer_channels_takes_smaller_images():
    assert ConvNet(1, (3, 3), channels=(8,))(torch.zeros(2, 1, 3, 3)).shape == (2, 100)


@pytest.mark.parametrize("batch_norm", [True, False])
def test_convnet_batch_norm_is_a_choice(batch_norm):
    network = ConvNet(1, (28, 28), batch_norm=batch_norm)
    kinds = (nn.BatchNorm1d, nn.BatchNorm2d)
    found = sum(isinstance(module, kinds) for module in network.modules())
    assert found == (3 if batch_norm else 0)


def test_mlp_has_the_activation_that_is_given():
    network = MLP(3, hidden_layer_sizes=(4, 2), activation=nn.Sigmoid)
    kinds = [type(part) for part in network.modules()]
    assert kinds.count(nn.Sigmoid) == 2 and nn.ReLU not in kinds


def test_one_layer_may_come_without_a_tuple():
    assert MLP(8, hidden_layer_sizes=5).hidden_layer_sizes == (5,)
    assert ConvNet(1, (8, 8), channels=4, hidden_layer_sizes=np.int64(6))(
        torch.zeros(2, 1, 8, 8)
    ).shape == (2, 6)
    assert DomainDiscriminator(4, hidden_layer_sizes=3)(torch.zeros(2, 4)).shape == (2, 1)


@pytest.mark.parametrize("sizes", [0, -1, 2.5, True, None, (64, 0), ("a",), {"a": 1}])
def test_widths_are_whole_numbers(sizes):
    for network in (MLP, DomainDiscriminator):
        with pytest.raises(ValueError, match="hidden_layer_sizes must be whole numbers of 1"):
            network(8, hidden_layer_sizes=sizes)
    with pytest.raises(ValueError, match="channels must be whole numbers of 1 or more"):
        ConvNet(1, (8, 8), channels=sizes)
