"""What `target_shares` does for every adaptation method where classes are not equally frequent.

Shifted digits, the target turned by 15 degrees and noisy, whose classes have the shares of
bench_class_shares. Every method learns with its defaults by the source's shares (None), by
estimated ones, and by the true ones of the target; beside them the better of two trainings
without any target, with and without batch norms. Accuracies on the target are of the last epoch.

    python benchmarks/bench_target_shares.py --out FILE.jsonl
    python benchmarks/bench_target_shares.py --out FILE.jsonl --methods DAN DANN --modes none true

Every fit adds a line to the file, and those that it holds are not done again. The tables are
printed, and written as ``.rst`` next to it.
"""

import argparse
import itertools
import json
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from bench_accuracy import SOURCE_ONLY, fitted
from bench_class_shares import N_CLASSES, SHIFTS, shares_of, with_shares

import skda.adaptation
from skda.datasets import load_shifted_digits

MODES = ("none", "estimate", "true")
# The most used first; LabelEfficient needs labels of the target.
FIRST = ("DANN", "DAN", "DeepCORAL", "CDAN", "MCD", "JAN", "AdaBN")
OTHERS = [
    name.removesuffix("Classifier")
    for name in skda.adaptation.__all__
    if "target_shares" in getattr(skda.adaptation, name)._get_param_names()
]
METHODS = [*FIRST, *(name for name in OTHERS if name not in {*FIRST, "LabelEfficient"})]
COLUMNS = {"none": "``None``", "estimate": '``"estimate"``', "true": "true shares"}


def pair_of(shift, angle, seed):
    """Return source and target with their shares of the classes."""
    digits = load_shifted_digits(angle=angle, noise=0.1, random_state=seed)
    rng = np.random.RandomState(seed)
    of_source, of_target = shares_of(shift, rng)
    return (
        *with_shares(digits.X, digits.y, of_source, rng),
        *with_shares(digits.X_target, digits.y_target, of_target, rng),
    )


def measure(method, mode, shift, angle, seed):
    """Return accuracy, processor seconds and the L1 distance of the shares from the true ones."""
    pair = pair_of(shift, angle, seed)
    X_target, y_target = pair[2:]
    truth = np.bincount(y_target, minlength=N_CLASSES) / len(y_target)
    shares = {"none": None, "estimate": "estimate", "true": truth}[mode]
    params = {} if shares is None else {"target_shares": shares}
    start = time.process_time()
    try:
        estimator, _ = fitted(method, params, pair, seed)
    except (TypeError, ValueError) as error:  # the table says which methods cannot
        return {"error": str(error)}
    seconds = time.process_time() - start
    result = {"accuracy": 100 * estimator.score(X_target, y_target), "seconds": seconds}
    if shares is not None:
        result["distance"] = float(np.abs(estimator.target_shares_ - truth).sum())
    return {"rows": len(y_target), **result}


def cells_of(options):
    """Return what is to be measured, that of the first states and methods first."""
    for seed, method in itertools.product(options.states, [*SOURCE_ONLY, *options.methods]):
        modes = [mode for mode in options.modes if method not in SOURCE_ONLY or mode == "none"]
        for shift, mode in itertools.product(options.shifts, modes):
            yield {"method": method, "mode": mode, "shift": shift, "seed": seed}


def key_of(cell):
    return tuple(cell[name] for name in ("method", "mode", "shift", "angle", "seed"))


def read(path):
    """Return the results in a file by what they are of; a line that was cut off counts not."""
    results = {}
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            cell = json.loads(line)
        except json.JSONDecodeError:
            continue
        results[key_of(cell)] = cell
    return results


# -- the tables -------------------------------------------------------------------------------


def figures_of(results, angle):
    """Return lists over random states of a figure, by its name, shift, method and mode."""
    figures = defaultdict(list)
    for cell in results.values():
        if "error" in cell or cell["angle"] != angle:
            continue
        for name in ("accuracy", "distance"):
            if name in cell:
                figures[name, cell["shift"], cell["method"], cell["mode"]].append(cell[name])
    for shift in {key[1] for key in figures}:
        own = [figures.get(("accuracy", shift, name, "none"), []) for name in SOURCE_ONLY]
        figures["accuracy", shift, "source only", "none"] = max(own, key=_mean)
    return figures


def _mean(values):
    return np.mean(values) if values else -np.inf


def said(values, digits=1):
    return (
        f"{np.mean(values):.{digits}f} ({np.std(values):.{digits}f})" if values else "\N{EN DASH}"
    )


def list_table(title, rows):
    """Return lines of a list-table, the first row of which is its head."""
    lines = [f".. list-table:: {title}", "   :header-rows: 1", ""]
    for row in rows:
        lines += [f"   {'*' if not n else ' '} - {value}" for n, value in enumerate(row)]
    return [*lines, ""]


def tables(results, angle):
    """Return the lines of a table by shift."""
    figures = figures_of(results, angle)
    lines = []
    for shift in SHIFTS:
        rows = [["Method", *COLUMNS.values(), "L1 error of the estimate"]]
        for method in ["source only", *METHODS]:
            by_mode = [figures.get(("accuracy", shift, method, mode), []) for mode in MODES]
            if any(by_mode):
                error = said(figures.get(("distance", shift, method, "estimate"), []), 2)
                rows.append([method, *map(said, by_mode), error])
        both = [
            [figures.get(("accuracy", shift, method, mode), []) for mode in MODES]
            for method in METHODS
        ]
        means = [[np.mean(values) for values in row] for row in both if all(row)]
        if means:
            gains = [f"{value:.1f}" for value in np.mean(means, axis=0)]
            rows.append([f"mean of {len(means)} methods", *gains, ""])
        if len(rows) > 1:
            lines += list_table(f"Target accuracy, {shift}", rows)
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="file of JSON lines")
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    parser.add_argument("--shifts", nargs="+", default=SHIFTS[:-1], choices=SHIFTS)
    parser.add_argument("--modes", nargs="+", default=MODES, choices=MODES)
    parser.add_argument("--states", nargs="+", type=int, default=[3, 4, 5])
    parser.add_argument("--angle", type=int, default=15)
    options = parser.parse_args()
    results = read(options.out)
    for cell in cells_of(options):
        cell["angle"] = options.angle
        if key_of(cell) in results:
            continue
        cell.update(measure(**cell))
        with options.out.open("a") as file:
            file.write(json.dumps(cell) + "\n")
        print(json.dumps(cell), flush=True)
    lines = tables(read(options.out), options.angle)
    options.out.with_suffix(".rst").write_text("\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
