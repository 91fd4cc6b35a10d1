import pytest
import torch

from skda.losses import moment_distance


def _rows(n=40, width=3):
    return torch.randn(n, width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_equal_moments_cost_nothing():
    rows = _rows()
    assert moment_distance(rows, rows.flip(0)).item() == pytest.approx(0, abs=1e-12)


def test_a_shift_costs_its_square_as_a_share_of_the_variance():
    rows = _rows()
    expected = 3 * 0.5**2 / rows.var(dim=0, correction=0).sum()
    torch.testing.assert_close(moment_distance(rows, rows + 0.5), expected)


def test_a_scale_costs_the_square_of_what_it_adds_to_the_deviation():
    rows = _rows() - _rows().mean(dim=0)
    loss = moment_distance(rows, 3 * rows)
    torch.testing.assert_close(loss.item(), 4.0, rtol=1e-5, atol=0)


@pytest.mark.parametrize("factor", [1e-3, 1e4])
def test_units_do_not_matter(factor):
    rows, other = _rows(), _rows(20) ** 2
    torch.testing.assert_close(
        moment_distance(factor * rows, factor * other), moment_distance(rows, other)
    )


def test_images_are_compared_pixel_by_pixel():
    rows = _rows(40, 8)
    images = rows.view(40, 2, 2, 2)
    assert torch.equal(moment_distance(images, images**2), moment_distance(rows, rows**2))


@pytest.mark.parametrize("source_is_constant", [True, False])
def test_constant_features_have_finite_gradients(source_is_constant):
    source = torch.ones(4, 3) if source_is_constant else torch.randn(4, 3)
    target = torch.zeros(5, 3, requires_grad=True)
    loss = moment_distance(source, target)
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(target.grad).all() and target.grad.any()


def test_half_precision_is_computed_in_float32():
    rows = 1e3 + _rows().to(torch.float16)
    assert torch.isfinite(moment_distance(rows, rows + 500))
