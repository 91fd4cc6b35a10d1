"""Random changes of series."""

import pytest
import torch

from skda.nn import augment_series, jitter_series, scale_series, shift_series

ALL = [augment_series, jitter_series, scale_series, shift_series]


@pytest.fixture
def batch():
    torch.manual_seed(0)
    return torch.randn(20, 3, 400)


@pytest.mark.parametrize("change", ALL)
def test_a_new_batch_like_the_old_one(change, batch):
    before = batch.clone()
    changed = change(batch.bfloat16())
    assert changed.shape == batch.shape and changed.dtype == torch.bfloat16
    assert not torch.equal(change(batch), before)
    assert torch.equal(batch, before)


@pytest.mark.parametrize("change", ALL)
def test_torchs_generator_decides(change, batch):
    torch.manual_seed(1)
    first, other = change(batch), change(batch)
    torch.manual_seed(1)
    assert torch.equal(change(batch), first)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("change", ALL)
def test_every_row_gets_its_own_change(change, batch):
    changed = change(batch[:1].expand(20, -1, -1))
    assert len(torch.unique(changed, dim=0)) > 15


def test_jitter_is_relative_to_the_deviation_of_a_channel(batch):
    scales = torch.tensor([0.0, 1.0, 50.0])[:, None]
    noise = jitter_series(batch * scales + 7, strength=0.1) - (batch * scales + 7)
    deviations = noise.transpose(0, 1).flatten(1).std(dim=1)
    torch.testing.assert_close(deviations, torch.tensor([0.0, 0.1, 5.0]), rtol=0.05, atol=1e-6)


def test_all_values_of_a_row_are_scaled_alike(batch):
    factors = scale_series(batch, strength=0.2) / batch
    torch.testing.assert_close(factors, factors[:, :1, :1].expand_as(factors))
    assert 0.1 < factors[:, 0, 0].log().std() < 0.3


def test_channels_are_shifted_together():
    X = torch.arange(50.0).expand(30, 2, 50) + torch.tensor([0.0, 100.0])[:, None]
    shifted = shift_series(X)
    assert torch.equal(shifted[:, 1], shifted[:, 0] + 100)
    steps = shifted[:, 0].argmin(dim=1)
    for row, step in zip(shifted, steps, strict=True):
        assert torch.equal(row, X[0].roll(int(step), dims=1))
    assert steps.min() < 15 and steps.max() > 35
