"""Soft labels."""

import math

import pytest
import torch

from skda.losses import class_soft_labels, soft_label_cross_entropy


@pytest.fixture
def source(normal):
    labels = torch.arange(12) % 3
    return normal(12, 3, seed=0) + 4 * torch.eye(3).double()[labels], labels


def test_rows_are_distributions_with_their_class_first(source):
    soft_labels = class_soft_labels(*source, 3)
    torch.testing.assert_close(soft_labels.sum(dim=1), torch.ones(3).double())
    assert soft_labels.argmax(dim=1).tolist() == [0, 1, 2]


def test_soft_label_is_the_mean_softened_prediction(source):
    logits, labels = source
    expected = torch.softmax(logits[labels == 1] / 3.0, dim=1).mean(dim=0)
    torch.testing.assert_close(class_soft_labels(logits, labels, 3, temperature=3.0)[1], expected)


def test_unlabeled_rows_are_left_out(source):
    logits, labels = source
    some = torch.where(torch.arange(12) < 6, labels, -100)
    expected = class_soft_labels(logits[:6], labels[:6], 3)
    torch.testing.assert_close(class_soft_labels(logits, some, 3), expected)


def test_class_without_rows_is_certain_of_itself(source):
    logits, labels = source
    assert class_soft_labels(logits, 0 * labels, 3)[1].tolist() == [0, 1, 0]


def test_soft_labels_carry_no_gradient(source):
    logits, labels = source
    assert not class_soft_labels(logits.requires_grad_(), labels, 3).requires_grad


def test_hard_labels_give_the_cross_entropy(source):
    logits, labels = source
    expected = torch.nn.functional.cross_entropy(logits / 2, labels).item()
    loss = soft_label_cross_entropy(logits, torch.eye(3), labels)
    assert loss.item() == pytest.approx(expected, rel=1e-12)


def test_loss_is_that_of_the_definition(normal, source):
    soft_labels = class_soft_labels(*source, 3, temperature=1.5)
    logits, labels = normal(4, 3, seed=1), torch.tensor([2, 0, 0, 1])
    log_probabilities = torch.log_softmax(logits / 1.5, dim=1)
    expected = -(soft_labels[labels] * log_probabilities).sum() / 4
    loss = soft_label_cross_entropy(logits, soft_labels, labels, temperature=1.5)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)


def test_unlabeled_rows_get_no_gradient(normal):
    logits = normal(4, 3, seed=1).requires_grad_()
    labels = torch.tensor([2, -100, 0, -100])
    loss = soft_label_cross_entropy(logits, torch.eye(3), labels)
    expected = soft_label_cross_entropy(logits[::2], torch.eye(3), labels[::2])
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)
    loss.backward()
    assert logits.grad[[1, 3]].abs().max() == 0 < logits.grad[[0, 2]].abs().min()


def test_no_labeled_row_costs_nothing(normal):
    logits = normal(4, 3, seed=1).requires_grad_()
    loss = soft_label_cross_entropy(logits, torch.eye(3), torch.full((4,), -100))
    loss.backward()
    assert loss.item() == 0 and logits.grad.abs().max() == 0


def test_gradcheck(normal, source):
    soft_labels, labels = class_soft_labels(*source, 3), torch.tensor([2, -100, 0, 1])
    assert torch.autograd.gradcheck(
        lambda logits: soft_label_cross_entropy(logits, soft_labels, labels),
        (normal(4, 3, seed=1).requires_grad_(),),
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(source, dtype):
    logits, labels = source[0].to(dtype), source[1]
    soft_labels = class_soft_labels(logits, labels, 3)
    loss = soft_label_cross_entropy(logits, soft_labels, labels)
    assert soft_labels.dtype == loss.dtype == torch.float32
    exact = logits.double()
    expected = soft_label_cross_entropy(exact, class_soft_labels(exact, labels, 3), labels)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_extreme_logits_are_finite():
    logits = (1e4 * torch.eye(3)).requires_grad_()
    loss = soft_label_cross_entropy(logits, torch.full((3, 3), 1 / 3), torch.tensor([1, 2, 0]))
    loss.backward()
    assert math.isfinite(loss.item()) and torch.isfinite(logits.grad).all()
