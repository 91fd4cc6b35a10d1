"""The joint maximum mean discrepancy of several layers."""

import pytest
import torch

from skda.losses import joint_mmd, mmd

ESTIMATORS = ["biased", "unbiased", "linear"]


@pytest.fixture
def layers(normal):
    source = [normal(13, width, seed=width) for width in (4, 2, 3)]
    target = [normal(8, width, seed=10 + width) + 0.5 for width in (4, 2, 3)]
    return source, target


def _naive(source, target, bandwidths, multipliers, estimator):
    """The definition, by dense matrices of explicit differences."""

    def kernel(a, b):
        product = 1
        for x, z, bandwidth, family in zip(a, b, bandwidths, multipliers, strict=True):
            distances = (x[:, None] - z[None]).square().sum(dim=2)
            mixture = torch.stack([torch.exp(-distances / (m * bandwidth)) for m in family])
            product = product * mixture.mean(dim=0)
        return product

    ss, tt, st = kernel(source, source), kernel(target, target), kernel(source, target)
    if estimator == "biased":
        return ss.mean() + tt.mean() - 2 * st.mean()
    if estimator == "unbiased":
        within = sum((k.sum() - k.trace()) / (len(k) * (len(k) - 1)) for k in (ss, tt))
        return within - 2 * st.mean()
    first = torch.arange(0, min(st.shape) // 2 * 2, 2)
    second = first + 1
    terms = ss[first, second] + tt[first, second] - st[first, second] - st[second, first]
    return terms.mean()


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_value_and_gradient_are_those_of_the_definition(layers, estimator):
    bandwidths, multipliers = (3.0, 0.7, 2.0), ((0.5, 1.0, 2.0), (1.0,), (0.3, 1.0, 4.0))
    results = []
    for function in (
        lambda s, t: joint_mmd(
            s, t, bandwidths=bandwidths, multipliers=multipliers, estimator=estimator
        ),
        lambda s, t: _naive(s, t, bandwidths, multipliers, estimator),
    ):
        source, target = ([x.clone().requires_grad_() for x in domain] for domain in layers)
        loss = function(source, target)
        (5 * loss).backward()
        results.append([loss.detach(), *[x.grad for x in source + target]])
    for value, expected in zip(*results, strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_chunks_of_rows_add_up(layers, estimator, monkeypatch):
    monkeypatch.setattr("skda.losses._kernels._CHUNK_ENTRIES", 4 * 20)
    keywords = {"bandwidths": (3.0, 0.7, 2.0), "multipliers": (1.0,), "estimator": estimator}
    source, target = ([x.clone().requires_grad_() for x in domain] for domain in layers)
    loss = joint_mmd(source, target, **keywords)
    expected = _naive(source, target, (3.0, 0.7, 2.0), ((1.0,),) * 3, estimator)
    torch.testing.assert_close(loss, expected, rtol=1e-11, atol=1e-14)
    inputs = source + target
    for grad, expected_grad in zip(
        torch.autograd.grad(loss, inputs), torch.autograd.grad(expected, inputs), strict=True
    ):
        torch.testing.assert_close(grad, expected_grad, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("bandwidth", ["median", "mean", 2.0])
def test_one_layer_is_the_plain_discrepancy(layers, bandwidth, estimator):
    source, target = layers[0][0], layers[1][0]
    loss = joint_mmd([source], [target], bandwidths=[bandwidth], estimator=estimator)
    expected = mmd(source, target, bandwidth=bandwidth, estimator=estimator)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_constant_layer_changes_nothing(layers, estimator):
    source, target = layers[0][0], layers[1][0]
    loss = joint_mmd(
        (source, torch.ones(13, 5).double()),
        (target, torch.ones(8, 5).double()),
        estimator=estimator,
    )
    assert loss.item() == pytest.approx(mmd(source, target, estimator=estimator).item(), rel=1e-12)


def test_sees_what_single_layers_cannot():
    zeros, ones = torch.zeros(4, 1), torch.ones(4, 1)
    low, high = torch.cat([zeros, ones]), torch.cat([ones, zeros])
    for first, second in ((low, low), (low, high)):
        assert mmd(first, second).item() == pytest.approx(0, abs=1e-6)
    assert joint_mmd((low, low), (low, high)) > 0.3


def test_median_is_that_of_each_layer(layers):
    medians = [
        torch.pdist(torch.cat(domains)).square().median().item()
        for domains in zip(*layers, strict=True)
    ]
    expected = joint_mmd(*layers, bandwidths=medians).item()
    assert joint_mmd(*layers).item() == pytest.approx(expected, rel=1e-12)


def test_gradient_only_where_it_is_wanted(layers):
    source, target = layers
    first = source[0].clone().requires_grad_()
    loss = joint_mmd([first, *source[1:]], target)
    loss.backward()
    everywhere = [x.clone().requires_grad_() for x in source]
    joint_mmd(everywhere, target).backward()
    torch.testing.assert_close(first.grad, everywhere[0].grad)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_gradcheck(normal, estimator):
    rows = [normal(n, 3, seed=n).requires_grad_() for n in (6, 6, 4, 4)]
    assert torch.autograd.gradcheck(
        lambda a, b, c, d: joint_mmd(
            (a, b), (c, d), bandwidths=(2.0, 3.0), multipliers=(0.5, 1.0), estimator=estimator
        ),
        [rows[0], rows[1] * 0.9, rows[2], rows[3] * 1.1],
    )


@pytest.mark.parametrize(
    "keywords, message",
    [
        ({"bandwidths": (1.0,)}, "bandwidths has 1 entries for 3 layers"),
        ({"multipliers": ((1.0,), (1.0,))}, "multipliers has 2 entries for 3 layers"),
        ({"bandwidths": ("mode",) * 3}, r"bandwidths\[0\] must be 'median', 'mean' or a number"),
        ({"multipliers": (1.0, 0.0)}, "multipliers must be one or more positive numbers"),
        ({"estimator": "quadratic"}, "estimator must be 'biased', 'unbiased' or 'linear'"),
    ],
)
def test_unknown_choices_raise(layers, keywords, message):
    with pytest.raises(ValueError, match=message):
        joint_mmd(*layers, **keywords)


def test_layers_must_be_the_same(layers):
    source, target = layers
    with pytest.raises(ValueError, match="the same layers, at least one, got 3 and 2"):
        joint_mmd(source, target[:2])


def test_layers_must_have_the_same_rows(layers):
    source, target = layers
    with pytest.raises(ValueError, match=r"layers of source need the same rows, got \[13, 8, 3\]"):
        joint_mmd([source[0], target[1], source[2][:3]], target)
