"""Batch normalisation and standardisation per domain."""

import copy
import pickle

import pytest
import torch
from torch import nn

from skda.nn import DomainBatchNorm, DomainRows, DomainStandardizer, SharedBatchNorm


def _norm(n_domains=2, sizes=(6, 4), n_features=3, **keywords):
    rows = DomainRows(sizes)
    return DomainBatchNorm(nn.BatchNorm1d(n_features, **keywords), n_domains, rows), rows


def _batch(n_source=6, n_target=4, n_features=3):
    generator = torch.Generator().manual_seed(0)
    source = torch.randn(n_source, n_features, generator=generator)
    return torch.cat([source, 3 * torch.randn(n_target, n_features, generator=generator) + 10])


# -- DomainBatchNorm --------------------------------------------------------------------------


def test_each_domain_is_normalised_by_its_own_batch():
    norm, _ = _norm()
    x = _batch()
    for part, expected in zip(norm(x).split([6, 4]), x.split([6, 4]), strict=True):
        torch.testing.assert_close(part, nn.BatchNorm1d(3)(expected))
        torch.testing.assert_close(part.mean(dim=0), torch.zeros(3), rtol=0, atol=1e-5)


def test_series_are_normalised_over_rows_and_time():
    norm, _ = _norm(n_features=2)
    x = torch.randn(10, 2, 50) * torch.tensor([1.0, 5.0])[:, None]
    x[6:] = 3 * x[6:] + 10
    for part in norm(x).split([6, 4]):
        torch.testing.assert_close(part.mean(dim=(0, 2)), torch.zeros(2), rtol=0, atol=1e-5)
        deviations = part.std(dim=(0, 2), correction=0)
        torch.testing.assert_close(deviations, torch.ones(2), rtol=0, atol=1e-3)


def test_running_statistics_are_kept_apart():
    norm, _ = _norm()
    x = _batch()
    norm(x)
    for layer, part in zip(norm.norms, x.split([6, 4]), strict=True):
        torch.testing.assert_close(layer.running_mean, 0.1 * part.mean(dim=0))
        torch.testing.assert_close(layer.running_var, 0.9 + 0.1 * part.var(dim=0))


def test_a_domain_without_rows_keeps_its_statistics():
    norm, rows = _norm(n_domains=3)
    rows.sizes = DomainRows.target_alone(1)
    norm(_batch())
    assert [layer.num_batches_tracked.item() for layer in norm.norms] == [0, 0, 1]


def test_source_alone_uses_the_first_statistics():
    norm, rows = _norm()
    rows.sizes = DomainRows.SOURCE_ALONE
    norm(_batch())
    assert [layer.num_batches_tracked.item() for layer in norm.norms] == [1, 0]


def test_prediction_uses_the_statistics_of_the_last_domain():
    norm, rows = _norm()
    x = _batch()
    norm(x)
    norm.eval()
    rows.sizes = None
    expected = nn.functional.batch_norm(x, norm.norms[1].running_mean, norm.norms[1].running_var)
    torch.testing.assert_close(norm(x), expected)
    assert not torch.allclose(norm.norms[0](x), expected)


@pytest.mark.parametrize(
    "change",
    [
        lambda norm: norm,
        copy.deepcopy,
        lambda norm: pickle.loads(pickle.dumps(norm)),
        lambda norm: norm.to(torch.float64),
        lambda norm: copy.deepcopy(nn.Sequential(norm).to(torch.float64))[0],
    ],
    ids=["itself", "deepcopy", "pickle", "to", "to-deepcopy"],
)
def test_scale_and_shift_stay_shared(change):
    norm = change(_norm(n_domains=3)[0])
    for layer in norm.norms[1:]:
        assert layer.weight is norm.norms[0].weight
        assert layer.bias is norm.norms[0].bias
    assert len(list(norm.parameters())) == 2


def test_rows_stay_shared_by_the_layers_of_a_copied_network():
    rows = DomainRows((3, 3))
    network = nn.Sequential(nn.BatchNorm1d(2), nn.BatchNorm1d(2))
    network = copy.deepcopy(DomainBatchNorm.convert(network, 2, rows))
    assert network[0].rows is network[1].rows is not rows


def test_gradients_of_both_domains_reach_the_shared_scale():
    norm, _ = _norm()
    x = _batch()
    upstream = torch.arange(30.0).view(10, 3)
    (norm(x) * upstream).sum().backward()
    together = norm.norms[0].weight.grad
    plain = [nn.BatchNorm1d(3) for _ in range(2)]
    for layer, part, weight in zip(plain, x.split([6, 4]), upstream.split([6, 4]), strict=True):
        (layer(part) * weight).sum().backward()
    torch.testing.assert_close(together, plain[0].weight.grad + plain[1].weight.grad)


