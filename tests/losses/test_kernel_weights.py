"""Learned weights of the kernels of the maximum mean discrepancy."""

import numpy as np
import pytest
import torch
from scipy.optimize import minimize

from skda.losses import DAN_MULTIPLIERS, mmd, mmd_kernel_weights

MULTIPLIERS = (0.1, 0.5, 1.0, 4.0, 20.0)
REGULARIZATION = 1e-3


def _statistics(source, target, bandwidth=1.0, multipliers=MULTIPLIERS):
    """The discrepancy under each kernel, and the regularised covariance, by plain loops."""
    terms = []
    for i in range(0, len(source) - 1, 2):
        s1, s2, t1, t2 = (rows[k].numpy() for rows in (source, target) for k in (i, i + 1))
        terms.append(
            [
                sum(
                    sign * np.exp(-np.sum((a - b) ** 2) / (m * bandwidth))
                    for a, b, sign in ((s1, s2, 1), (t1, t2, 1), (s1, t2, -1), (s2, t1, -1))
                )
                for m in multipliers
            ]
        )
    terms = np.array(terms)
    differences = terms[0::2] - terms[1::2]
    covariance = 4 / len(source) * sum(np.outer(row, row) for row in differences)
    return terms.mean(axis=0), covariance + REGULARIZATION * np.eye(len(multipliers))


@pytest.fixture
def domains(normal):
    return normal(400, 3, seed=0), 1.3 * normal(400, 3, seed=1) + 0.4


def _weights(source, target, **keywords):
    keywords = {"multipliers": MULTIPLIERS, "bandwidth": 1.0} | keywords
    return mmd_kernel_weights(source, target, regularization=REGULARIZATION, **keywords)


def test_family_of_the_paper():
    assert DAN_MULTIPLIERS == pytest.approx(tuple(2.0 ** np.arange(-8, 8.5, 0.5)))


def test_weights_are_a_convex_combination(domains):
    weights = mmd_kernel_weights(*domains)
    assert weights.shape == (33,)
    assert weights.min() >= 0
    assert weights.sum().item() == pytest.approx(1)


def test_weights_solve_the_quadratic_program(domains):
    discrepancies, covariance = _statistics(*domains)
    solution = minimize(
        lambda b: b @ covariance @ b,
        np.full(5, 1 / discrepancies.sum()),
        jac=lambda b: 2 * covariance @ b,
        bounds=[(0, None)] * 5,
        constraints={
            "type": "eq",
            "fun": lambda b: discrepancies @ b - 1,
            "jac": lambda b: discrepancies,
        },
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 1000},
    )
    assert solution.success
    weights = _weights(*domains).numpy()
    # Before they are divided by their sum they meet the constraint.
    scaled = weights / (discrepancies @ weights)
    assert scaled @ covariance @ scaled == pytest.approx(solution.fun, rel=1e-6)
    np.testing.assert_allclose(weights, solution.x / solution.x.sum(), atol=1e-3)


def test_weights_beat_every_kernel_and_their_mean(domains):
    discrepancies, covariance = _statistics(*domains)

    def power(weights):
        return discrepancies @ weights / np.sqrt(weights @ covariance @ weights)

    learned = power(_weights(*domains).numpy())
    for weights in (*np.eye(5), np.full(5, 0.2)):
        assert learned >= power(weights) * (1 - 1e-9)


def test_weight_goes_to_a_wide_kernel_for_a_shift_of_all_rows(normal):
    source, target = normal(2000, 1, seed=3), normal(2000, 1, seed=4) + 1
    assert _weights(source, target, multipliers=(1e-4, 2.0))[1] > 0.9


def test_weight_goes_to_a_narrow_kernel_for_a_change_within_clusters(normal):
    centres = 100.0 * torch.randint(2, (2, 2000, 1), generator=torch.Generator().manual_seed(0))
    source = centres[0] + 0.1 * normal(2000, 1, seed=3)
    target = centres[1] + 0.1 * torch.sign(normal(2000, 1, seed=4))
    assert _weights(source, target, multipliers=(0.01, 1e4))[0] > 0.95


def test_without_any_discrepancy_one_kernel_gets_all(normal):
    # Rows of a pair are far apart within a domain, and near the other domain's row of the pair
    # next to it: every kernel sees a negative discrepancy.
    near, far = normal(40, 1, seed=7) * 0.1, normal(40, 1, seed=8) * 0.1 + 3
    source = torch.stack([near, far], dim=1).flatten(0, 1)
    target = torch.stack([far, near], dim=1).flatten(0, 1) + 0.05
    discrepancies, covariance = _statistics(source, target)
    assert discrepancies.max() < 0
    expected = np.argmax(discrepancies / np.sqrt(np.diag(covariance)))
    assert _weights(source, target).tolist() == np.eye(5)[expected].tolist()


def test_collapsed_features_are_finite():
    weights = mmd_kernel_weights(torch.ones(32, 3), torch.ones(20, 3))
    assert weights.sum().item() == pytest.approx(1)


def test_weights_carry_no_gradient(domains):
    source, target = domains
    assert not mmd_kernel_weights(source.clone().requires_grad_(), target).requires_grad


def test_half_precision_is_computed_in_float64(domains):
    source, target = (100 * rows.half() for rows in domains)
    expected = mmd_kernel_weights(source.double(), target.double())
    torch.testing.assert_close(mmd_kernel_weights(source, target), expected)


@pytest.mark.parametrize("estimator", ["biased", "linear"])
def test_mmd_takes_the_weights(domains, estimator):
    weights = _weights(*domains)
    loss = mmd(
        *domains,
        bandwidth=1.0,
        multipliers=MULTIPLIERS,
        kernel_weights=weights,
        estimator=estimator,
    )
    single = [
        mmd(*domains, bandwidth=1.0, multipliers=(m,), estimator=estimator) for m in MULTIPLIERS
    ]
    assert loss.item() == pytest.approx((weights @ torch.stack(single)).item(), rel=1e-10)


def test_too_few_rows_raise(normal):
    with pytest.raises(ValueError, match=r"at least four rows each.* got 3 and 20"):
        mmd_kernel_weights(normal(3, 2, seed=0), normal(20, 2, seed=1))


def test_regularization_must_be_positive(domains):
    with pytest.raises(ValueError, match="regularization must be greater than zero, got 0"):
        mmd_kernel_weights(*domains, regularization=0)
