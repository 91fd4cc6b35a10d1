"""False alarms of `skda.metrics.DriftMonitor`, and how soon it sees a change.

First the bets themselves: many streams at once, each of one statistic, ranked among 200 reference
rows. "ever" is the share of streams with an alarm at any time, which must be alpha at most. Then
the whole monitor on the rows of three classes in five columns, with a logistic regression that was
trained on others: the share of streams with an alarm before a change, and the rows from the change
to the alarm. At last what an update costs as a part of a fit.

    python benchmarks/bench_drift.py
    python benchmarks/bench_drift.py --runs 100
"""

import argparse
import time

import numpy as np
from sklearn.linear_model import LogisticRegression

from skda.metrics import DriftMonitor
from skda.monitoring import RankMartingales

N_REFERENCE = 200
MEANS = 2 * np.eye(3, 5)
CHANGES = {
    "mean + 0.5 sd": lambda x, rng: x + 0.5,
    "mean + 1 sd": lambda x, rng: x + 1,
    "spread x 1.5": lambda x, rng: 1.5 * x,
    "spread x 0.5": lambda x, rng: 0.5 * x,
    "5 % far away": lambda x, rng: np.where(rng.uniform(size=x.shape) < 0.05, 8, x),
}


def evidence_by_batch(n_runs, n_batches, size, change=None, at=0, seed=0):
    """Return the logarithm of every stream's evidence, of shape (n_batches, n_runs)."""
    rng = np.random.RandomState(seed)
    martingales = RankMartingales(rng.normal(size=(N_REFERENCE, n_runs)), rng)
    evidence = []
    for batch in range(n_batches):
        rows = rng.normal(size=(size, n_runs))
        if change is not None and batch >= at:
            rows = change(rows, rng)
        martingales.update(rows)
        evidence.append(martingales.log_evidence)
    return np.array(evidence)


def quantiles(delays):
    """Return a median and 90 %, of delays that may be infinite."""
    ordered = np.sort(delays)
    return " and ".join(f"{ordered[int(q * (len(ordered) - 1))]:5.0f}" for q in (0.5, 0.9))


def bench_bets(n_runs):
    print(f"false alarms of single statistics, at any time, in {n_runs} streams")
    for size, n_batches in ((1, 500), (20, 100), (100, 50)):
        highest = evidence_by_batch(n_runs, n_batches, size).max(axis=0)
        alphas = (0.01, 0.05, 0.2)
        shown = [f"{(highest >= -np.log(alpha)).mean():.3f} at {alpha}" for alpha in alphas]
        print(f"  {n_batches} batches of {size:3d}: {', '.join(shown)}", flush=True)
    n_few = max(n_runs // 5, 1)
    print(f"\ndelay in rows at alpha = 0.01, batches of 20, {n_few} streams: median and 90 %")
    for name, change in CHANGES.items():
        for at in (0, 50):
            is_alarm = evidence_by_batch(n_few, at + 60, 20, change, at) >= -np.log(0.01)
            first = np.where(is_alarm.any(axis=0), is_alarm.argmax(axis=0), np.inf)
            shown = quantiles(20 * (first[first >= at] - at + 1))
            early = (first < at).mean()
            print(f"  {name:14s} after {20 * at:4d} rows: {shown}; before {early:.3f}", flush=True)


def draw(rng, n, shares=(1 / 3, 1 / 3, 1 / 3)):
    y = rng.choice(3, n, p=shares)
    return rng.normal(size=(n, 5)) + MEANS[y], y


def nothing(rng, n):
    return draw(rng, n)[0]


def shares(rng, n):
    return draw(rng, n, (0.6, 0.3, 0.1))[0]


def offset(rng, n):
    return draw(rng, n)[0] + [0, 0, 0, 0, 1]


def new_class(rng, n):
    X = draw(rng, n)[0]
    X[rng.uniform(size=n) < 0.1] += 4
    return X


def blurred(rng, n):
    X, y = draw(rng, n)
    return X - 0.4 * MEANS[y]


def bench_monitor(n_runs):
    print("\nthe whole monitor, batches of 20, alpha = 0.01, a change after 10 batches")
    streams = (nothing, 1), (shares, 20), (offset, 20), (new_class, 20), (blurred, 20)
    for change, part in streams:
        delays, early, seconds, n_updates = [], 0, 0.0, 0
        for run in range(n_runs // part):
            rng = np.random.RandomState(run)
            clf = LogisticRegression().fit(*draw(rng, 200))
            monitor = DriftMonitor(clf, draw(rng, 2 * N_REFERENCE)[0], random_state=run)
            start = time.process_time()
            for batch in range(50):
                report = monitor.update(nothing(rng, 20) if batch < 10 else change(rng, 20))
                if report.is_drift:
                    break
            seconds, n_updates = seconds + time.process_time() - start, n_updates + batch + 1
            if monitor.is_drift_ and monitor.alarm_batch_ <= 10:
                early += 1
            else:
                delays.append(20 * ((monitor.alarm_batch_ or np.inf) - 10))
        seen, early = np.isfinite(delays).mean(), early / (n_runs // part)
        cost = 1000 * seconds / n_updates
        print(
            f"  {change.__name__:10s} seen {seen:.3f}, before {early:.3f}, "
            f"rows {quantiles(delays)}; {cost:.1f} ms an update ({n_runs // part} runs)",
            flush=True,
        )


def bench_cost():
    from skda.adaptation import DANNClassifier
    from skda.datasets import load_shifted_digits

    data = load_shifted_digits(random_state=0)
    half = len(data.X) // 2
    print("\ncost of an update with 50 of 449 rows, of a fit of DANN to 449 digits")
    for labels in (None, data.y[half:]):
        ratios = []
        for state in range(3):
            start = time.process_time()
            clf = DANNClassifier(random_state=state)
            clf.fit(data.X[:half], data.y[:half], X_target=data.X_target)
            fitted = time.process_time()
            monitor = DriftMonitor(clf, data.X[half:], y=labels, random_state=state)
            begun = time.process_time()
            for batch in range(5):
                monitor.update(data.X_target[50 * batch : 50 * batch + 50])
            ratios.append((time.process_time() - begun) / 5 / (fitted - start))
        what = "without labels" if labels is None else "with an estimate of the accuracy"
        print(f"  {what}: {np.mean(ratios):.2%} ± {np.std(ratios):.2%}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    options = parser.parse_args()
    bench_bets(options.runs)
    bench_monitor(options.runs)
    bench_cost()
