"""Peak memory of predictions and of training, and of methods with a discriminator per class.

    python benchmarks/bench_memory.py predict --rows 300000 --columns 2048
    python benchmarks/bench_memory.py fit --rows 1000000 --columns 256
    python benchmarks/bench_memory.py classes --classes 1000
    python benchmarks/bench_memory.py soak --fits 500

Rows are in a memory-mapped file. Memory is what the process itself needs (RssAnon of Linux):
pages of the file come on top, but the system takes them back whenever it needs them.
"""

import argparse
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

import skda.adaptation
from skda.adaptation import DAANClassifier, DANNClassifier, SANClassifier
from skda.datasets import load_shifted_digits

N_FIT = 500


class Wide(nn.Module):
    """As many features as columns."""

    def __init__(self, in_features):
        super().__init__()
        self.norm = nn.BatchNorm1d(in_features)

    def forward(self, x):
        return self.norm(x)


def memory_in_use():
    """Return the MiB of this process that no file holds."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) / 1024


def measure(name, function, *args, **kwargs):
    """Print by how much memory grows at most while a function runs."""
    before, start, peak, stop = memory_in_use(), time.perf_counter(), [0.0], threading.Event()

    def watch():
        while not stop.wait(0.005):
            peak[0] = max(peak[0], memory_in_use() - before)

    thread = threading.Thread(target=watch)
    thread.start()
    function(*args, **kwargs)
    stop.set()
    thread.join()
    print(f"{name:20} +{peak[0]:6.0f} MB {time.perf_counter() - start:7.1f} s", flush=True)


def mapped_rows(folder, n_rows, n_columns):
    """Return normal rows in a memory-mapped file."""
    path, rng = Path(folder) / "rows.npy", np.random.default_rng(0)
    rows = np.lib.format.open_memmap(path, "w+", np.float32, (n_rows, n_columns))
    for start in range(0, n_rows, 10_000):
        part = rows[start : start + 10_000]
        part[:] = rng.standard_normal(part.shape, dtype=np.float32)
    rows.flush()
    return np.load(path, mmap_mode="r")


def bench_predict(rows):
    """Predict all rows by a network with as many features as columns."""
    few = [np.array(rows[start : start + N_FIT]) for start in (0, N_FIT)]
    clf = DANNClassifier(module=Wide, max_epochs=1, random_state=0)
    clf.fit(few[0], np.arange(N_FIT) % 4, X_target=few[1])
    for method in ("predict", "predict_proba", "decision_function", "transform"):
        measure(method, getattr(clf, method), rows)


def bench_fit(rows):
    """Train for an epoch on all rows."""
    clf = DANNClassifier(max_epochs=1, batch_size=4096, random_state=0)
    measure("fit", clf.fit, rows, np.arange(len(rows)) % 4, X_target=rows[: len(rows) // 2])


def bench_classes(n_classes, n_rows=2560, n_rounds=3):
    """Train with many classes; every method in every round, for the machine may be busy."""
    X = np.random.default_rng(0).standard_normal((n_rows, 64)).astype(np.float32)
    seconds = {cls: [] for cls in (DANNClassifier, DAANClassifier, SANClassifier)}
    for _ in range(n_rounds):
        for cls in seconds:
            clf = cls(max_epochs=2, random_state=0)
            clf.fit(X, np.arange(n_rows) % n_classes, X_target=X + 0.5)
            seconds[cls].append(min(clf.history_[:, "dur"]))
    for cls, durations in seconds.items():
        ratios = np.divide(durations, seconds[DANNClassifier])
        milliseconds = 1e3 * np.median(durations) / (n_rows / 64)
        print(
            f"{cls.__name__:16} {milliseconds:6.1f} ms a step, {np.median(ratios):.2f} times DANN"
        )


def bench_soak(n_fits):
    """Print what a process holds while it fits one estimator after the other, of all kinds."""
    digits = load_shifted_digits(random_state=0)
    X, y, X_target = digits.X[:200], digits.y[:200], digits.X_target[:200]
    known = sorted(skda.adaptation.__all__)
    classes = [getattr(skda.adaptation, name) for name in known if name.endswith("Classifier")]
    print("fits   MiB  threads (of Python, all)  handles")
    for number in range(n_fits + 1):
        if number % (n_fits // 10) == 0:
            handles = len(list(Path("/proc/self/fd").iterdir()))
            print(f"{number:4} {memory_in_use():5.0f} {threading.active_count():4}", end=" ")
            print(f"{len(list(Path('/proc/self/task').iterdir())):4} {handles:4}", flush=True)
        clf = classes[number % len(classes)](max_epochs=1, random_state=number)
        clf.fit(X, y, X_target=X_target).predict(X_target)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["predict", "fit", "classes", "soak"])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--columns", type=int, default=1024)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--fits", type=int, default=500)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.what == "classes":
        bench_classes(args.classes)
        return
    if args.what == "soak":
        bench_soak(args.fits)
        return
    with tempfile.TemporaryDirectory() as folder:
        rows = mapped_rows(folder, args.rows, args.columns)
        (bench_predict if args.what == "predict" else bench_fit)(rows)


if __name__ == "__main__":
    main()
