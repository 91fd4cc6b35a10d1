"""Losses of unlabeled predictions."""

import math

import numpy as np
import pytest
import torch

from skda.losses import batch_nuclear_norm, class_balance, entropy, minimum_class_confusion

LOSSES = [entropy, class_balance, minimum_class_confusion, batch_nuclear_norm]


def _certain(n, n_classes):
    return 100 * torch.eye(n_classes, dtype=torch.float64)[torch.arange(n) % n_classes]


# -- entropy ----------------------------------------------------------------------------------


def test_entropy_of_certain_predictions_is_zero():
    assert entropy(1e4 * torch.eye(3)).item() == 0


def test_entropy_of_uniform_predictions_is_the_logarithm():
    assert entropy(torch.full((4, 5), 7.0)).item() == pytest.approx(math.log(5))


def test_entropy_is_the_mean_over_rows(normal):
    logits = normal(6, 4, seed=0)
    expected = torch.distributions.Categorical(logits=logits).entropy().mean().item()
    assert entropy(logits).item() == pytest.approx(expected, rel=1e-12)


# -- class balance ----------------------------------------------------------------------------


def test_balance_is_that_of_the_mean_probabilities(normal):
    logits = normal(6, 4, seed=0)
    expected = -logits.softmax(dim=1).mean(dim=0).log().mean().item()
    assert class_balance(logits).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("logits", [_certain(12, 4), torch.zeros(12, 4)])
def test_balance_of_equal_shares_is_the_logarithm(logits):
    assert class_balance(logits).item() == pytest.approx(math.log(4))


def test_a_class_that_is_never_predicted_gains(normal):
    logits = normal(6, 3, seed=0)
    logits[:, 2] = -300
    logits.requires_grad_()
    (grad,) = torch.autograd.grad(class_balance(logits), logits)
    assert grad[:, 2].sum().item() == pytest.approx(-1 / 3)


# -- minimum class confusion ------------------------------------------------------------------


def test_confusion_of_certain_predictions_is_zero():
    assert minimum_class_confusion(_certain(12, 4), temperature=1.0).item() < 1e-30


def test_confusion_of_uniform_predictions():
    assert minimum_class_confusion(torch.zeros(12, 4).double()).item() == pytest.approx(3 / 4)


def test_confusion_is_that_of_the_definition(normal):
    logits = 3 * normal(10, 4, seed=1)
    p = torch.softmax(logits / 2.5, dim=1).numpy()
    weights = 1 + np.exp((p * np.log(p)).sum(axis=1))
    weights *= 10 / weights.sum()
    matrix = p.T @ np.diag(weights) @ p
    matrix /= matrix.sum(axis=1, keepdims=True)
    expected = (matrix.sum() - np.trace(matrix)) / 4
    assert minimum_class_confusion(logits).item() == pytest.approx(expected, rel=1e-12)


def test_weights_of_rows_get_no_gradient(normal):
    logits = normal(10, 4, seed=1).requires_grad_()
    (grad,) = torch.autograd.grad(minimum_class_confusion(logits), logits)
    p = torch.softmax(logits / 2.5, dim=1)
    weights = (1 + torch.exp((p * p.log()).sum(dim=1))).detach()
    matrix = p.T @ torch.diag(weights) @ p
    matrix = matrix / matrix.sum(dim=1, keepdim=True)
    (expected,) = torch.autograd.grad((matrix.sum() - matrix.trace()) / 4, logits)
    torch.testing.assert_close(grad, expected, rtol=1e-10, atol=1e-14)


def test_class_that_no_row_predicts_adds_nothing():
    logits = torch.tensor([[0.0, 1e4, 1e4], [-1e4, 0.0, 0.0]], requires_grad=True)
    loss = minimum_class_confusion(logits)
    loss.backward()
    assert loss.item() == pytest.approx((0 + 1 / 2 + 1 / 2) / 3)
    assert torch.isfinite(logits.grad).all()


# -- nuclear norm -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "logits, expected",
    [
        (_certain(30, 6), 0.4472),
        (_certain(30, 1) * torch.tensor([1.0, 0, 0, 0, 0, 0]), 0.1826),
        (torch.zeros(30, 6).double(), 0.0745),
    ],
    ids=["balanced", "collapsed", "uniform"],
)
def test_nuclear_norm_of_extreme_predictions(logits, expected):
    assert batch_nuclear_norm(logits).item() == pytest.approx(-expected, abs=5e-5)


def test_nuclear_norm_is_divided_by_rows(normal):
    logits = normal(10, 4, seed=2)
    expected = -np.linalg.norm(torch.softmax(logits, dim=1).numpy(), ord="nuc") / 10
    assert batch_nuclear_norm(logits).item() == pytest.approx(expected, rel=1e-12)


def test_descent_makes_predictions_certain_and_diverse(normal):
    logits = (0.1 * normal(12, 3, seed=3)).requires_grad_()
    optimizer = torch.optim.SGD([logits], lr=10.0)
    for _ in range(300):
        optimizer.zero_grad()
        batch_nuclear_norm(logits).backward()
        optimizer.step()
    assert torch.softmax(logits, dim=1).max(dim=1).values.min() > 0.9
    assert logits.argmax(dim=1).unique().tolist() == [0, 1, 2]


# -- all --------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [entropy, batch_nuclear_norm])
def test_gradcheck(normal, loss):
    assert torch.autograd.gradcheck(loss, (normal(6, 3, seed=4).requires_grad_(),))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("level", [0.0, 1e4, -1e4])
def test_equal_logits_are_finite(loss, level):
    logits = torch.full((6, 4), level, requires_grad=True)
    value = loss(logits)
    value.backward()
    assert torch.isfinite(value) and torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_certain_predictions_are_finite(loss):
    logits = (1e4 * torch.eye(4)).repeat(2, 1).requires_grad_()
    value = loss(logits)
    value.backward()
    assert torch.isfinite(value) and torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_offset_does_not_matter_in_float32(normal, loss):
    logits = torch.round(4 * normal(20, 4, seed=5)).float()
    assert loss(logits + 1e4).item() == pytest.approx(loss(logits).item(), rel=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(normal, loss, dtype):
    logits = normal(20, 4, seed=5).to(dtype).requires_grad_()
    value = loss(logits)
    value.backward()
    assert value.dtype == torch.float32 and logits.grad.dtype == dtype
    assert value.item() == pytest.approx(loss(logits.detach().double()).item(), rel=1e-5)
