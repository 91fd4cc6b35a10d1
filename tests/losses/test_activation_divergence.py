"""The divergence of mean activations."""

import pytest
import torch

from skda.losses import activation_divergence


@pytest.fixture
def activations(normal):
    return torch.sigmoid(normal(12, 5, seed=0)), torch.sigmoid(normal(7, 5, seed=1) + 1)


def test_value_is_that_of_both_divergences(activations):
    p, q = (rows.mean(dim=0) / rows.mean(dim=0).sum() for rows in activations)
    expected = (p * (p / q).log()).sum() + (q * (q / p).log()).sum()
    assert activation_divergence(*activations).item() == pytest.approx(expected.item(), rel=1e-10)


def test_equal_activations_cost_nothing(activations):
    source = activations[0]
    assert activation_divergence(source, source.clone()).item() == 0


def test_scale_of_a_domain_does_not_matter(activations):
    source, target = activations
    loss = activation_divergence(source, target).item()
    assert activation_divergence(source, 0.1 * target).item() == pytest.approx(loss, rel=1e-10)


def test_symmetric_and_positive(activations):
    source, target = activations
    loss = activation_divergence(source, target).item()
    assert loss == pytest.approx(activation_divergence(target, source).item(), rel=1e-12)
    assert loss > 0


def test_gradcheck(activations):
    assert torch.autograd.gradcheck(
        activation_divergence, [x.requires_grad_() for x in activations]
    )


@pytest.mark.parametrize("level", [-1.0, 0.0, 1e-30, 1e4])
def test_silent_and_huge_activations_are_finite(level):
    source, target = torch.full((32, 5), level, requires_grad=True), torch.rand(20, 5)
    target[:, 2] = 0
    loss = activation_divergence(source, target.requires_grad_())
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(source.grad).all() and torch.isfinite(target.grad).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(activations, dtype):
    source, target = (rows.to(dtype) for rows in activations)
    loss = activation_divergence(source, target)
    assert loss.dtype == torch.float32
    expected = activation_divergence(source.double(), target.double()).item()
    assert loss.item() == pytest.approx(expected, rel=1e-4)
