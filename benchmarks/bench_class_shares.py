"""How far estimates of the target's class shares are off, in L1: from 0 to 2.

A classifier learns from two thirds of the source rows. The others are held out: calibration and
confusions are of them. Two tasks: digits whose rows look the same in both domains, where every
estimate is meant to be right, and digits of which the target is turned by 30 degrees and noisy,
where none is. The shares of a Dirichlet distribution are the target's alone; "turned around", the
source has from 20 to 100 % of the rows of its classes, and the target the same in reverse order.
No class has more rows than there are, so that targets with few rows of most classes are small.

    python benchmarks/bench_class_shares.py
    python benchmarks/bench_class_shares.py --states 0 1 2 --tasks shifted

"accuracy" and "reweighted" are the accuracies on the target with the shares of the source and
with those of EM; "true" is with the true shares.
"""

import argparse
import warnings

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from skda.base import DeepAdaptationClassifier
from skda.datasets import load_shifted_digits
from skda.exceptions import NoTargetWarning
from skda.label_shift import (
    black_box_shares,
    calibrate,
    maximum_likelihood_shares,
    regularized_shares,
    reweight_probabilities,
    shrink_shares,
)

N_CLASSES = 10
CLASSIFIERS = {
    "logistic": lambda seed: LogisticRegression(max_iter=1000),
    "network": lambda seed: DeepAdaptationClassifier(max_epochs=20, random_state=seed),
}
TASKS = {"same look": {"angle": 0, "noise": 0}, "shifted": {"angle": 30, "noise": 0.1}}
TURNED = np.linspace(0.2, 1, N_CLASSES)
SHIFTS = ("equal", "Dirichlet 3", "Dirichlet 1", "Dirichlet 0.5", "turned around", "0 to 4")


def with_shares(X, y, shares, rng):
    """Return as many rows as there can be with these shares of the classes."""
    counts = np.bincount(y, minlength=N_CLASSES)
    n_rows = np.min(counts[shares > 0] / shares[shares > 0])
    rows = [
        rng.permutation(np.flatnonzero(y == label))[: round(n_rows * share)]
        for label, share in enumerate(shares)
    ]
    rows = rng.permutation(np.concatenate(rows))
    return X[rows], y[rows]


def shares_of(shift, rng):
    """Return the shares of source and target."""
    equal = np.full(N_CLASSES, 1 / N_CLASSES)
    if shift == "turned around":
        return TURNED / TURNED.sum(), TURNED[::-1] / TURNED.sum()
    if shift == "0 to 4":
        return equal, np.repeat([0.2, 0.0], 5)
    if shift.startswith("Dirichlet"):
        return equal, rng.dirichlet(np.full(N_CLASSES, float(shift.split()[1])))
    return equal, equal


def measure(task, shift, classifier, seed):
    """Return the errors of the estimates, and accuracies."""
    digits = load_shifted_digits(**TASKS[task], random_state=seed)
    rng = np.random.RandomState(seed)
    of_source, of_target = shares_of(shift, rng)
    X, y = with_shares(digits.X, digits.y, of_source, rng)
    X_target, y_target = with_shares(digits.X_target, digits.y_target, of_target, rng)
    X, X_out, y, y_out = train_test_split(X, y, test_size=1 / 3, stratify=y, random_state=seed)
    clf = CLASSIFIERS[classifier](seed).fit(X, y)
    held_out, target = clf.predict_proba(X_out), clf.predict_proba(X_target)
    calibration = calibrate(held_out, y_out)
    source, truth = (np.bincount(part, minlength=N_CLASSES) for part in (y_out, y_target))
    source, truth = source / source.sum(), truth / truth.sum()
    calibrated = calibration(target)
    em = maximum_likelihood_shares(calibrated, source)
    estimates = {
        "source": source,
        "mean": target.mean(axis=0),
        "EM raw": maximum_likelihood_shares(target, source),
        "EM": em,
        "EM shrunk": shrink_shares(em, calibrated, source),
        "EM prior 100": maximum_likelihood_shares(calibrated, source, prior_rows=100),
        "BBSE hard": black_box_shares(target, held_out, y_out, soft=False),
        "BBSE": black_box_shares(target, held_out, y_out),
        "RLLS": regularized_shares(target, held_out, y_out),
    }
    results = {name: np.abs(shares - truth).sum() for name, shares in estimates.items()}
    for name, shares in {"accuracy": source, "reweighted": em, "true": truth}.items():
        probabilities = reweight_probabilities(calibrated, source, shares)
        results[name] = np.mean(probabilities.argmax(axis=1) == y_target)
    return {"rows": len(y_target), **results}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--states", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=TASKS)
    parser.add_argument("--classifiers", nargs="+", default=list(CLASSIFIERS), choices=CLASSIFIERS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", NoTargetWarning)
    for task in options.tasks:
        for classifier in options.classifiers:
            print(f"\n{task}, {classifier}: mean of {len(options.states)} random states (spread)")
            for shift in SHIFTS:
                runs = [measure(task, shift, classifier, seed) for seed in options.states]
                if shift == SHIFTS[0]:
                    print("".join([" " * 14, *(f"{name:>13}" for name in runs[0])]))
                cells = []
                for name in runs[0]:
                    values = [run[name] for run in runs]
                    cell = f"{np.mean(values):.3f} ({np.std(values):.2f})"
                    cells.append(f"{np.mean(values):.0f}" if name == "rows" else cell)
                print("".join([f"{shift:14}", *(f"{cell:>13}" for cell in cells)]), flush=True)


if __name__ == "__main__":
    main()
