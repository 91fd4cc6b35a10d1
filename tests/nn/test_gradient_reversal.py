"""Gradient reversal and the domain adversary."""

import pytest
import torch

from skda.losses import domain_cross_entropy
from skda.nn import DomainAdversary, LayerwiseAlignment, reverse_gradient


def test_forward_is_the_identity_bit_for_bit():
    x = torch.randn(5, 3)
    assert torch.equal(reverse_gradient(x, 0.3), x)


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
def test_gradient_comes_back_reversed(strength):
    x = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    upstream = torch.randn(5, 3, dtype=torch.float64)
    reverse_gradient(x, strength).backward(upstream)
    assert torch.equal(x.grad, -strength * upstream)


def _adversary(**keywords):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return DomainAdversary(4, **keywords)


def _domains():
    generator = torch.Generator().manual_seed(1)
    source = torch.randn(6, 4, generator=generator)
    return source, torch.randn(9, 4, generator=generator) + 1


def test_adversary_loss_is_that_of_its_logits():
    adversary = _adversary()
    source, target = _domains()
    expected = domain_cross_entropy(
        adversary.discriminator(source), adversary.discriminator(target)
    )
    torch.testing.assert_close(adversary(source, target), expected)


def test_every_parameter_of_the_adversary_gets_a_gradient():
    adversary = _adversary()
    adversary(*_domains()).backward()
    for name, parameter in adversary.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


def test_gradient_of_the_adversary_reaches_the_features_of_both_domains():
    source, target = (x.requires_grad_() for x in _domains())
    _adversary()(source, target).backward()
    assert (source.grad.abs().sum(dim=1) > 0).all()
    assert (target.grad.abs().sum(dim=1) > 0).all()


def test_adversary_learns_to_tell_domains_apart():
    adversary = _adversary(hidden_layer_sizes=(16,))
    source, target = _domains()
    optimizer = torch.optim.Adam(adversary.parameters(), lr=0.05)
    first = adversary(source, target).item()
    for _ in range(60):
        optimizer.zero_grad()
        adversary(source, target).backward()
        optimizer.step()
    assert adversary(source, target).item() < first / 3


def test_adversary_without_hidden_layers_is_linear():
    adversary = _adversary(hidden_layer_sizes=())
    assert sum(p.numel() for p in adversary.parameters()) == 4 + 1
    assert adversary(*_domains()).shape == ()


def test_adversary_is_marked_as_an_opponent():
    assert DomainAdversary(4).adversarial
    assert LayerwiseAlignment({"features": DomainAdversary(4)}).adversarial
