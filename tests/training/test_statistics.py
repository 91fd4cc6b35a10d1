"""Moments of domains, and exact statistics of batch norms."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from skda.nn import MLP, ConvNet, DomainRows, DomainStandardizer
from skda.training import AdaptationModule, AdaptationNet
from skda.training._statistics import set_population_statistics, standardization

RNG = np.random.default_rng(0)
# Sorted, so that every batch is far from the whole.
ROWS = np.sort(3 * RNG.standard_normal((100, 5)) + 2, axis=0).astype(np.float32)


def _net(backbone=None, batch_size=1000, n_targets=1):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        backbone = backbone or MLP(5, hidden_layer_sizes=(8, 7, 6), dropout=0.5)
        module = AdaptationModule(backbone, nn.Linear(6, 2), n_targets=n_targets)
    net = AdaptationNet(module, iterator_valid__batch_size=batch_size, verbose=0)
    return net.initialize()


def _statistics(net):
    return [
        value
        for norm in net.module_.domain_batch_norms()
        for value in (norm.norms[-1].running_mean, norm.norms[-1].running_var)
    ]


def _assert_close(actual, expected):
    for a, b in zip(actual, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("batch_size", [1000, 100, 99, 50, 7, 1])
def test_statistics_are_those_of_all_rows_layer_by_layer(batch_size):
    """The reference: a plain loop in float64, dropout off, a layer after the other."""
    net = _net(batch_size=batch_size)
    net.estimate_target_statistics([ROWS])
    x = torch.from_numpy(ROWS).double()
    expected = []
    for block in net.module_.backbone:
        x = x @ block[0].weight.detach().double().T
        mean, variance = x.mean(dim=0), x.var(dim=0, correction=0)
        expected += [mean.float(), variance.float()]
        x = ((x - mean) / (variance + 1e-5).sqrt()).relu()
    _assert_close(_statistics(net), expected)


def test_statistics_do_not_depend_on_the_order_of_rows():
    sorted_net, mixed_net = _net(batch_size=16), _net(batch_size=16)
    sorted_net.estimate_target_statistics([ROWS])
    mixed_net.estimate_target_statistics([RNG.permutation(ROWS)])
    _assert_close(_statistics(mixed_net), _statistics(sorted_net))


def test_statistics_of_images_run_over_pixels_too():
    images = RNG.standard_normal((30, 1, 8, 8)).astype(np.float32)
    backbone = ConvNet(1, (8, 8), channels=(3, 4), hidden_layer_sizes=(6,))
    nets = [_net(copy.deepcopy(backbone), size) for size in (30, 8)]
    for net in nets:
        net.estimate_target_statistics([images])
    with torch.no_grad():
        x = nets[0].module_.backbone.conv1[0](torch.from_numpy(images))
    mean, variance, *_ = _statistics(nets[0])
    torch.testing.assert_close(mean, x.mean(dim=(0, 2, 3)))
    torch.testing.assert_close(variance, x.var(dim=(0, 2, 3), correction=0))
    _assert_close(_statistics(nets[1]), _statistics(nets[0]))


def test_a_large_offset_costs_no_digits():
    norm = nn.BatchNorm1d(1).eval()
    x = torch.tensor([[0.0], [1.0], [2.0], [3.0]]) + 1e5
    set_population_statistics([norm], norm, [x[:1], x[1:2], x[2:]])
    assert norm.running_mean.item() == 1e5 + 1.5
    assert norm.running_var.item() == 1.25


@pytest.mark.parametrize("batch_size, n_forwards", [(100, 1), (50, 4), (25, 10)])
def test_number_of_forwards(batch_size, n_forwards):
    net = _net(batch_size=batch_size)
    seen = []
    net.module_.backbone.hidden1[0].register_forward_hook(lambda *args: seen.append(1))
    net.estimate_target_statistics([ROWS])
    assert len(seen) == n_forwards


def test_only_the_targets_statistics_change():
    net = _net(batch_size=30, n_targets=2)
    before = {name: value.clone() for name, value in net.module_.state_dict().items()}
    net.estimate_target_statistics([ROWS, ROWS + 1])
    after = net.module_.state_dict()
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert changed == {
        f"backbone.hidden{layer}.1.norms.{number}.running_{moment}"
        for layer in (1, 2, 3)
        for number in (1, 2, 3)
        for moment in ("mean", "var")
    }
    assert net.module_.rows.sizes is None and net.module_._recorded == {}


def test_a_batch_norm_that_takes_no_part_is_passed_over():
    class Network(nn.Sequential):
        def forward(self, x):
            return self[0](x)

    network = Network(nn.BatchNorm1d(5), nn.BatchNorm1d(5)).eval()
    x = torch.from_numpy(ROWS)
    set_population_statistics(list(network), network, [x[:60], x[60:]])
    torch.testing.assert_close(network[0].running_mean, x.mean(dim=0))
    assert not network[1].running_mean.any()


def test_of_a_batch_norm_that_is_used_twice_the_first_input_counts():
    norm = nn.BatchNorm1d(5).eval()
    x = torch.from_numpy(ROWS)
    for batches in ([x], [x[:60], x[60:]]):
        set_population_statistics([norm], lambda part: norm(norm(part) + 9), batches)
        torch.testing.assert_close(norm.running_mean, x.mean(dim=0))


def test_layers_without_statistics_are_left_alone():
    norm = nn.BatchNorm1d(5, track_running_stats=False).eval()
    set_population_statistics([norm], norm, [torch.from_numpy(ROWS)])
    assert norm.running_mean is None


def test_hooks_go_when_a_forward_fails():
    norm = nn.BatchNorm1d(5).eval()
    with pytest.raises(ValueError, match="expected 2D or 3D"):
        set_population_statistics([norm], norm, [torch.zeros(3, 5, 2, 2)])
    assert not norm._forward_pre_hooks


@pytest.mark.filterwarnings("ignore")
def test_a_compiled_network_is_measured_too():
    module = AdaptationModule(MLP(5, hidden_layer_sizes=(6,)), nn.Linear(6, 2), n_targets=1)
    net = AdaptationNet(module, compile=True, compile__backend="aot_eager", verbose=0).initialize()
    rows = torch.from_numpy(ROWS)
    net.predict(ROWS)
    net.estimate_target_statistics([ROWS])
    expected = module.backbone.hidden1[0](rows).mean(dim=0)
    torch.testing.assert_close(_statistics(net)[0], expected.detach())


# -- standardization --------------------------------------------------------------------------


def test_moments_of_several_domains_end_with_their_mixture():
    domains = [ROWS, ROWS[::2] * 2 + 5]
    *_, (mean, scale) = standardization(domains)
    both = np.concatenate([ROWS[::2], ROWS[1::2], *[domains[1]] * 2]).astype(float)
    np.testing.assert_allclose(mean, both.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(scale, both.std(axis=0), rtol=1e-5)


def test_moments_of_one_domain():
    images = RNG.integers(0, 255, (10, 4, 4, 3)).astype(np.uint8)
    images[..., 2] = 51
    ((mean, scale),) = standardization([images])
    assert mean.shape == scale.shape == (3, 1, 1)
    assert mean[2].item() == pytest.approx(0.2) and scale[2].item() == pytest.approx(1)
    np.testing.assert_allclose(scale[0, 0, 0], (images[..., 0] / 255).std(), rtol=1e-5)


def test_moments_of_series_run_over_rows_and_time():
    generator = np.random.default_rng(0)
    X = generator.normal([[3], [-1]], [[1], [4]], (30, 2, 50)).astype(np.float32)
    X[:, 0] = X[0, 0, 0]  # a constant channel
    ((mean, scale),) = standardization([X])
    assert mean.shape == scale.shape == (2, 1)
    np.testing.assert_allclose(mean[:, 0], [X[0, 0, 0], X[:, 1].mean()], rtol=1e-4)
    np.testing.assert_allclose(scale[:, 0], [1, X[:, 1].std()], rtol=1e-4)
    standardised = DomainStandardizer([(mean, scale)], DomainRows((1,)))(torch.from_numpy(X))
    torch.testing.assert_close(standardised.mean(dim=(0, 2)), torch.zeros(2), rtol=0, atol=1e-4)
