"""The CORAL loss of attention maps."""

import pytest
import torch

from skda.losses import attention_coral, attention_map, coral


def test_map_is_where_channels_are_active(normal):
    maps = normal(5, 3, 4, 2, seed=0)
    attention = attention_map(maps)
    assert attention.shape == (5, 8)
    expected = (maps[2, :, 3, 1] ** 2).sum() / (maps[2] ** 2).sum(dim=0).norm()
    assert attention[2, 7].item() == pytest.approx(expected.item(), rel=1e-12)


def test_order_of_channels_does_not_matter(normal):
    maps = normal(5, 3, 4, 2, seed=0)
    torch.testing.assert_close(attention_map(maps), attention_map(maps[:, [2, 0, 1]]))


def test_scale_of_a_row_does_not_matter(normal):
    maps, scales = normal(5, 3, 4, 2, seed=0), torch.tensor([0.1, 1, 2, 3, 50]).double()
    torch.testing.assert_close(
        attention_map(maps), attention_map(maps * scales[:, None, None, None])
    )


def test_loss_is_that_of_the_maps(normal):
    source, target = normal(6, 3, 4, 2, seed=1), normal(5, 3, 4, 2, seed=2) + 1
    expected = coral(attention_map(source), attention_map(target))
    assert attention_coral(source, target).item() == expected.item() > 0


def test_equal_maps_cost_nothing(normal):
    maps = normal(6, 3, 4, 2, seed=1)
    assert attention_coral(maps, maps.clone()).item() == 0


def test_gradcheck(normal):
    inputs = [normal(n, 2, 2, 2, seed=n).requires_grad_() for n in (4, 3)]
    assert torch.autograd.gradcheck(attention_coral, inputs)


@pytest.mark.parametrize("level", [0.0, 1e4])
def test_constant_maps_are_finite(level):
    maps = torch.full((4, 3, 2, 2), level, requires_grad=True)
    loss = attention_coral(maps, torch.ones(3, 3, 2, 2))
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-12)
    assert torch.isfinite(maps.grad).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(normal, dtype):
    # The squares, near 1e5, are beyond the largest number of float16.
    maps = (300 * normal(4, 3, 2, 2, seed=0)).to(dtype)
    attention = attention_map(maps)
    assert attention.dtype == torch.float32
    torch.testing.assert_close(attention.double(), attention_map(maps.double()))


def test_rows_of_a_table_raise(normal):
    with pytest.raises(ValueError, match=r"shape \(n, n_channels, height, width\), got .*\(4, 8\)"):
        attention_coral(normal(4, 8, seed=0), normal(4, 8, seed=1))
