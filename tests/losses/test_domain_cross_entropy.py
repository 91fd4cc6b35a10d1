"""The loss of a domain discriminator."""

import math

import pytest
import torch

from skda.losses import domain_cross_entropy


def test_undecided_discriminator_costs_log_2():
    loss = domain_cross_entropy(torch.zeros(5, 1), torch.zeros(3, 1))
    assert loss.item() == pytest.approx(math.log(2))


def test_each_domain_counts_half():
    source, target = (
        torch.tensor([[0.3], [-1.0]], dtype=torch.float64),
        torch.tensor([[2.0]], dtype=torch.float64),
    )
    expected = (math.log1p(math.exp(0.3)) + math.log1p(math.exp(-1.0))) / 4
    expected += math.log1p(math.exp(-2.0)) / 2
    assert domain_cross_entropy(source, target).item() == pytest.approx(expected, rel=1e-12)


def test_repeated_rows_of_one_domain_change_nothing():
    source, target = (
        torch.tensor([[0.3], [-1.0]], dtype=torch.float64),
        torch.tensor([[2.0]], dtype=torch.float64),
    )
    many = domain_cross_entropy(source.repeat(9, 1), target)
    assert many.item() == pytest.approx(domain_cross_entropy(source, target).item(), rel=1e-12)


def test_high_logits_mean_target():
    source, target = torch.full((4, 1), -9.0), torch.full((4, 1), 9.0)
    assert domain_cross_entropy(source, target) < 1e-3
    assert domain_cross_entropy(target, source) > 8


@pytest.mark.parametrize("logit", [1e4, -1e4])
def test_extreme_logits_are_finite(logit):
    source = torch.full((4, 1), logit, requires_grad=True)
    target = torch.full((2, 1), logit, requires_grad=True)
    loss = domain_cross_entropy(source, target)
    loss.backward()
    assert loss.item() == pytest.approx(5000)
    assert torch.isfinite(source.grad).all() and torch.isfinite(target.grad).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    source, target = torch.tensor([[0.3]]).to(dtype), torch.tensor([[2.0]]).to(dtype)
    loss = domain_cross_entropy(source, target)
    assert loss.dtype == torch.float32
    expected = domain_cross_entropy(source.double(), target.double()).item()
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_gradcheck():
    source = torch.tensor([[0.3], [-1.0]], dtype=torch.float64).requires_grad_()
    target = torch.tensor([[2.0]], dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(domain_cross_entropy, (source, target))
