"""The confusion of a domain discriminator."""

import math

import pytest
import torch

from skda.losses import domain_confusion


@pytest.mark.parametrize("n_domains", [2, 3])
def test_undecided_discriminator_costs_least(normal, n_domains):
    undecided = domain_confusion(torch.full((5, n_domains), 3.0)).item()
    assert undecided == pytest.approx(math.log(n_domains))
    assert domain_confusion(normal(5, n_domains, seed=0)).item() > undecided


def test_single_logit_is_that_of_the_second_domain(normal):
    logits = normal(5, 1, seed=0)
    both = torch.cat([torch.zeros_like(logits), logits], dim=1)
    expected = domain_confusion(both).item()
    assert domain_confusion(logits).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("width", [1, 2])
def test_gradient_does_not_vanish_for_a_certain_discriminator(width):
    logits = torch.zeros(1, width)
    logits[0, -1] = 50.0
    domain_confusion(logits.requires_grad_()).backward()
    assert logits.grad[0, -1].item() == pytest.approx(0.5)


@pytest.mark.parametrize("width", [1, 2])
def test_extreme_logits_are_finite(width):
    logits = torch.zeros(4, width)
    logits[:, -1] = torch.tensor([1e4, -1e4, 1e4, -1e4])
    loss = domain_confusion(logits.requires_grad_())
    loss.backward()
    assert loss.item() == pytest.approx(5000)
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("width", [1, 3])
def test_gradcheck(normal, width):
    assert torch.autograd.gradcheck(domain_confusion, (normal(4, width, seed=0).requires_grad_(),))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(normal, dtype):
    logits = normal(4, 2, seed=0).to(dtype)
    loss = domain_confusion(logits)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(domain_confusion(logits.double()).item(), rel=1e-5)