def test_pooled_statistics_are_those_of_the_mixture_of_targets():
    norm, rows = _norm(n_domains=4, sizes=None, momentum=1.0)
    generator = torch.Generator().manual_seed(2)
    targets = [torch.randn(500, 3, generator=generator) * (k + 1) + 5 * k for k in range(2)]
    for number, target in enumerate(targets):
        rows.sizes = DomainRows.target_alone(number)
        norm(target)
    source_mean = norm.norms[0].running_mean.clone()
    norm.pool_targets()
    mixture = torch.cat(targets)
    # The running variance is the unbiased one, hence the small tolerance.
    torch.testing.assert_close(norm.norms[-1].running_mean, mixture.mean(dim=0))
    variance = mixture.var(dim=0, correction=0)
    torch.testing.assert_close(norm.norms[-1].running_var, variance, rtol=3e-3, atol=0)
    assert torch.equal(norm.norms[0].running_mean, source_mean)


def test_pooling_without_running_statistics_does_nothing():
    norm, _ = _norm(n_domains=4, track_running_stats=False)
    norm.pool_targets()
    assert norm.norms[-1].running_mean is None


# -- convert ----------------------------------------------------------------------------------


class _ScaledNorm(nn.BatchNorm1d):
    def forward(self, x):
        return 100 * super().forward(x)


def test_convert_reaches_nested_modules():
    network = nn.Sequential(
        nn.Linear(2, 3),
        nn.Sequential(nn.BatchNorm1d(3), nn.ModuleDict({"inner": nn.BatchNorm1d(3)})),
    )
    rows = DomainRows()
    assert DomainBatchNorm.convert(network, 2, rows) is network
    assert isinstance(network[1][0], DomainBatchNorm)
    assert isinstance(network[1][1]["inner"], DomainBatchNorm)
    assert network[1][0].rows is rows


def test_convert_replaces_a_bare_batch_norm():
    norm = nn.BatchNorm1d(3)
    converted = DomainBatchNorm.convert(norm, 3, DomainRows())
    assert isinstance(converted, DomainBatchNorm)
    assert len(converted.norms) == 3 and converted.norms[0] is norm


@pytest.mark.parametrize(
    "layer, shape",
    [
        (nn.BatchNorm1d, (3,)),
        (nn.BatchNorm1d, (3, 5)),
        (nn.BatchNorm2d, (3, 5, 4)),
        (nn.BatchNorm3d, (3, 2, 5, 4)),
    ],
)
def test_convert_keeps_every_kind_of_batch_norm(layer, shape):
    x = torch.randn(10, *shape, generator=torch.Generator().manual_seed(3))
    x[6:] += 9
    converted = DomainBatchNorm.convert(nn.Sequential(layer(3)), 2, DomainRows((6, 4)))
    expected = torch.cat([layer(3)(part) for part in x.split([6, 4])])
    torch.testing.assert_close(converted(x), expected)


def test_convert_keeps_the_forward_of_a_subclass():
    converted = DomainBatchNorm.convert(_ScaledNorm(3), 2, DomainRows((6, 4)))
    x = _batch()
    expected = torch.cat([100 * nn.BatchNorm1d(3)(part) for part in x.split([6, 4])])
    torch.testing.assert_close(converted(x), expected)


def test_convert_starts_every_domain_from_the_given_statistics():
    norm = nn.BatchNorm1d(3)
    norm(_batch())
    converted = DomainBatchNorm.convert(norm, 2, DomainRows())
    assert torch.equal(converted.norms[1].running_mean, converted.norms[0].running_mean)
    assert converted.norms[1].running_mean.abs().sum() > 0


def test_convert_leaves_other_normalisations_alone():
    network = nn.Sequential(nn.LayerNorm(3), nn.GroupNorm(1, 3), nn.InstanceNorm1d(3))
    DomainBatchNorm.convert(network, 2, DomainRows())
    kinds = [type(layer) for layer in network]
    assert kinds == [nn.LayerNorm, nn.GroupNorm, nn.InstanceNorm1d]


def test_convert_passes_a_block_that_is_used_twice_once():
    block = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    norm = block[1]
    network = nn.Sequential(nn.Sequential(block), nn.Sequential(block))
    DomainBatchNorm.convert(network, 2, DomainRows((6, 4)))
    assert block[1].norms[0] is norm
    assert network(_batch()).shape == (10, 3)


def test_convert_keeps_one_batch_norm_under_two_names_one():
    network = nn.Module()
    network.first = network.second = nn.BatchNorm1d(3)
    DomainBatchNorm.convert(network, 2, DomainRows())
    assert isinstance(network.first, DomainBatchNorm)
    assert network.second is network.first


