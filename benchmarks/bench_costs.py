"""What every adaptation method costs over plain training: time and memory, with the defaults.

    python benchmarks/bench_costs.py --out costs.jsonl [--methods DANN TCA]
    python benchmarks/bench_costs.py --out costs.jsonl --store docs/costs.json

Time is that of `fit` on the shifted digits in process seconds on one thread. Every fit follows one
of the plain network, which sees the source alone, with the same random state, and the median of
these paired ratios is reported; the accuracy on the target after the last epoch comes with it.
Transformers count with the logistic regression behind them. Methods that are for images alone learn
the digits as images, and so does the network that they are compared with.

Memory is the peak of a process of its own above what it had before `fit`, for an epoch on 4000 rows
of 256 columns in 20 classes, and as many target rows (images of 16 x 16 pixels where a method
needs them); pages of the plain network's fit are taken off.

Lines of JSON are appended to a file, and what it has is not measured again. `--store` writes the
medians that the page about the choice of a method shows.
"""

import argparse
import json
import multiprocessing
import statistics
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import sklearn
import torch
from sklearn.linear_model import LogisticRegression

import skda.adaptation
import skda.subspace
from skda import make_domain_pipeline
from skda.base import DeepAdaptationClassifier
from skda.datasets import load_shifted_digits

CLASSES = {
    name: getattr(module, name)
    for module in (skda.adaptation, skda.subspace)
    for name in module.__all__
    if isinstance(getattr(module, name), type)
}
FOR_IMAGES = {"DUCDAClassifier"}
STATES = (0, 1, 2)


def built(name, state, **params):
    """Return an estimator with the defaults; a transformer is followed by a classifier."""
    if name == "plain":
        return DeepAdaptationClassifier(random_state=state, device="cpu", **params)
    if name.endswith("Classifier"):
        return CLASSES[name](random_state=state, device="cpu", **params)
    return make_domain_pipeline(CLASSES[name](), LogisticRegression(max_iter=1000))


def fitted(name, state, X, y, target, **params):
    """Return the estimator and the process seconds of its fit."""
    clf = built(name, state, **params)
    start = time.process_time()
    clf.fit(X, y, **({} if name == "plain" else {"X_target": (target,)}))
    return clf, time.process_time() - start


def measure_time(name):
    """Return ratios to the plain network, and accuracies of both in %."""
    found = {"ratios": [], "seconds": [], "plain": [], "adapted": []}
    for state in STATES:
        digits = load_shifted_digits(random_state=state, as_images=name in FOR_IMAGES)
        plain, by_plain = fitted("plain", state, digits.X, digits.y, None)
        clf, seconds = fitted(name, state, digits.X, digits.y, digits.X_target)
        found["ratios"].append(seconds / by_plain)
        found["seconds"].append(seconds)
        for key, model in (("plain", plain), ("adapted", clf)):
            found[key].append(100 * model.score(digits.X_target, digits.y_target))
    return found


def status(entry):
    """Return an entry of this process's memory in MiB."""
    lines = Path("/proc/self/status").read_text()
    return int(lines.partition(f"{entry}:")[2].split()[0]) / 1024


def peak_of_fit(name, as_images, queue):
    """Put the growth of memory in a fit, in MiB, into a queue."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((4000, 256), dtype=np.float32)
    X = X.reshape(-1, 1, 16, 16) if as_images else X
    y = np.arange(len(X)) % 20
    params = {} if name in skda.subspace.__all__ or name == "DNFC" else {"max_epochs": 1}
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = status("VmRSS")
    fitted(name, 0, X, y, X + 0.5, **params)
    queue.put(status("VmHWM") - before)


def measure_memory(name):
    """Return the peaks of the plain network and of the method, in MiB."""
    context, peaks = multiprocessing.get_context("fork"), []
    for each in ("plain", name):
        queue = context.Queue()
        process = context.Process(target=peak_of_fit, args=(each, name in FOR_IMAGES, queue))
        process.start()
        process.join()
        if process.exitcode:
            raise RuntimeError(f"The fit of {each} ended with the code {process.exitcode}.")
        peaks.append(queue.get())
    return {"plain_mib": peaks[0], "method_mib": peaks[1]}


def summary(lines):
    """Return what the page shows of every method."""
    found = {}
    for line in lines:
        ratio, over = statistics.median(line["ratios"]), line["method_mib"] - line["plain_mib"]
        found[line["name"]] = {
            "times_plain": float(f"{ratio:.2g}"),
            "mib_over_plain": round(max(over, 0)),
            "accuracy": [round(float(f(line["adapted"])), 1) for f in (np.mean, np.std)],
            "plain": [round(float(f(line["plain"])), 1) for f in (np.mean, np.std)],
        }
    return dict(sorted(found.items()))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    short = {name.removesuffix("Classifier"): name for name in CLASSES}
    parser.add_argument("--methods", nargs="+", choices=short, default=list(short))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--store", type=Path)
    args = parser.parse_args()
    torch.set_num_threads(1)
    sklearn.set_config(enable_metadata_routing=True)
    warnings.simplefilter("ignore")
    lines = (
        [json.loads(line) for line in args.out.read_text().splitlines()]
        if args.out.exists()
        else []
    )
    fitted("plain", 0, *(np.zeros((64, 4)), np.arange(64) % 2, None), max_epochs=1)  # warms up
    for name in (short[method] for method in args.methods):
        if any(line["name"] == name for line in lines):
            continue
        try:
            line = {"name": name, **measure_time(name), **measure_memory(name)}
        except Exception as error:
            print(f"{name}: {error}", file=sys.stderr, flush=True)
            continue
        lines.append(line)
        with args.out.open("a") as file:
            file.write(json.dumps(line) + "\n")
        print(f"{name:28} {statistics.median(line['ratios']):6.2f} times", flush=True)
    if args.store:
        args.store.write_text(json.dumps(summary(lines), indent=1) + "\n")


if __name__ == "__main__":
    main()
