"""Batch norms whose moments mix between domains."""

import copy
import pickle

import pytest
import torch
from torch import nn

from skda.adaptation.normalization import DomainAlignmentNorm
from skda.nn import DomainBatchNorm, DomainRows


def _batch(n_source=6, n_target=4, shape=(3,)):
    generator = torch.Generator().manual_seed(0)
    source = torch.randn(n_source, *shape, generator=generator)
    return torch.cat([source, 3 * torch.randn(n_target, *shape, generator=generator) + 2])


def _norm(alpha, sizes=(6, 4), norm=None, n_domains=None):
    layer = DomainAlignmentNorm(
        norm or nn.BatchNorm1d(3), n_domains or len(sizes), DomainRows(sizes)
    )
    layer.alpha.data.fill_(alpha)
    return layer


@pytest.mark.parametrize(
    "kind, shape",
    [
        (nn.BatchNorm1d, (3,)),
        (nn.BatchNorm1d, (3, 5)),
        (nn.BatchNorm2d, (3, 5, 4)),
        (nn.BatchNorm3d, (3, 2, 2, 4)),
    ],
)
def test_with_alpha_1_domains_are_normalised_apart(kind, shape):
    x = _batch(shape=shape)
    expected = torch.cat([kind(3)(part) for part in x.split([6, 4])])
    torch.testing.assert_close(_norm(1.0, norm=kind(3))(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("shape", [(3,), (3, 5, 4)])
def test_with_alpha_half_equal_batches_are_normalised_as_one(shape):
    x = _batch(5, 5, shape)
    kind = nn.BatchNorm1d if len(shape) == 1 else nn.BatchNorm2d
    torch.testing.assert_close(_norm(0.5, (5, 5), kind(3))(x), kind(3)(x), rtol=1e-4, atol=1e-5)


def test_mixed_variance_is_that_around_the_mixed_mean():
    x, alpha = _batch().double(), 0.7
    norm = _norm(alpha).double()
    source, target = x.split([6, 4])
    outputs = norm(x).split([6, 4])
    for own, other, output in ((source, target, outputs[0]), (target, source, outputs[1])):
        mean = alpha * own.mean(dim=0) + (1 - alpha) * other.mean(dim=0)
        variance = alpha * (own - mean).square().mean(dim=0)
        variance += (1 - alpha) * (other - mean).square().mean(dim=0)
        # float32 constants, hence the tolerance.
        expected = (own - mean) / (variance + 1e-5).sqrt()
        torch.testing.assert_close(output, expected, rtol=1e-6, atol=1e-6)


def test_gradients_of_all_inputs_are_those_of_the_formula():
    norm = _norm(0.8).double()
    norm.alpha.requires_grad_(False)
    x = _batch().double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: norm(x), (x,))


def test_gradients_pass_from_one_domain_to_the_other():
    x = _batch().requires_grad_()
    _norm(0.8)(x)[:6].square().sum().backward()
    assert x.grad[6:].abs().max() > 1e-3
    x.grad = None
    _norm(1.0)(x)[:6].pow(3).sum().backward()
    assert not x.grad[6:].any()


@pytest.mark.parametrize("alpha", [0.5, 0.75, 1.0])
@pytest.mark.parametrize(
    "target, moves",
    [
        (lambda source: source.flip(0), False),
        (lambda source: source + 2, True),
        (lambda source: (source - source.mean(dim=0)) * 3 + source.mean(dim=0), True),
    ],
    ids=["same moments", "other mean", "other variance"],
)
def test_alpha_has_a_gradient_where_moments_differ(target, moves, alpha):
    source = _batch()[:6]
    norm = _norm(alpha, (6, 6))
    weights = torch.linspace(-1, 2, 36).view(12, 3)
    (norm(torch.cat([source, target(source)])) * weights).sum().backward()
    assert (norm.alpha.grad.abs() > 1e-3) == moves


def test_gradient_of_alpha_is_that_of_finite_differences():
    x, weights = _batch().double(), torch.linspace(-1, 2, 30).view(10, 3)

    def loss(alpha):
        norm = _norm(alpha).double()
        norm.alpha.data.fill_(alpha)  # to the last digit of a float64
        loss = (norm(x) * weights).sum()
        loss.backward()
        return loss, norm.alpha.grad

    expected = (loss(0.7501)[0] - loss(0.7499)[0]) / 2e-4
    torch.testing.assert_close(loss(0.75)[1], expected.detach(), rtol=1e-5, atol=0)


@pytest.mark.parametrize("alpha, clipped", [(-3.0, 0.5), (7.0, 1.0), (0.8, 0.8)])
def test_alpha_is_clipped_before_it_is_used(alpha, clipped):
    norm = _norm(alpha)
    torch.testing.assert_close(norm(_batch()), _norm(clipped)(_batch()))
    assert norm.alpha.item() == pytest.approx(clipped)
    assert _norm(alpha).get_share() == pytest.approx(clipped)


def test_alpha_starts_at_1():
    assert DomainAlignmentNorm(nn.BatchNorm1d(3), 2, DomainRows()).get_share() == 1


def test_running_statistics_are_the_mixed_ones_with_biased_variances():
    norm, x, alpha = _norm(0.7, norm=nn.BatchNorm1d(3, momentum=1.0)), _batch(), 0.7
    norm(x)
    source, target = x.split([6, 4])
    for layer, own, other in zip(norm.norms, (source, target), (target, source), strict=True):
        mean = alpha * own.mean(dim=0) + (1 - alpha) * other.mean(dim=0)
        variance = alpha * (own - mean).square().mean(dim=0)
        variance += (1 - alpha) * (other - mean).square().mean(dim=0)
        torch.testing.assert_close(layer.running_mean, mean)
        torch.testing.assert_close(layer.running_var, variance)


@pytest.mark.parametrize("momentum, mean", [(0.1, 0.19), (None, 1.0)])
def test_running_statistics_move_as_those_of_a_batch_norm(momentum, mean):
    norm = _norm(1.0, norm=nn.BatchNorm1d(3, momentum=momentum))
    x = _batch()
    norm(x), norm(x)
    torch.testing.assert_close(norm.norms[1].running_mean, mean * x[6:].mean(dim=0))
    assert norm.norms[1].num_batches_tracked == 2


@pytest.mark.parametrize("sizes, number", [(None, 1), (DomainRows.SOURCE_ALONE, 0)])
def test_in_eval_mode_the_domains_own_statistics_serve(sizes, number):
    norm = _norm(0.7)
    x = _batch()
    norm(x)
    norm.eval()
    norm.rows.sizes = sizes
    layer = norm.norms[number]
    expected = (x - layer.running_mean) / (layer.running_var + 1e-5).sqrt()
    torch.testing.assert_close(norm(x), expected)


def test_a_batch_of_one_domain_has_nothing_to_mix():
    norm = _norm(0.6)
    norm.rows.sizes = (6,)
    x = _batch()[:6]
    torch.testing.assert_close(norm(x), nn.BatchNorm1d(3)(x))


def test_source_mixes_with_all_targets_and_each_target_with_the_source():
    source, first = _batch().split([6, 4])
    second = first * 2 - 7
    norm = _norm(0.6, (6, 4, 4), n_domains=4)
    outputs = norm(torch.cat([source, first, second])).split([6, 4, 4])
    pairs = [
        (source, torch.cat([first, second]), outputs[0]),
        (first, source, outputs[1]),
        (second, source, outputs[2]),
    ]
    for own, other, output in pairs:
        alone = _norm(0.6, (len(own), len(other)))
        expected = alone(torch.cat([own, other]))[: len(own)]
        torch.testing.assert_close(output, expected, rtol=1e-4, atol=1e-5)


class _Scaled(nn.BatchNorm1d):
    def forward(self, x):
        return 100 * super().forward(x)


@pytest.mark.parametrize("training", [True, False])
def test_the_forward_of_a_subclass_is_kept(training):
    plain, scaled = _norm(0.7), _norm(0.7, norm=_Scaled(3))
    for norm in (plain, scaled):
        norm.train(training)
    torch.testing.assert_close(scaled(_batch()), 100 * plain(_batch()))


@pytest.mark.parametrize("keywords", [{"affine": False}, {"track_running_stats": False}])
def test_batch_norms_without_parameters_or_statistics(keywords):
    x = _batch()
    norm = _norm(0.7, norm=nn.BatchNorm1d(3, **keywords))
    torch.testing.assert_close(norm(x), _norm(0.7)(x))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda norm: pickle.loads(pickle.dumps(norm))])
