"""Time and memory of TCA, JDA and BDA over the number of rows.

Half of the rows are the source, ten overlapping blobs with labels; the target's are moved. With
the kernel "rbf" 1000 landmarks stand for the rows; the linear form needs none. Every run has a
process of its own, whose peak memory (resource.getrusage) holds the data and all imports too:
"data" shows their share.

    python benchmarks/bench_subspace_scale.py [--rows 50000 100000 200000] [--features 100]
"""

import argparse
import resource
import time
from multiprocessing import get_context

import numpy as np
from sklearn.neighbors import NearestCentroid

from skda.subspace import BDA, JDA, TCA

RUNS = {
    "data": None,
    "TCA": TCA(),
    "TCA rbf": TCA(kernel="rbf", random_state=0),
    "JDA rbf": JDA(kernel="rbf", classifier=NearestCentroid(), random_state=0),
    "BDA rbf": BDA(kernel="rbf", classifier=NearestCentroid(), balance=0.5, random_state=0),
}


def make_domains(n_rows, n_features):
    rng = np.random.default_rng(0)
    y = rng.integers(10, size=n_rows // 2)
    centres = 0.3 * rng.normal(size=(10, n_features))
    domains = []
    for shift in (0, 0.5):
        rows = rng.normal(size=(len(y), n_features))
        rows += centres[y] + shift
        domains.append(rows)
    return *domains, y


def run(name, n_rows, n_features):
    X, X_target, y = make_domains(n_rows, n_features)
    start = time.perf_counter()
    iterations = 0
    if RUNS[name] is not None:
        fitted = RUNS[name].fit(X, y, X_target=X_target)
        iterations = getattr(fitted, "n_iter_", 1)
        fitted.transform(X_target)
    seconds = time.perf_counter() - start
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, iterations


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[50_000, 100_000, 200_000])
    parser.add_argument("--features", type=int, default=100)
    parser.add_argument("--runs", nargs="+", choices=RUNS, default=list(RUNS))
    options = parser.parse_args()
    print(f"{'':10}{'rows':>8}{'seconds':>9}{'GB':>6}{'iterations':>12}")
    for name in options.runs:
        for n_rows in options.rows:
            with get_context("spawn").Pool(1) as pool:
                figures = pool.apply(run, (name, n_rows, options.features))
            print("{:10}{:>8}{:>9.1f}{:>6.2f}{:>12}".format(name, n_rows, *figures), flush=True)


if __name__ == "__main__":
    main()
