import numpy as np
import pytest
from scipy.stats import kstest

from skda.monitoring import RankMartingales
from skda.monitoring._martingales import BETS, log_factors

N_RUNS = 400


def first_alarms(n_batches, size, change=lambda rows: rows, alpha=0.05):
    """Return the numbers of the batches of the first alarms of streams of one statistic each."""
    rng = np.random.RandomState(0)
    martingales = RankMartingales(rng.normal(size=(100, N_RUNS)), rng)
    first = np.full(N_RUNS, np.inf)
    for batch in range(n_batches):
        martingales.update(change(rng.normal(size=(size, N_RUNS))))
        first[(martingales.log_evidence >= -np.log(alpha)) & np.isinf(first)] = batch
    return first


@pytest.mark.parametrize(("n_batches", "size"), [(100, 1), (40, 10), (10, 100)])
def test_false_alarms_at_any_time_are_at_most_alpha(n_batches, size):
    ever = np.isfinite(first_alarms(n_batches, size)).mean()
    assert ever <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / N_RUNS)


@pytest.mark.parametrize(
    "change", [lambda rows: rows + 1, lambda rows: rows / 2, lambda rows: 2 * rows]
)
def test_a_change_is_seen_soon(change):
    assert np.quantile(first_alarms(15, 10, change), 0.9) < 12


def test_a_change_after_long_quiet_is_seen_soon():
    rng = np.random.RandomState(0)
    martingales = RankMartingales(rng.normal(size=(100, N_RUNS)), rng)
    for _ in range(40):
        martingales.update(rng.normal(size=(20, N_RUNS)))
    for _ in range(4):
        martingales.update(rng.normal(size=(20, N_RUNS)) + 1)
    assert np.mean(martingales.log_evidence >= np.log(20)) > 0.9


def test_ranks_are_uniform_with_ties_and_missing_values():
    rng = np.random.RandomState(0)
    values = rng.randint(3, size=(700, 30)).astype(float)
    values[rng.uniform(size=values.shape) < 0.2] = np.nan
    martingales = RankMartingales(values[:50], rng)
    ranks = martingales._ranks(np.where(np.isnan(values[50:]), -np.inf, values[50:]))
    assert kstest(ranks.ravel(), "uniform").pvalue > 0.01
    assert abs(np.corrcoef(ranks[:-1].ravel(), ranks[1:].ravel())[0, 1]) < 0.03


def test_rows_are_ranked_among_all_before_whatever_the_batches():
    rows = np.random.RandomState(0).normal(size=(30, 2))
    ranks = []
    for sizes in ([30], [1] * 30, [7, 3, 20]):
        martingales = RankMartingales(np.zeros((0, 2)), np.random.RandomState(0))
        parts = np.split(rows, np.cumsum(sizes)[:-1])
        ranks.append(np.vstack([martingales._ranks(part) for part in parts]))
        np.testing.assert_array_equal(martingales.sorted_, np.sort(rows, axis=0))
    # The draws that break ties are the same, in the same order.
    np.testing.assert_array_equal(ranks[0], ranks[1])
    np.testing.assert_array_equal(ranks[0], ranks[2])
    # With none before, a row's rank is its draw.
    np.testing.assert_array_equal(ranks[0][0], np.random.RandomState(0).uniform(size=2))


def test_every_bet_is_fair():
    ranks = (np.arange(10_000) + 0.5)[:, None] / 10_000
    capital = np.exp(log_factors(ranks)).mean(axis=0)[:, 0]
    assert len(capital) == len(BETS)
    np.testing.assert_allclose(capital, 1, atol=1e-6)
