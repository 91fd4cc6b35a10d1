"""The maximum mean discrepancy."""

import math
import subprocess
import sys

import pytest
import torch

from skda.losses import mmd

QUADRATIC = ["biased", "unbiased"]
ALL = [*QUADRATIC, "linear"]


def _features(n, d, seed, dtype=torch.float64):
    return torch.randn(n, d, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def _naive(source, target, bandwidth, multipliers, weights, estimator):
    """The definition, by dense matrices of explicit differences."""

    def kernel(a, b):
        distances = (a[:, None] - b[None]).square().sum(dim=2)
        return sum(
            weight * torch.exp(-distances / (multiplier * bandwidth))
            for multiplier, weight in zip(multipliers, weights, strict=True)
        )

    def within(rows):
        n, matrix = len(rows), kernel(rows, rows)
        if estimator == "biased":
            return matrix.mean()
        return (matrix.sum() - matrix.diagonal().sum()) / (n * (n - 1))

    return within(source) + within(target) - 2 * kernel(source, target).mean()


# -- values -----------------------------------------------------------------------------------


def test_two_point_masses():
    source, target = torch.zeros(4, 1).double(), torch.full((3, 1), 1.5).double()
    loss = mmd(source, target, bandwidth=2.0, multipliers=(1.0,))
    assert loss.item() == pytest.approx(1.350695, abs=5e-7)


def test_biased_value_of_a_batch_with_itself_is_zero():
    source = _features(20, 3, 0)
    assert mmd(source, source.clone()).item() == pytest.approx(0, abs=1e-14)


@pytest.mark.parametrize(
    "estimator, bias", [("biased", 2 * (1 - 1 / math.sqrt(3)) / 20), ("unbiased", 0), ("linear", 0)]
)
def test_estimators_average_to_the_population_value(estimator, bias):
    population = 2 / math.sqrt(3) * (1 - math.exp(-1 / 6))
    assert population == pytest.approx(0.1773, abs=5e-5)
    draws = _features(2000, 40, 1)
    values = [
        mmd(
            row[:20, None],
            row[20:, None] + 1,
            bandwidth=2.0,
            multipliers=(1.0,),
            estimator=estimator,
        )
        for row in draws
    ]
    # Three standard errors of the noisiest estimator are 0.014.
    assert torch.stack(values).mean().item() == pytest.approx(population + bias, abs=0.014)


@pytest.mark.parametrize("estimator", QUADRATIC)
@pytest.mark.parametrize(
    "multipliers, weights",
    [
        ((1.0,), (1.0,)),
        ((0.25, 0.5, 1.0, 2.0, 4.0), (0.2,) * 5),
        ((3.0, 0.7, 1.4, 1.0, 0.35), (0.1, 0.3, 0.2, 0.05, 0.35)),
    ],
)
def test_value_and_gradient_are_those_of_the_definition(estimator, multipliers, weights):
    source, target = _features(13, 4, 2), _features(7, 4, 3) + 0.5
    leaves = [source.clone().requires_grad_(), target.clone().requires_grad_()]
    expected_leaves = [source.clone().requires_grad_(), target.clone().requires_grad_()]
    loss = mmd(
        *leaves,
        bandwidth=3.0,
        multipliers=multipliers,
        kernel_weights=weights,
        estimator=estimator,
    )
    expected = _naive(*expected_leaves, 3.0, multipliers, weights, estimator)
    (5 * loss).backward()
    (5 * expected).backward()
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=1e-14)
    for leaf, expected_leaf in zip(leaves, expected_leaves, strict=True):
        torch.testing.assert_close(leaf.grad, expected_leaf.grad, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("estimator", QUADRATIC)
def test_chunks_of_rows_add_up(estimator, monkeypatch):
    monkeypatch.setattr("skda.losses._kernels._CHUNK_ENTRIES", 4 * 20)
    source, target = _features(13, 4, 2).requires_grad_(), _features(7, 4, 3).requires_grad_()
    loss = mmd(source, target, bandwidth=3.0, multipliers=(1.0,), estimator=estimator)
    expected = _naive(source, target, 3.0, (1.0,), (1.0,), estimator)
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=1e-14)
    for grad, expected_grad in zip(
        torch.autograd.grad(loss, (source, target)),
        torch.autograd.grad(expected, (source, target)),
        strict=True,
    ):
        torch.testing.assert_close(grad, expected_grad, rtol=1e-11, atol=1e-14)


def test_linear_value_is_that_of_disjoint_quadruples():
    source, target = _features(9, 3, 4), _features(7, 3, 5) + 1

    def kernel(a, b):
        return math.exp(-(a - b).square().sum().item() / 3.0)

    terms = [
        kernel(source[i], source[i + 1])
        + kernel(target[i], target[i + 1])
        - kernel(source[i], target[i + 1])
        - kernel(source[i + 1], target[i])
        for i in (0, 2, 4)
    ]
    loss = mmd(source, target, bandwidth=3.0, multipliers=(1.0,), estimator="linear")
    assert loss.item() == pytest.approx(sum(terms) / 3, rel=1e-12)


def test_median_bandwidth_is_that_of_pairs_of_different_rows():
    source, target = _features(6, 2, 6), _features(5, 2, 7)
    median = torch.pdist(torch.cat([source, target])).square().median().item()
    loss = mmd(source, target).item()
    assert loss == pytest.approx(mmd(source, target, bandwidth=median).item(), rel=1e-12)


def test_mean_bandwidth_is_that_of_pairs_of_different_rows():
    source, target = _features(6, 2, 6), _features(5, 2, 7)
    mean = torch.pdist(torch.cat([source, target])).square().mean().item()
    loss = mmd(source, target, bandwidth="mean").item()
    assert loss == pytest.approx(mmd(source, target, bandwidth=mean).item(), rel=1e-12)