def test_scale_and_shift_stay_shared(copied):
    norm = copied(_norm(0.7))
    names = [name for name, _ in norm.named_parameters()]
    assert sorted(names) == ["alpha", "norms.0.bias", "norms.0.weight"]
    assert norm.affine.weight is norm.norms[1].weight is norm.norms[0].weight
    norm(_batch()).sum().backward()
    assert norm.norms[0].bias.grad is not None


def test_convert_makes_layers_of_this_kind_also_of_an_earlier_conversion():
    network = nn.Sequential(nn.BatchNorm1d(3), nn.Sequential(nn.BatchNorm1d(3)))
    DomainBatchNorm.convert(network, 2, DomainRows())
    DomainAlignmentNorm.convert(network, 2, DomainRows((6, 4)))
    layers = [network[0], network[1][0]]
    assert all(type(layer) is DomainAlignmentNorm for layer in layers)
    assert layers[0].rows is layers[1].rows
    DomainBatchNorm.convert(network, 2, DomainRows())
    assert type(network[0]) is DomainBatchNorm and len(list(network.parameters())) == 4


def test_autocast_keeps_moments_in_float32():
    norm = _norm(0.7)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        norm(1e3 + _batch().bfloat16())
    assert norm.norms[1].running_var.dtype == torch.float32
    assert torch.isfinite(norm.norms[1].running_var).all()
