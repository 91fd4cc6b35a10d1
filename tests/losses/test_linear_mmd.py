"""The maximum mean discrepancy with a linear kernel."""

import pytest
import torch

from skda.losses import linear_mmd


def test_equal_means_cost_nothing(normal):
    source = normal(12, 4, seed=0)
    target = 3 * (source - source.mean(dim=0)) + source.mean(dim=0)
    assert linear_mmd(source, target).item() == pytest.approx(0, abs=1e-28)


def test_value_is_the_squared_distance_of_the_means(normal):
    source, target = normal(12, 4, seed=0), normal(7, 4, seed=1) + 1
    expected = torch.dist(source.mean(dim=0), target.mean(dim=0)).item() ** 2
    assert linear_mmd(source, target).item() == pytest.approx(expected, rel=1e-12)


def test_every_row_gets_the_same_gradient(normal):
    source, target = normal(12, 4, seed=0).requires_grad_(), normal(7, 4, seed=1)
    linear_mmd(source, target).backward()
    expected = 2 * (source.detach().mean(dim=0) - target.mean(dim=0)) / 12
    torch.testing.assert_close(source.grad, expected.expand(12, 4), rtol=1e-12, atol=1e-15)
