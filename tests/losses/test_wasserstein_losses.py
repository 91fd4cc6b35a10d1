"""A critic's distance, and the penalty for gradients of another norm than 1."""

import numpy as np
import pytest
import torch
from torch import nn

from skda.losses import critic_distance, gradient_penalty


def _linear(*weights):
    critic = nn.Linear(len(weights), 1, dtype=torch.float64)
    critic.weight.data = torch.tensor([weights], dtype=torch.float64)
    return critic


def test_a_linear_critic_of_norm_1_has_no_penalty(normal):
    penalty = gradient_penalty(_linear(0.6, -0.8), normal(7, 2, seed=0), normal(5, 2, seed=1))
    assert penalty.item() == pytest.approx(0, abs=1e-12)


def test_the_norm_is_that_of_the_whole_gradient_of_a_row(normal):
    penalty = gradient_penalty(_linear(3.0, 4.0), normal(7, 2, seed=0), normal(7, 2, seed=1))
    assert penalty.item() == pytest.approx((5 - 1) ** 2)


def test_every_row_has_its_own_gradient():
    def half_square(rows):
        return rows.square().sum(dim=1, keepdim=True) / 2  # the norm of its gradient is the row's

    source, target = torch.tensor([[2.0], [3.0]]), torch.tensor([[4.0], [4.0]])
    torch.manual_seed(0)
    penalty = gradient_penalty(half_square, source, target).item()
    torch.manual_seed(0)
    between = 4 + torch.rand(2, 1) * (source - 4)
    squares = (torch.cat([source, target, between]) - 1).square()
    assert penalty == pytest.approx(squares.mean().item())


@pytest.mark.parametrize("sizes", [(2, 9), (9, 2)])
def test_points_between_domains_of_unequal_size(sizes):
    seen = []

    def critic(rows):
        seen.append(rows.detach())
        return rows

    gradient_penalty(critic, torch.zeros(sizes[0], 1), torch.ones(sizes[1], 1))
    (points,) = seen
    between = points[sum(sizes) :]
    assert len(between) == 9
    assert ((between > 0) & (between < 1)).all()
    assert len(between.unique()) == 9


def test_the_penalty_teaches_the_critic_and_not_the_rows(normal):
    critic = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    source = normal(4, 2, seed=0).requires_grad_()
    penalty = gradient_penalty(critic, source, normal(4, 2, seed=1))
    assert penalty.ndim == 0
    penalty.backward()
    assert critic[0].weight.grad.abs().sum() > 0
    assert source.grad is None


def test_a_constant_critic_has_a_finite_gradient(normal):
    critic = _linear(0.0, 0.0)
    gradient_penalty(critic, normal(4, 2, seed=0), normal(4, 2, seed=1)).backward()
    assert torch.isfinite(critic.weight.grad).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
    scores = torch.full((4, 1), 3e4, dtype=torch.float16).to(dtype)
    assert critic_distance(scores, -scores).item() == pytest.approx(6e4, rel=0.01)
    rows = torch.ones(4, 2, dtype=dtype)
    assert gradient_penalty(lambda x: 3 * x[:, :1], rows, rows).dtype == torch.float32


def _best_distance(source, target):
    """The distance of a critic that has learned."""
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Linear(1, 32), nn.ReLU(), nn.Linear(32, 1)).double()
    optimizer = torch.optim.Adam(critic.parameters(), lr=5e-3)
    # Light at first, for it holds a norm of 1 in the wrong direction too; then a constraint.
    for weight in np.logspace(-1, 2, 400):
        distance = critic_distance(critic(source), critic(target))
        loss = weight * gradient_penalty(critic, source, target) - distance
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return critic_distance(critic(source), critic(target)).item()


@pytest.mark.parametrize("mean", [-2.0, 1.0, 4.0])
def test_a_trained_critic_measures_the_distance_of_two_normal_distributions(normal, mean):
    distance = _best_distance(normal(256, 1, seed=0), mean + normal(200, 1, seed=1))
    assert distance == pytest.approx(abs(mean), abs=0.2)


def test_a_trained_critic_finds_no_distance_where_there_is_none(normal):
    rows = normal(256, 1, seed=0)
    assert _best_distance(rows, rows) == pytest.approx(0, abs=1e-6)
