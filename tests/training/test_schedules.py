"""Schedules of the trade-off and the learning rate."""

import math

import pytest

from skda.training import annealing, progressive
from skda.training._schedules import SCHEDULES


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
