"""How two classifiers differ, by their probabilities."""

import pytest
import torch

from skda.losses import classifier_discrepancy


def test_equal_classifiers_do_not_differ(normal):
    logits = normal(6, 4, seed=0)
    assert classifier_discrepancy(logits, logits + 3).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("n_classes", [2, 5])
def test_certain_and_different_predictions_differ_most(n_classes):
    certain = 200 * torch.eye(n_classes, dtype=torch.float64)
    discrepancy = classifier_discrepancy(certain, certain.roll(1, dims=1))
    assert discrepancy.item() == pytest.approx(2 / n_classes)


def test_mean_absolute_difference_of_probabilities(normal):
    first, second = normal(6, 4, seed=0), normal(6, 4, seed=1)
    expected = (first.softmax(dim=1) - second.softmax(dim=1)).abs().sum() / 24
    discrepancy = classifier_discrepancy(first, second).item()
    assert discrepancy == pytest.approx(expected.item(), rel=1e-12)
    assert 0 < discrepancy < 2 / 4


def test_half_precision_is_computed_in_float32():
    logits = torch.tensor([[6e4, 0.0]], dtype=torch.float16)
    discrepancy = classifier_discrepancy(logits, -logits)
    assert discrepancy.dtype == torch.float32
    assert discrepancy.item() == 1


def test_gradcheck(normal):
    logits = normal(6, 4, seed=0).requires_grad_(), normal(6, 4, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(classifier_discrepancy, logits)
