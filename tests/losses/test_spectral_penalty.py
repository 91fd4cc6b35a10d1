import pytest
import torch

from skda.losses import batch_spectral_penalty


@pytest.fixture
def features():
    return torch.randn(12, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_rank_one_batch_costs_its_squared_frobenius_norm():
    rows, columns = torch.tensor([1.0, -2.0, 3.0]), torch.tensor([0.5, 4.0])
    batch = rows[:, None] * columns
    assert batch_spectral_penalty(batch).item() == pytest.approx(batch.square().sum().item())


def test_rotations_change_nothing(features):
    rotation, _ = torch.linalg.qr(torch.randn(5, 5, dtype=torch.float64))
    torch.testing.assert_close(
        batch_spectral_penalty(features @ rotation), batch_spectral_penalty(features)
    )


def test_all_singular_values_together_are_the_squared_frobenius_norm(features):
    torch.testing.assert_close(batch_spectral_penalty(features, 5), features.square().sum())


def test_more_singular_values_cost_more(features):
    costs = [batch_spectral_penalty(features, k).item() for k in (1, 2, 3)]
    assert costs == sorted(set(costs))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(features, dtype):
    loss = batch_spectral_penalty(features.to(dtype))
    assert loss.dtype == torch.float32 and loss.isfinite()


def test_gradient_shrinks_the_largest_direction(features):
    features.requires_grad_()
    batch_spectral_penalty(features).backward()
    smaller = batch_spectral_penalty((features - 0.01 * features.grad).detach())
    assert smaller < batch_spectral_penalty(features.detach())
