"""Accuracy by `trade_off`, of the methods whose domains share the statistics of their batch norms.

From 0, where the source is learnt alone, to 10 in nine steps, on four pairs of Office-Caltech
(MobileNetV2 features, at most 300 rows of a domain): neighbouring values should have about the
same accuracy, or the parameter could not be searched. The folder is that of SKDA_DATA:

    SKDA_DATA=folder python benchmarks/bench_trade_off.py
    SKDA_DATA=folder python benchmarks/bench_trade_off.py --methods DAN --states 0 1 2
"""

import argparse
import warnings

import numpy as np
import torch
from bench_accuracy import office_features, part

import skda.adaptation

PAIRS = ("dslr", "amazon"), ("amazon", "webcam"), ("caltech10", "dslr"), ("webcam", "caltech10")
STEPS = (0, 0.01, 0.03, 0.1, 0.3, 1, 3, 5, 10)
CLASSES = {
    name.removesuffix("Classifier"): getattr(skda.adaptation, name)
    for name in skda.adaptation.__all__
}
SHARED = [name for name, cls in CLASSES.items() if cls().get_params().get("batch_norm") == "shared"]


def accuracies(method, pair, state):
    """Return those on the target, in %, by step."""
    domains = office_features()
    (X, y), (X_target, y_target) = (part(domains[name], 300, state) for name in pair)
    classifiers = (CLASSES[method](trade_off=step, random_state=state) for step in STEPS)
    return [100 * c.fit(X, y, X_target=X_target).score(X_target, y_target) for c in classifiers]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--methods", nargs="+", default=SHARED, choices=CLASSES)
    parser.add_argument("--states", nargs="+", type=int, default=[0])
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    print(" " * 34 + "".join(f"{step:>6}" for step in STEPS) + "  greatest step")
    for method in options.methods:
        for pair in PAIRS:
            rows = np.array([accuracies(method, pair, state) for state in options.states])
            means = rows.mean(axis=0)
            told = "".join(f"{value:6.1f}" for value in means)
            step = np.abs(np.diff(means)).max()
            print(f"{method:12}{'-'.join(pair):22}{told}{step:8.1f}", flush=True)


if __name__ == "__main__":
    main()
