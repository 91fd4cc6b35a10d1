"""Schedules of the trade-off and the learning rate."""

import math
from functools import partial

import pytest

from skda.training import SCHEDULES, annealing, cosine, progressive


@pytest.mark.parametrize("progress, factor", [(0, 0.0), (0.1, 0.4621), (0.5, 0.9866), (1, 0.9999)])
def test_progressive(progress, factor):
    assert progressive(progress) == pytest.approx(factor, abs=5e-5)


def test_progressive_is_a_hyperbolic_tangent():
    assert progressive(0.3, gamma=4) == pytest.approx(math.tanh(0.6))


@pytest.mark.parametrize("progress, factor", [(0, 1.0), (0.1, 0.5946), (1, 0.1656)])
def test_annealing(progress, factor):
    assert annealing(progress) == pytest.approx(factor, abs=5e-5)


def test_annealing_of_other_speed():
    assert annealing(0.5, alpha=6, beta=0.5) == pytest.approx(0.5)


def test_constant_is_one():
    assert {SCHEDULES["constant"](p) for p in (0, 0.5, 1)} == {1.0}


@pytest.mark.parametrize("progress, factor", [(0, 0), (0.02, 0.4), (0.05, 1), (0.525, 0.5), (1, 0)])
def test_cosine_warms_up_and_ends_at_zero(progress, factor):
    assert cosine(progress) == pytest.approx(factor, abs=1e-12)


def test_cosine_without_warm_up_starts_at_once():
    schedule = partial(cosine, warmup=0)
    assert (schedule(0), schedule(0.25)) == (1.0, pytest.approx((1 + math.sqrt(0.5)) / 2))
