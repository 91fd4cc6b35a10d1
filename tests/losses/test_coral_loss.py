"""The CORAL loss."""

import numpy as np
import pytest
import torch

from skda.losses import coral


def _features(n, d, seed, dtype=torch.float64):
    return torch.randn(n, d, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def test_equal_covariances_cost_nothing():
    source = _features(12, 4, 0)
    assert coral(source, source.clone()).item() == 0


def test_shift_of_one_domain_costs_nothing():
    source = _features(12, 4, 0)
    assert coral(source, source + 7).item() == pytest.approx(0, abs=1e-25)
    assert coral(source, 1.1 * source).item() > 1e-5


@pytest.mark.parametrize("factor", [0.5, 2.0, -3.0])
def test_scaled_domain_costs_what_the_formula_says(factor):
    source = _features(15, 5, 1)
    norm = np.sum(np.cov(source.numpy(), rowvar=False) ** 2)
    expected = (1 - factor**2) ** 2 / (4 * 5**2) * norm
    assert coral(source, factor * source).item() == pytest.approx(expected, rel=1e-12)


# Fewer rows than features, and more.
WIDTHS = [3, 40]


@pytest.mark.parametrize("width", WIDTHS)
def test_value_is_that_of_numpy_covariances(width):
    source, target = _features(15, width, 2), 2 * _features(9, width, 3) + 1
    difference = np.cov(source.numpy(), rowvar=False) - np.cov(target.numpy(), rowvar=False)
    expected = np.sum(difference**2) / (4 * width**2)
    assert coral(source, target).item() == pytest.approx(expected, rel=1e-12)


def test_equal_covariances_of_few_rows_cost_nothing_in_float32():
    source = _features(20, 100, 0, torch.float32)
    loss = coral(source, source.flip(0) + 5).item()
    assert 0 <= loss < 1e-5 * coral(source, 2 * source).item()


def test_symmetric():
    source, target = _features(15, 3, 2), _features(9, 3, 3)
    assert coral(source, target).item() == pytest.approx(coral(target, source).item(), rel=1e-14)


@pytest.mark.parametrize("width", WIDTHS)
def test_gradient_is_the_closed_form(width):
    source, target = _features(10, width, 4).requires_grad_(), 2 * _features(7, width, 5)
    coral(source, target).backward()
    rows = source.detach()
    difference = torch.cov(rows.T) - torch.cov(target.T)
    expected = (rows - rows.mean(dim=0)) @ difference / (width**2 * (10 - 1))
    torch.testing.assert_close(source.grad, expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("width", [3, 12])
def test_gradcheck(width):
    source, target = (_features(n, width, n).requires_grad_() for n in (6, 4))
    assert torch.autograd.gradcheck(coral, (source, target))


@pytest.mark.parametrize("width", [3, 12])
def test_one_row_is_finite(width):
    source, target = _features(1, width, 6).requires_grad_(), _features(4, width, 7)
    coral(source, target).backward()
    assert torch.isfinite(source.grad).all()


@pytest.mark.parametrize("width", [3, 60])
def test_offset_does_not_matter_in_float32(width):
    source, target = (_features(n, width, n, torch.float32) for n in (32, 20))
    target = 2 * target
    far = coral(source + 1e4, target + 1e4).item()
    assert far == pytest.approx(coral(source, target).item(), rel=1e-2)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    # The covariances, near 1e5, are beyond the largest number of float16.
    source = (300 * _features(32, 4, 10)).to(dtype).requires_grad_()
    target = _features(20, 4, 11).to(dtype)
    loss = coral(source, target)
    loss.backward()
    assert loss.dtype == torch.float32
    expected = coral(source.detach().double(), target.double()).item()
    assert loss.item() == pytest.approx(expected, rel=1e-4)
    assert source.grad.dtype == dtype
