"""The tests that a diagnosis consists of."""

import numpy as np
import pytest
from scipy.stats import ks_2samp

from skda.diagnosis._column_tests import test_columns as columns_of
from skda.diagnosis._novelty import find_novel
from skda.diagnosis._tables import read_tables
from skda.diagnosis._two_sample import compare


def test_false_alarms_are_rare_without_a_shift():
    alarms = 0
    for draw in range(20):
        rng = np.random.RandomState(draw)
        rows = np.exp(rng.normal(size=(80, 4))).round(1)  # with ties
        alarms += compare(*read_tables(rows[:40], rows[40:], "X"), rng, level=0.95).p_value < 0.05
    assert alarms <= 3  # 1 on average at most


def test_columns_agree_with_scipy():
    rng = np.random.RandomState(0)
    X, target = rng.normal(size=(100, 1)), rng.normal(0.3, 1, size=(150, 1))
    statistics, p_values = columns_of(*read_tables(X, target, "X"), np.full(100, 0.01))
    expected = ks_2samp(X[:, 0], target[:, 0], method="exact")
    assert statistics[0] == pytest.approx(expected.statistic)
    assert p_values[0] == pytest.approx(expected.pvalue, rel=0.1)


def test_p_values_of_columns_are_corrected_for_their_number():
    rng = np.random.RandomState(0)
    X, target = rng.normal(size=(2, 100, 1))
    target += 0.4
    one = columns_of(*read_tables(X, target, "X"), np.full(100, 0.01))[1]
    filled = [np.hstack([part, np.zeros((100, 9))]) for part in (X, target)]
    ten = columns_of(*read_tables(*filled, "X"), np.full(100, 0.01))[1]
    assert ten[0] == pytest.approx(10 * one[0])


def test_weights_undo_a_difference_of_shares():
    rng = np.random.RandomState(0)
    y, y_target = rng.uniform(size=300) < 0.5, rng.uniform(size=300) < 0.8
    X, target = (rng.normal(size=(300, 2)) + 3 * part[:, None] for part in (y, y_target))
    tables = read_tables(X, target, "X")
    assert compare(*tables, rng, level=0.99).p_value < 1e-6
    weights = np.where(y, 0.8, 0.2)
    left = compare(*tables, rng, level=0.99, weights=weights)
    assert left.p_value > 0.01 and left.lower == 0


def test_novel_rows_have_an_exact_p_value():
    p_values = []
    for draw in range(200):
        rng = np.random.RandomState(draw)
        tables = read_tables(rng.normal(size=(60, 2)), rng.normal(size=(60, 2)), "X")
        p_values.append(find_novel(*tables, np.full(60, 1 / 60), rng).p_value)
    assert np.mean(np.array(p_values) < 0.1) <= 0.13


def test_a_p_value_is_not_below_what_few_rows_can_show():
    rng = np.random.RandomState(0)
    X, target = rng.normal(size=(5, 3)), rng.normal(size=(5, 3)) + 100
    assert compare(*read_tables(X, target, "X"), rng, level=0.99).p_value > 0.01
