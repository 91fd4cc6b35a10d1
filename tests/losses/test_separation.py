"""Losses of domain separation."""

import pytest
import torch

from skda.losses import difference_loss, scale_invariant_mse


def test_brightness_costs_nothing(normal):
    X = normal(6, 3, 4, 4, seed=0)
    offsets = normal(6, 1, 1, 1, seed=1)
    assert scale_invariant_mse(X + offsets, X).item() == pytest.approx(0, abs=1e-12)


def test_mean_variance_of_the_residual(normal):
    X, R = normal(6, 10, seed=0), normal(6, 10, seed=1)
    expected = R.square().mean(dim=1) - R.sum(dim=1).square() / 10**2
    assert torch.isclose(scale_invariant_mse(X + R, X), expected.mean())


def test_half_the_mean_squared_difference_of_pairs_of_values(normal):
    k = 10
    X, R = normal(6, k, seed=0), normal(6, k, seed=1)
    pairs = (R[:, :, None] - R[:, None]).square().sum(dim=(1, 2)) / (k * (k - 1))
    expected = 0.5 * pairs * (k - 1) / k
    assert torch.isclose(scale_invariant_mse(X + R, X), expected.mean())


def _orthogonal_codes():
    """Centred codes of equal row norms whose columns are orthogonal."""
    signs = torch.tensor([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], dtype=torch.float64)
    return signs.repeat(4, 1)


def test_no_difference_loss_for_orthogonal_codes():
    codes = _orthogonal_codes()
    assert difference_loss(codes[:, :1], codes[:, 1:]).item() == pytest.approx(0, abs=1e-12)


def test_difference_loss_of_codes_that_are_the_same():
    codes = _orthogonal_codes()
    # H^T H is 16 / 3 on the diagonal of three.
    assert difference_loss(codes, codes).item() == pytest.approx((16 / 3) ** 2 * 3 / 9)


def test_difference_loss_does_not_depend_on_the_lengths_of_centred_rows(normal):
    lengths = normal(8, 1, seed=2).exp()
    half = normal(8, 4, seed=0)
    # Codes and their negatives: centred, and still so when both get the same length.
    shared, private = torch.cat([half, -half]), normal(16, 5, seed=1)
    scaled = torch.cat([lengths * half, -lengths * half])
    assert torch.isclose(difference_loss(scaled, private), difference_loss(shared, private))


def test_difference_loss_does_not_depend_on_units_and_offset(normal):
    shared, private = normal(16, 4, seed=0), normal(16, 5, seed=1)
    loss = difference_loss(shared, private)
    assert loss > 0
    assert torch.isclose(difference_loss(100 * shared + 1e4, 0.01 * private - 7), loss)


def test_difference_loss_bears_collapsed_codes():
    shared = torch.full((8, 3), 0.1, requires_grad=True)
    private = torch.arange(16.0).view(8, 2)
    loss = difference_loss(shared, private)
    loss.backward()
    assert loss.item() == 0 and torch.isfinite(shared.grad).all()


@pytest.mark.parametrize("loss", [scale_invariant_mse, difference_loss])
def test_half_precision_is_computed_in_float32(normal, loss):
    a, b = 300 * normal(8, 4, seed=0).half(), 300 * normal(8, 4, seed=1).half()
    value = loss(a, b)
    assert value.dtype == torch.float32 and torch.isfinite(value)
    assert value.item() == pytest.approx(loss(a.double(), b.double()).item(), rel=1e-3)
