"""Losses that make features larger."""

import pytest
import torch

from skda.losses import adaptive_feature_norm, hard_feature_norm


@pytest.mark.parametrize("step", [1.0, 0.5, 0.0])
def test_adaptive_value_is_the_squared_step(normal, step):
    assert adaptive_feature_norm(normal(6, 4, seed=0), step).item() == pytest.approx(step**2)


def test_adaptive_gradient_points_outwards(normal):
    features = normal(6, 4, seed=0).requires_grad_()
    adaptive_feature_norm(features, step=0.3).backward()
    rows = features.detach()
    expected = -2 * 0.3 * rows / rows.norm(dim=1, keepdim=True) / 6
    torch.testing.assert_close(features.grad, expected, rtol=1e-12, atol=1e-15)


def test_adaptive_descent_makes_norms_grow(normal):
    features = normal(6, 4, seed=0).requires_grad_()
    before = features.detach().norm(dim=1)
    adaptive_feature_norm(features).backward()
    assert ((features - features.grad).norm(dim=1) > before).all()


def test_hard_value_is_that_of_the_mean_norm():
    features = torch.tensor([[3.0, 4.0], [0.0, 1.0]])
    assert hard_feature_norm(features, radius=5.0).item() == pytest.approx(4)


def test_hard_loss_vanishes_at_the_radius(normal):
    features = normal(6, 4, seed=0)
    features = 25 * features / features.norm(dim=1, keepdim=True)
    assert hard_feature_norm(features).item() == pytest.approx(0, abs=1e-25)


def test_hard_gradcheck(normal):
    assert torch.autograd.gradcheck(hard_feature_norm, (normal(6, 4, seed=0).requires_grad_(),))


@pytest.mark.parametrize("loss", [adaptive_feature_norm, hard_feature_norm])
@pytest.mark.parametrize("level", [0.0, 1e4])
def test_collapsed_features_are_finite(loss, level):
    features = torch.full((6, 4), level, requires_grad=True)
    value = loss(features)
    value.backward()
    assert torch.isfinite(value) and torch.isfinite(features.grad).all()


@pytest.mark.parametrize("loss", [adaptive_feature_norm, hard_feature_norm])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(normal, loss, dtype):
    # The squares, near 1e6, are beyond the largest number of float16.
    features = (1000 * normal(6, 4, seed=0)).to(dtype).requires_grad_()
    value = loss(features)
    value.backward()
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(loss(features.detach().double()).item(), rel=1e-5)
    assert torch.isfinite(features.grad).all()