def test_convert_goes_on_from_the_last_statistics_of_an_earlier_training():
    norm, _ = _norm()
    norm(_batch())
    rows = DomainRows((6, 4))
    network = DomainBatchNorm.convert(nn.Sequential(norm), 3, rows)
    assert network[0].rows is rows
    for layer in network[0].norms:
        assert isinstance(layer, nn.BatchNorm1d)
        assert torch.equal(layer.running_mean, norm.norms[-1].running_mean)


# -- SharedBatchNorm --------------------------------------------------------------------------


def _shared(share, sizes=(6, 4), norm=None):
    rows = DomainRows(sizes)
    rows.target_share = share
    return SharedBatchNorm(norm or nn.BatchNorm1d(3), rows)


def test_without_a_share_of_the_target_all_rows_meet_the_statistics_of_the_source():
    norm, x = _shared(0.0), _batch()
    source = x[:6]
    deviation = (source.var(dim=0, correction=0) + norm.norm.eps).sqrt()
    torch.testing.assert_close(norm(x), (x - source.mean(dim=0)) / deviation)
    torch.testing.assert_close(norm.norm.running_mean, 0.1 * source.mean(dim=0))


def test_a_share_of_the_target_is_that_of_its_moments():
    norm, x = _shared(0.4), _batch()
    plain = nn.BatchNorm1d(3)
    torch.testing.assert_close(norm(x), plain(x))  # 4 of 10 rows
    torch.testing.assert_close(norm.norm.running_mean, plain.running_mean)


def test_gradients_are_those_of_the_mixture():
    x, plain_x = (_batch().requires_grad_() for _ in range(2))
    for norm, rows in ((_shared(0.4), x), (nn.BatchNorm1d(3), plain_x)):
        (norm(rows) * torch.arange(30.0).view(10, 3)).sum().backward()
    torch.testing.assert_close(x.grad, plain_x.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("sizes", [None, (1,), (0, 1)])
@pytest.mark.parametrize("mode", [True, False])
def test_rows_of_one_domain_meet_a_plain_batch_norm(sizes, mode):
    x, plain = _batch(), nn.BatchNorm1d(3).train(mode)
    assert torch.equal(_shared(0.3, sizes).train(mode)(x), plain(x))


def test_rows_without_a_share_meet_a_plain_batch_norm():
    x = _batch()
    assert torch.equal(_shared(None)(x), nn.BatchNorm1d(3)(x))


def test_several_rows_made_of_one_are_of_its_domain():
    x, frames = _batch(), _batch().repeat_interleave(2, dim=0)
    torch.testing.assert_close(_shared(0.2)(frames), _shared(0.2)(x).repeat_interleave(2, dim=0))


def test_a_share_lasts_as_long_as_the_sizes():
    rows = DomainRows()
    with rows.of((3, 3)):
        rows.target_share = 0.5
        with rows.of((1, 1)):
            assert rows.target_share == 0.5
    assert rows.target_share is None


# -- DomainStandardizer -----------------------------------------------------------------------


def _standardizer(sizes, *shape):
    moments = [
        (torch.full(shape, 1.0), torch.full(shape, 2.0)),
        (torch.full(shape, 10.0), torch.full(shape, 5.0)),
    ]
    return DomainStandardizer(moments, DomainRows(sizes))


def test_standardizer_uses_the_moments_of_each_domain():
    x = torch.tensor([[3.0], [5.0], [20.0]])
    assert _standardizer((2, 1), 1)(x).flatten().tolist() == [1, 2, 2]


def test_standardizer_predicts_with_the_last_moments():
    assert _standardizer(None, 1)(torch.tensor([[20.0]])).item() == 2


def test_standardizer_takes_images():
    x = torch.full((3, 2, 4, 4), 20.0)
    y = _standardizer((2, 1), 2, 1, 1)(x)
    assert y.shape == x.shape
    assert (y[:2] == 9.5).all() and (y[2] == 2).all()


def test_standardizer_keeps_moments_in_its_state():
    state = _standardizer(None, 1).state_dict()
    assert sorted(state) == [f"affines.{n}.{name}" for n in (0, 1) for name in ("mean", "scale")]
    assert not list(_standardizer(None, 1).parameters())


def test_targets_may_have_a_scale_and_shift_of_their_own():
    norm = DomainBatchNorm(nn.BatchNorm1d(2), 4, DomainRows())
    norm.split_parameters()
    source, *targets = norm.norms
    assert all(target.weight is targets[0].weight for target in targets)
    assert torch.equal(source.weight, targets[0].weight)
    assert source.weight is not targets[0].weight and source.bias is not targets[0].bias