@pytest.mark.parametrize("bandwidth", ["median", "mean"])
def test_bandwidth_carries_no_gradient(bandwidth):
    source, target = _features(6, 2, 6).requires_grad_(), _features(5, 2, 7)
    distances = torch.pdist(torch.cat([source.detach(), target])).square()
    fixed = getattr(distances, bandwidth)().item()
    (grad,) = torch.autograd.grad(mmd(source, target, bandwidth=bandwidth), source)
    (expected,) = torch.autograd.grad(mmd(source, target, bandwidth=fixed), source)
    torch.testing.assert_close(grad, expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("estimator", QUADRATIC)
def test_order_of_rows_does_not_matter(estimator):
    source, target = _features(20, 3, 8), _features(16, 3, 9) + 1
    order = torch.randperm(20, generator=torch.Generator().manual_seed(0))
    loss = mmd(source, target, estimator=estimator).item()
    assert mmd(source[order], target, estimator=estimator).item() == pytest.approx(loss, rel=1e-12)


def test_order_of_rows_matters_in_linear_time():
    source, target = _features(20, 3, 8), _features(16, 3, 9) + 1
    order = torch.randperm(20, generator=torch.Generator().manual_seed(0))
    loss = mmd(source, target, estimator="linear").item()
    other = mmd(source[order], target, estimator="linear").item()
    assert abs(other - loss) > 1e-3


@pytest.mark.parametrize("estimator", ALL)
def test_symmetric(estimator):
    source, target = _features(20, 3, 8), _features(16, 3, 9) + 1
    loss = mmd(source, target, estimator=estimator).item()
    assert mmd(target, source, estimator=estimator).item() == pytest.approx(loss, rel=1e-12)


@pytest.mark.parametrize("estimator", ALL)
def test_gradcheck(estimator):
    source, target = _features(6, 3, 10).requires_grad_(), _features(4, 3, 11).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda s, t: mmd(s, t, bandwidth=2.0, estimator=estimator), (source, target)
    )


# -- numerics ---------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [0.0, 0.1, 1e4])
@pytest.mark.parametrize("bandwidth", ["median", "mean"])
@pytest.mark.parametrize("estimator", ALL)
def test_collapsed_features_cost_nothing_and_pull_nowhere(estimator, bandwidth, level):
    source = torch.full((32, 7), level, requires_grad=True)
    target = torch.full((20, 7), level, requires_grad=True)
    loss = mmd(source, target, estimator=estimator, bandwidth=bandwidth)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-6)
    assert source.grad.abs().max() < 1e-6 and target.grad.abs().max() < 1e-6


@pytest.mark.parametrize("estimator", ALL)
def test_mostly_collapsed_features_are_finite(estimator):
    source = torch.zeros(32, 7)
    source[3] = 1.0
    source.requires_grad_()
    loss = mmd(source, torch.zeros(20, 7), estimator=estimator)
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(source.grad).all()
    # Most distances are zero: the mean gives the scale.
    expected = mmd(source, torch.zeros(20, 7), estimator=estimator, bandwidth="mean")
    assert loss.item() == expected.item() != 0


@pytest.mark.parametrize("estimator", ALL)
def test_unequal_numbers_of_rows(estimator):
    source, target = _features(32, 3, 12, torch.float32), _features(20, 3, 13, torch.float32)
    apart = mmd(source, target + 3, estimator=estimator).item()
    near = mmd(source, target, estimator=estimator).item()
    assert math.isfinite(apart) and apart > near + 0.2


@pytest.mark.parametrize("estimator", ALL)
def test_offset_does_not_matter_in_float32(estimator):
    source, target = _features(32, 5, 14, torch.float32), _features(20, 5, 15, torch.float32) + 1
    loss = mmd(source, target, estimator=estimator).item()
    far = mmd(source + 1e4, target + 1e4, estimator=estimator).item()
    assert far == pytest.approx(loss, abs=1e-3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("estimator", ALL)
def test_half_precision_is_computed_in_float32(estimator, dtype):
    # Squared distances, near 1e6, are beyond the largest number of float16.
    source = (300 * _features(32, 5, 16)).to(dtype).requires_grad_()
    target = (300 * _features(20, 5, 17) + 200).to(dtype)
    loss = mmd(source, target, estimator=estimator)
    loss.backward()
    assert loss.dtype == torch.float32
    expected = mmd(source.detach().double(), target.double(), estimator=estimator).item()
    assert loss.item() == pytest.approx(expected, rel=1e-4)
    assert source.grad.dtype == dtype and torch.isfinite(source.grad).all()


_MEASURE = """
import resource
import torch
from skda.losses import mmd
torch.manual_seed(0)
source, target = torch.randn(4096, 2048), torch.randn(4096, 2048) + 0.1
source.requires_grad_()
target.requires_grad_()
mmd(source[:64, :8], target[:64, :8]).backward()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
mmd(source, target).backward()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux alone")
def test_memory_of_large_batches_stays_below_one_gigabyte():
    output = subprocess.run(
        [sys.executable, "-c", _MEASURE], check=True, capture_output=True, text=True
    ).stdout
    assert int(output) * 1024 < 1e9


# -- errors -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "keywords, message",
    [
        ({"bandwidth": "median_distance"}, "bandwidth must be 'median', 'mean' or a number"),
        ({"estimator": "quadratic"}, "estimator must be 'biased', 'unbiased' or 'linear'"),
        ({"kernel_weights": (0.5, 0.5)}, "kernel_weights has 2 entries for 5 multipliers"),
    ],
)
def test_unknown_choices_raise(keywords, message):
    with pytest.raises(ValueError, match=message):
        mmd(torch.zeros(4, 2), torch.ones(4, 2), **keywords)
