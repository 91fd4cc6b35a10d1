import numpy as np
import pytest

from skda.metrics import DriftMonitor

pd = pytest.importorskip("pandas")


@pytest.fixture
def rng():
    return np.random.RandomState(0)


def codes_with_a_text(rng, n=200, n_texts=10):
    codes = [*rng.randint(1, 4, n - n_texts), *["unknown"] * n_texts]
    return pd.DataFrame({"zone": pd.Series(codes, dtype=object)})


@pytest.mark.parametrize(
    "written",
    [
        lambda codes: codes,
        lambda codes: codes.astype(float),
        lambda codes: codes.astype(str),
        lambda codes: codes.astype(float).astype(str),
    ],
)
def test_codes_are_the_same_however_they_are_written(rng, written):
    monitor = DriftMonitor(None, codes_with_a_text(rng), random_state=1)
    codes = pd.Series(rng.randint(1, 4, 60))
    report = monitor.update(pd.DataFrame({"zone": written(codes)}))
    values = monitor._statistics(pd.DataFrame({"zone": written(codes)}), "batch")[0]
    assert report.advice == "keep" and np.isfinite(values[:, 0]).all()


@pytest.mark.parametrize("others", [None, 3])
def test_a_rare_text_makes_a_column_one_of_text_in_every_halving(rng, others):
    notes = pd.Series([others] * 200, dtype=object)
    notes[7] = "late"
    reference = pd.DataFrame({"size": rng.normal(size=200), "note": notes})
    batch = reference.sample(40, random_state=0).assign(note="new")
    for seed in range(4):
        monitor = DriftMonitor(None, reference, random_state=seed)
        values = monitor._statistics(batch, "batch")[0]
        assert np.isinf(values[:, 1]).all()


def test_missing_values_are_named_by_their_shares(rng):
    X = rng.normal(size=(200, 2))
    X[:20, 1] = np.nan
    batch = np.c_[rng.normal(size=60), np.full(60, np.nan)]
    report = DriftMonitor(None, X, random_state=0).update(batch)
    assert report.statistic == "column 1" and "nan" not in report.reason
    ranked = DriftMonitor(None, X, random_state=0)._ranked[:, 1]
    share = f"{np.isnan(ranked).mean():.3g}"
    words = f"a share of missing values of {share} in the reference and 1 in this batch"
    assert words in report.reason


def test_texts_that_the_reference_lacks_are_named_by_their_shares(rng):
    frame = pd.DataFrame({"zone": rng.choice(["a", "b"], 200)})
    report = DriftMonitor(None, frame, random_state=0).update(frame.assign(zone="c"))
    assert "nan" not in report.reason
    assert "unknown or infinite values of 0 in the reference and 1 in this" in report.reason
