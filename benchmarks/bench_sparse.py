"""Time and memory of training on a sparse table that would not fit in memory if it were dense.

100,000 rows of tf-idf with 50,000 columns, about 80 words each: 64 MB sparse, 20 GB dense. Run it
as ``python benchmarks/bench_sparse.py``; ``--rows`` and ``--columns`` change the size.
"""

import argparse
import resource
import time

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import TfidfTransformer

from skda.adaptation import DeepCORALClassifier


def make_reviews(n_rows, n_columns, words, rng, shift):
    """Return tf-idf rows whose words follow Zipf's law, and labels that a tenth of them tell."""
    y = rng.integers(2, size=n_rows)
    # The word of rank r is drawn with a density of 1 / r.
    ranks = np.exp(rng.random((n_rows, words)) * np.log(n_columns)).astype(np.int64) - 1
    tells = rng.random((n_rows, words)) < 0.1
    columns = np.where(tells, 2 * (ranks // 2) + y[:, None], ranks + shift) % n_columns
    starts = np.arange(0, n_rows * words + 1, words)
    counts = sparse.csr_array(
        (np.ones(n_rows * words), columns.ravel(), starts), shape=(n_rows, n_columns)
    )
    counts.sum_duplicates()
    return TfidfTransformer(sublinear_tf=True).fit_transform(counts).astype(np.float32), y


def peak():
    """Return the largest resident memory so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--columns", type=int, default=50_000)
    parser.add_argument("--epochs", type=int, default=1)
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    X, y = make_reviews(args.rows, args.columns, 80, rng, 0)
    X_target, y_target = make_reviews(args.rows, args.columns, 80, rng, args.columns // 7)
    before, start = peak(), time.perf_counter()
    clf = DeepCORALClassifier(
        max_epochs=args.epochs, batch_size=256, module__hidden_layer_sizes=(64,), random_state=0
    )
    clf.fit(X, y, X_target=X_target)
    seconds = time.perf_counter() - start
    dense = args.rows * args.columns * 4 / 2**30
    print(f"{args.rows} x {args.columns}, {X.nnz / args.rows:.0f} values a row")
    print(f"dense it would take {dense:.1f} GiB for each domain")
    print(f"memory before fit {before:.0f} MiB, at its peak {peak():.0f} MiB")
    print(f"{seconds:.0f} s for {args.epochs} epoch(s)")
    print(f"accuracy on the target {100 * clf.score(X_target[:20_000], y_target[:20_000]):.1f} %")


if __name__ == "__main__":
    main()
