"""What has changed between two runs of the evidence, beyond the noise of the random states.

    python benchmarks/compare.py old.jsonl new.jsonl

A method's accuracy on a task has changed if the difference of its means is above three standard
errors, and above a point. The spread is pooled over the methods of the task, since that of three
random states alone is hardly known, but is not below the method's own. Cost has changed by the
same rule on its logarithm, and by a third at least. The exit status is 1 if something is less
accurate or dearer or is missing.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from _evidence_figures import Figures
from _evidence_methods import METHODS
from _evidence_run import read
from _evidence_tasks import TASKS

N_ERRORS = 3
LEAST = {"accuracy": 1.0, "cost": np.log(4 / 3)}  # points; of the logarithm


def values_of(figures, task, method, what):
    """Accuracies by random state, or logarithms of the costs by fit."""
    if what == "accuracy":
        return figures.accuracies(task, method)
    plain = figures.fits.get((task, "source only"), {})
    own = figures.fits.get((task, method), {})
    return [
        float(np.log(fit["seconds"] / plain[place]["seconds"]))
        for place, fit in own.items()
        if place in plain
    ]


def pooled_spread(groups):
    """The root mean square of standard deviations, of groups of two values or more."""
    variances = [np.var(group, ddof=1) for group in groups if len(group) > 1]
    return float(np.sqrt(np.mean(variances))) if variances else 0.0


def change(old, new, common, least):
    """Return the difference of means if it is beyond the noise, else 0."""
    spread = max(common, pooled_spread([old, new]))
    noise = spread * np.sqrt(1 / len(old) + 1 / len(new))
    difference = float(np.mean(new) - np.mean(old))
    return difference if abs(difference) > max(N_ERRORS * noise, least) else 0.0


def changes(old, new):
    """Yield (is worse, line) for whatever differs between two files' cells."""
    old, new = Figures(old), Figures(new)
    for task in TASKS:
        for what, least in LEAST.items():
            pairs = {
                method: [values_of(figures, task, method, what) for figures in (old, new)]
                for method in METHODS
            }
            common = pooled_spread([group for pair in pairs.values() for group in pair])
            for method, (before, after) in pairs.items():
                if what == "accuracy" and before and not after:
                    yield True, f"{task}, {method}: is missing"
                if not before or not after:
                    continue
                by = change(before, after, common, least)
                if by:
                    yield words(f"{task}, {method}", what, before, after, by)


def words(name, what, before, after, by):
    means = np.mean(before), np.mean(after)
    if what == "accuracy":
        return by < 0, f"{name}: accuracy {means[0]:.1f} -> {means[1]:.1f} ({by:+.1f})"
    costs = np.exp(means)
    return by > 0, f"{name}: cost {costs[0]:.2f} -> {costs[1]:.2f} ({np.exp(by):.2f} times)"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("old", type=Path)
    parser.add_argument("new", type=Path)
    options = parser.parse_args()
    for path in (options.old, options.new):
        if not path.exists():
            parser.error(f"there is no file {path}")
    found = list(changes(read(options.old), read(options.new)))
    for is_worse, line in found:
        print("worse " if is_worse else "better", line)
    print(f"{sum(is_worse for is_worse, _ in found)} worse, {len(found)} changes in all")
    sys.exit(any(is_worse for is_worse, _ in found))


if __name__ == "__main__":
    main()
