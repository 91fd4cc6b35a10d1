"""The maximum mean discrepancy of outer products of two layers."""

import pytest
import torch

from skda.losses import mmd, tensor_mmd

ESTIMATORS = ["biased", "unbiased"]


def _outer(pair):
    return torch.einsum("ni,nj->nij", *pair).flatten(1)


@pytest.fixture
def pairs(normal):
    source = [normal(13, 4, seed=0), normal(13, 3, seed=1)]
    target = [normal(8, 4, seed=2) + 0.5, 2 * normal(8, 3, seed=3)]
    return source, target


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("bandwidth", ["median", "mean", 2.0])
def test_value_and_gradient_are_those_of_the_outer_products(pairs, bandwidth, estimator):
    keywords = {"bandwidth": bandwidth, "estimator": estimator}
    results = []
    for function in (
        lambda s, t: tensor_mmd(s, t, **keywords),
        lambda s, t: mmd(_outer(s), _outer(t), **keywords),
    ):
        source, target = ([x.clone().requires_grad_() for x in pair] for pair in pairs)
        loss = function(source, target)
        (3 * loss).backward()
        results.append([loss.detach(), *[x.grad for x in source + target]])
    for value, expected in zip(*results, strict=True):
        torch.testing.assert_close(value, expected, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_chunks_of_rows_add_up(pairs, estimator, monkeypatch):
    leaves = [[x.clone().requires_grad_() for x in pair] for pair in pairs]
    inputs = [x for pair in leaves for x in pair]
    whole = tensor_mmd(*leaves, estimator=estimator)
    expected = torch.autograd.grad(whole, inputs)
    monkeypatch.setattr("skda.losses._kernels._CHUNK_ENTRIES", 4 * 20)
    loss = tensor_mmd(*leaves, estimator=estimator)
    torch.testing.assert_close(loss, whole, rtol=1e-12, atol=1e-14)
    for grad, expected_grad in zip(torch.autograd.grad(loss, inputs), expected, strict=True):
        torch.testing.assert_close(grad, expected_grad, rtol=1e-10, atol=1e-14)


def test_layers_change_places(pairs):
    source, target = pairs
    swapped = tensor_mmd(source[::-1], target[::-1]).item()
    assert swapped == pytest.approx(tensor_mmd(source, target).item(), rel=1e-10)


def test_second_layer_of_ones_leaves_the_first(pairs):
    source, target = pairs[0][0], pairs[1][0]
    ones = torch.ones(13, 1).double(), torch.ones(8, 1).double()
    loss = tensor_mmd((source, ones[0]), (target, ones[1])).item()
    assert loss == pytest.approx(mmd(source, target).item(), rel=1e-10)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_gradcheck(normal, estimator):
    rows = [normal(n, width, seed=n + width).requires_grad_() for n in (5, 4) for width in (3, 2)]
    assert torch.autograd.gradcheck(
        lambda a, b, c, d: tensor_mmd((a, b), (c, d), bandwidth=4.0, estimator=estimator), rows
    )


@pytest.mark.parametrize("offset", [1e2, 1e4])
def test_far_from_the_origin_in_float32(pairs, offset):
    far = [[(x + offset).float().requires_grad_() for x in pair] for pair in pairs]
    exact = [[x.detach().double().requires_grad_() for x in pair] for pair in far]
    loss, expected = tensor_mmd(*far), mmd(_outer(exact[0]), _outer(exact[1]))
    assert loss.item() == pytest.approx(expected.item(), rel=1e-2)
    loss.backward()
    expected.backward()
    difference = (far[0][0].grad - exact[0][0].grad).norm() / exact[0][0].grad.norm()
    assert difference < 0.02


def test_more_than_two_layers_raise(pairs):
    source, target = pairs
    with pytest.raises(ValueError, match="must be pairs of layers, got 3 layers"):
        tensor_mmd([*source, source[0]], [*target, target[0]])


def test_linear_time_raises(pairs):
    with pytest.raises(ValueError, match="estimator must be 'biased' or 'unbiased', got 'linear'"):
        tensor_mmd(*pairs, estimator="linear")
