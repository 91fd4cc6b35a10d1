"""The nuclear-norm Wasserstein discrepancy."""

import numpy as np
import pytest
import torch

from skda.losses import nuclear_wasserstein

N_CLASSES = 4
CERTAIN = 100 * torch.eye(N_CLASSES, dtype=torch.float64)
BALANCED = CERTAIN.repeat(3, 1)
COLLAPSED = CERTAIN[:1].repeat(12, 1)
UNIFORM = torch.zeros(12, N_CLASSES, dtype=torch.float64)


def test_identical_batches_do_not_differ(normal):
    logits = normal(12, N_CLASSES, seed=0)
    assert nuclear_wasserstein(logits, logits).item() == 0
    assert nuclear_wasserstein(logits, logits.flip(0)).item() == pytest.approx(0, abs=1e-14)


def test_it_is_the_difference_of_norms_per_row(normal):
    logits = 3 * normal(12, N_CLASSES, seed=1), normal(7, N_CLASSES, seed=2)
    first, second = (np.linalg.norm(z.softmax(dim=1).numpy(), ord="nuc") / len(z) for z in logits)
    assert nuclear_wasserstein(*logits).item() == pytest.approx(first - second, rel=1e-12)


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        # Of 12 one-hot rows: 4 singular values of sqrt(3); one of sqrt(12); of 1 / sqrt(4) * 2.
        (BALANCED, COLLAPSED, (4 * 3**0.5 - 12**0.5) / 12),
        (BALANCED, UNIFORM, (4 * 3**0.5 - 3**0.5) / 12),
        (COLLAPSED, UNIFORM, (12**0.5 - 3**0.5) / 12),
        (CERTAIN, CERTAIN[:1].repeat(4, 1), 0.5),
        (CERTAIN, CERTAIN.roll(1, dims=1), 0.0),
    ],
)
def test_extreme_predictions(source, target, expected):
    assert nuclear_wasserstein(source, target).item() == pytest.approx(expected, abs=1e-14)
    assert nuclear_wasserstein(target, source).item() == pytest.approx(-expected, abs=1e-14)


def test_bounds_are_those_of_certain_and_uniform_predictions(normal):
    upper = nuclear_wasserstein(BALANCED, UNIFORM).item()
    for seed in range(20):
        scale = 10 ** (seed / 10 - 1)
        source, target = (scale * normal(12, N_CLASSES, seed=s) for s in (seed, seed + 20))
        assert abs(nuclear_wasserstein(source, target).item()) <= upper


def test_gradcheck(normal):
    logits = [normal(n, 3, seed=n).requires_grad_() for n in (6, 5)]
    assert torch.autograd.gradcheck(nuclear_wasserstein, logits)


def test_a_step_up_makes_the_source_surer_and_the_target_less_sure(normal):
    source, target = (normal(12, 3, seed=s).requires_grad_() for s in (3, 4))
    nuclear_wasserstein(source, target).backward()
    for logits, sign in ((source, 1), (target, -1)):
        norms = [
            torch.linalg.matrix_norm(z.softmax(dim=1), ord="nuc")
            for z in (logits, logits + 0.1 * logits.grad)
        ]
        assert sign * (norms[1] - norms[0]) > 0


@pytest.mark.parametrize("source", [BALANCED, COLLAPSED, UNIFORM, UNIFORM + 1e4, 100 * BALANCED])
def test_equal_singular_values_leave_the_gradient_finite(source):
    logits = source.float().requires_grad_(), (source.float() + 1).requires_grad_()
    nuclear_wasserstein(*logits).backward()
    assert all(torch.isfinite(z.grad).all() for z in logits)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(normal, dtype):
    logits = [normal(20, N_CLASSES, seed=seed).to(dtype) for seed in (5, 6)]
    value = nuclear_wasserstein(*logits)
    assert value.dtype == torch.float32
    expected = nuclear_wasserstein(*(z.double() for z in logits)).item()
    assert value.item() == pytest.approx(expected, abs=1e-6)
