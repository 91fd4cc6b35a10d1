"""Whether `skda.diagnose` names the kind of shift, on 12 situations made on purpose.

Each of `--draws` repetitions draws both domains anew. "right" is how often the kind was named that
was made, "alarms" how often a difference was; where there is none, these are false. The last lines
are false alarms of more draws, and what a diagnosis costs as a part of a fit.

    python benchmarks/bench_diagnose.py
    python benchmarks/bench_diagnose.py --draws 2 --null-draws 20
"""

import argparse
import time
from collections import Counter

import numpy as np

import skda
from skda.datasets import load_shifted_digits

MEANS = 1.5 * np.random.RandomState(7).normal(size=(3, 6))


def make_rows(rng, n=400, shares=(1 / 3, 1 / 3, 1 / 3)):
    """Return rows of three classes in six columns, two of which are far from Gaussian."""
    y = rng.choice(3, n, p=shares)
    X = rng.normal(size=(n, 6)) + MEANS[y]
    X[:, 0] = np.exp(X[:, 0] / 2)
    X[:, 1] = X[:, 1] ** 2 / 3 * np.sign(X[:, 1])
    return X, y


def nothing(rng, n=400):
    return *make_rows(rng, n), make_rows(rng, n)[0]


def shares(rng):
    return *make_rows(rng), make_rows(rng, shares=(0.7, 0.2, 0.1))[0]


def missing_class(rng):
    return *make_rows(rng), make_rows(rng, shares=(0.5, 0.5, 0))[0]


def scale(rng):
    X, y, target = nothing(rng)
    target[:, [0, 2]] *= 2
    return X, y, target


def offset(rng):
    X, y, target = nothing(rng)
    return X, y, target + 0.8


def missing_values(rng):
    X, y, target = nothing(rng)
    target[rng.uniform(size=len(target)) < 0.25, 3] = np.nan
    return X, y, target


def novel(rng):
    X, y, target = nothing(rng)
    target[:50] = rng.normal(size=(50, 6)) + 5 * np.array([1, 1, -1, 1, -1, 1])
    return X, y, target


def joint(rng):
    """Every column stays as it is; two of them go together."""
    X, y, target = nothing(rng)
    target[:, 5] = np.sort(target[:, 5])[np.argsort(np.argsort(target[:, 4]))]
    return X, y, target


def folded(rng):
    """Two columns lose their signs."""
    X, y, target = nothing(rng)
    target[:, [2, 4]] = np.abs(target[:, [2, 4]])
    return X, y, target


def turned(rng):
    data = load_shifted_digits(random_state=rng.randint(2**31))
    return data.X, data.y, data.X_target


def digits_alike(rng):
    data = load_shifted_digits(angle=0, noise=0, random_state=rng.randint(2**31))
    return data.X, data.y, data.X_target


def tiny(rng):
    return nothing(rng, 12)


SITUATIONS = {
    "nothing": (nothing, "none"),
    "nothing, digits": (digits_alike, "none"),
    "12 rows": (tiny, "undecided"),
    "other class shares": (shares, "class shares"),
    "a class less": (missing_class, "missing classes"),
    "scale of two columns": (scale, "scale or offset"),
    "offset of all columns": (offset, "scale or offset"),
    "missing values": (missing_values, "missing values"),
    "rows of a new kind": (novel, "novel rows"),
    "columns that go together": (joint, "covariate"),
    "columns without signs": (folded, "covariate"),
    "turned digits": (turned, "covariate"),
}


def name_kinds(draws):
    print(f"{'situation':26s} {'kind':16s} right  alarms  seconds  named")
    for number, (name, (make, kind)) in enumerate(SITUATIONS.items()):
        start, named, alarms = time.process_time(), Counter(), 0
        for draw in range(draws):
            rng = np.random.RandomState(1000 * number + draw)
            diagnosis = skda.diagnose(*make(rng), random_state=draw)
            named[diagnosis.kind] += 1
            alarms += diagnosis.p_value < 1 - diagnosis.level
        seconds = (time.process_time() - start) / draws
        right = f"{named[kind]}/{draws}"
        print(
            f"{name:26s} {kind:16s} {right:>5s} {alarms:7d} {seconds:8.1f}  {dict(named)}",
            flush=True,
        )


def count_false_alarms(draws):
    print("\nfalse alarms without a shift, at levels of 99 and 95 %")
    for n in (30, 100, 400):
        p_values = []
        for draw in range(draws):
            X, _, target = nothing(np.random.RandomState(draw), n)
            # Labels have no part in the tests.
            p_values.append(skda.diagnose(X, None, target, random_state=draw).p_value)
        alarms = [int((np.array(p_values) < alpha).sum()) for alpha in (0.01, 0.05)]
        print(f"{n:4d} rows: {alarms[0]} and {alarms[1]} of {draws}", flush=True)


def measure_cost():
    from skda.adaptation import DANNClassifier

    data = load_shifted_digits(random_state=0)
    ratios = []
    for state in range(3):
        start = time.process_time()
        skda.diagnose(data.X, data.y, data.X_target, random_state=state)
        middle = time.process_time()
        DANNClassifier(random_state=state).fit(data.X, data.y, X_target=data.X_target)
        ratios.append((middle - start) / (time.process_time() - middle))
    print(f"\ncost, of a fit of DANN to 898 digits: {np.mean(ratios):.0%} ± {np.std(ratios):.0%}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--null-draws", type=int, default=100)
    options = parser.parse_args()
    name_kinds(options.draws)
    count_false_alarms(options.null_draws)
    measure_cost()
