import copy

import pytest
import torch
from torch import nn

from skda.nn import DomainLayer, DomainRows


def _layer(sizes=None):
    layer = DomainLayer(nn.Linear(2, 2), DomainRows(sizes))
    nn.init.zeros_(layer.target.weight)
    return layer


def test_both_layers_start_alike():
    layer = DomainLayer(nn.Linear(2, 2), DomainRows((3, 2)))
    x = torch.randn(5, 2)
    assert torch.equal(layer(x), layer.source(x))
    assert layer.source.weight is not layer.target.weight


@pytest.mark.parametrize(
    ("sizes", "n_source"), [((3, 2), 3), ((3, 1, 1), 3), ((1,), 5), ((0, 0, 1), 0), (None, 0)]
)
def test_rows_meet_the_layer_of_their_domain(sizes, n_source):
    layer, x = _layer(sizes), torch.randn(5, 2)
    expected = torch.cat([layer.source(x[:n_source]), layer.target(x[n_source:])])
    torch.testing.assert_close(layer(x), expected)


def test_the_first_layer_with_weights_that_learns_is_split():
    network = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2)))
    network[1].requires_grad_(False)
    DomainLayer.split_first(network, DomainRows())
    found = [isinstance(part, DomainLayer) for part in (*network[:2], network[2][0])]
    assert found == [False, False, True]


def test_a_layer_that_is_used_twice_is_split_once():
    linear = nn.Linear(2, 2)
    network = nn.Sequential(linear, nn.ReLU(), linear)
    DomainLayer.split_first(network, DomainRows())
    assert isinstance(network[0], DomainLayer) and network[0] is network[2]


def test_a_network_that_does_not_learn_is_not_split():
    network = nn.Sequential(nn.Linear(2, 2)).requires_grad_(False)
    DomainLayer.split_first(network, DomainRows())
    assert isinstance(network[0], nn.Linear)


def test_the_targets_layer_is_kept():
    network = nn.Sequential(_layer(), nn.ReLU())
    x = torch.randn(5, 2)
    expected = network(x)
    kept = DomainLayer.keep_target(copy.deepcopy(network))
    assert isinstance(kept[0], nn.Linear) and torch.equal(kept(x), expected)
    layer = _layer()
    assert DomainLayer.keep_target(layer) is layer.target
