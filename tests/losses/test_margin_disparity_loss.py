"""How two classifiers disagree, by margins."""

import math

import pytest
import torch
import torch.nn.functional as F

from skda.losses import margin_disparity


def _example(normal):
    logits = normal(6, 4, seed=0), normal(5, 4, seed=1)
    return (*logits, torch.tensor([0, 1, 2, 3, 0, 1]), torch.tensor([3, 3, 0, 1, 2]))


def test_definition(normal):
    source, target, source_classes, target_classes = _example(normal)
    p = source.softmax(dim=1)[range(6), source_classes]
    q = target.softmax(dim=1)[range(5), target_classes]
    expected = 3 * p.log().mean() + (1 - q).log().mean()
    loss = margin_disparity(source, target, source_classes, target_classes, margin=3.0)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)


def test_classifiers_that_agree_for_certain_have_no_source_term(normal):
    _, target, _, target_classes = _example(normal)
    classes = torch.arange(4)
    certain = 100 * torch.eye(4, dtype=torch.float64)
    losses = [
        margin_disparity(certain, target, classes, target_classes, margin=margin).item()
        for margin in (1.0, 50.0)
    ]
    assert losses[0] == pytest.approx(losses[1], abs=1e-9)


def test_without_a_margin_like_domains_have_at_most_minus_2_log_2():
    """The best second classifier is certain by half of each row."""
    shares = torch.linspace(0.05, 0.95, 19, dtype=torch.float64)
    losses = []
    for share in shares:
        logits = torch.tensor([[share.logit(), 0.0]], dtype=torch.float64)
        zero = torch.zeros(1, dtype=torch.int64)
        losses.append(margin_disparity(logits, logits, zero, zero, margin=1.0).item())
    assert max(losses) == pytest.approx(-2 * math.log(2))
    assert shares[losses.index(max(losses))].item() == pytest.approx(0.5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_certain_agreement_on_the_target_is_finite(dtype):
    logits = (1e3 * torch.eye(3)).to(dtype).requires_grad_()
    loss = margin_disparity(logits, logits, torch.arange(3), torch.arange(3))
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(math.log(2) - 1e3, rel=0.01)
    assert torch.isfinite(logits.grad).all() and logits.grad.abs().sum() > 0


def test_gradcheck(normal):
    source, target, *classes = _example(normal)
    logits = source.requires_grad_(), target.requires_grad_()
    assert torch.autograd.gradcheck(lambda s, t: margin_disparity(s, t, *classes), logits)


def test_a_second_classifier_gains_by_disagreeing_on_the_target_alone():
    classes = torch.arange(3)
    agreeing, other = 5 * torch.eye(3), 5 * torch.eye(3).roll(1, dims=1)
    apart = margin_disparity(agreeing, other, classes, classes)
    assert apart > margin_disparity(agreeing, agreeing, classes, classes)
    assert apart > margin_disparity(other, other, classes, classes)
    assert F.cross_entropy(agreeing, classes) < 0.1
