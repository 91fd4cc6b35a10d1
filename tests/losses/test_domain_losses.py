"""What every loss of two domains must bear."""

import math

import pytest
import torch

from skda.losses import coral, joint_mmd, linear_mmd, local_mmd, mmd, tensor_mmd

LABELS = torch.arange(32) % 3


def _probabilities(n):
    return torch.softmax(torch.linspace(-1, 1, 3 * n).reshape(3, n).T, dim=1)


LOSSES = {
    "coral": coral,
    "linear_mmd": linear_mmd,
    "mmd": mmd,
    "mmd unbiased": lambda s, t: mmd(s, t, estimator="unbiased"),
    "joint_mmd": lambda s, t: joint_mmd((s, s[:, :2]), (t, t[:, :2])),
    "joint_mmd unbiased": lambda s, t: joint_mmd(
        (s, s[:, :2]), (t, t[:, :2]), estimator="unbiased"
    ),
    "joint_mmd linear": lambda s, t: joint_mmd((s, s[:, :2]), (t, t[:, :2]), estimator="linear"),
    "tensor_mmd": lambda s, t: tensor_mmd((s, s[:, :2]), (t, t[:, :2])),
    "local_mmd": lambda s, t: local_mmd(s, t, LABELS, _probabilities(len(t))),
}


@pytest.fixture(params=LOSSES)
def loss(request):
    return LOSSES[request.param]


@pytest.mark.parametrize("level", [0.0, 0.1, 1e4])
def test_collapsed_features_cost_nothing_and_pull_nowhere(loss, level):
    source = torch.full((32, 5), level, requires_grad=True)
    target = torch.full((20, 5), level, requires_grad=True)
    value = loss(source, target)
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-6)
    assert source.grad.abs().max() < 1e-6 and target.grad.abs().max() < 1e-6


def test_unequal_numbers_of_rows(normal, loss):
    source = normal(32, 5, seed=0, dtype=torch.float32)
    target = normal(20, 5, seed=1, dtype=torch.float32)
    near, apart = loss(source, target).item(), loss(source, 3 * target + 1).item()
    assert math.isfinite(near) and apart > near + 0.05


def test_offset_is_finite_in_float32(normal, loss):
    source = (normal(32, 5, seed=0, dtype=torch.float32) + 1e4).requires_grad_()
    target = normal(20, 5, seed=1, dtype=torch.float32) + 1e4
    value = loss(source, target)
    value.backward()
    expected = loss(source.detach().double(), target.double()).item()
    assert value.item() == pytest.approx(expected, rel=1e-2, abs=1e-3)
    assert torch.isfinite(source.grad).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(normal, loss, dtype):
    # Squared distances, near 1e5, are beyond the largest number of float16.
    source = (100 * normal(32, 5, seed=0)).to(dtype).requires_grad_()
    target = (100 * normal(20, 5, seed=1) + 200).to(dtype)
    value = loss(source, target)
    value.backward()
    assert value.dtype == torch.float32
    expected = loss(source.detach().double(), target.double()).item()
    assert value.item() == pytest.approx(expected, rel=1e-3)
    assert source.grad.dtype == dtype and torch.isfinite(source.grad).all()


def test_needs_no_gradient(normal, loss):
    source, target = normal(32, 5, seed=0), normal(20, 5, seed=1)
    assert not loss(source, target).requires_grad
