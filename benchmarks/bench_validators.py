"""How well validators, which see no target label, tell good settings from bad ones.

Three methods are trained in eight settings each, bad ones among them, on four fifths of the
source. Every validator scores the 24 networks. Two figures judge it: the rank correlation of its
scores with the target accuracy, and how much of that accuracy is lost when it chooses, compared
with a choice by the target's labels.

    python benchmarks/bench_validators.py --cache FOLDER

Tasks with real data read the folder that SKDA_DATA names. With a ``--cache`` networks are trained
once, and validators can be run again on them.
"""

import argparse
import warnings

import numpy as np
import torch
from bench_accuracy import TASKS, digits_task, mnist, usps
from joblib import Memory
from scipy.stats import kendalltau, rankdata
from sklearn.model_selection import train_test_split

import skda.adaptation
from skda.model_selection import (
    BatchNuclearNormScorer,
    ClassCorrelationScorer,
    DeepEmbeddedValidationScorer,
    ImportanceWeightedScorer,
    InformationMaximizationScorer,
    MixValScorer,
    RankMeScorer,
    ReverseValidationScorer,
    SoftNeighborhoodDensityScorer,
    TargetEntropyScorer,
)

# With what they had as defaults when the figures of the user guide were measured.
METHODS = {
    "DAN": {"batch_norm": "domain"},
    "DANN": {"discriminator__hidden_layer_sizes": (100, 100)},
    "DeepCORAL": {},
}


# -- what is trained --------------------------------------------------------------------------


def first(pairs):
    return lambda seed: pairs(seed)[0]


def skewed(seed):
    """Shifted digits of which the target has few from 5 to 9."""
    X, y, X_target, y_target = TASKS["shifted"](seed)[0]
    kept = np.r_[np.flatnonzero(y_target < 5), np.flatnonzero(y_target >= 5)[::5]]
    return X, y, X_target[kept], y_target[kept]


# From a random state to (X, y, X_target, y_target), and the epochs that are enough.
DOMAINS = {
    "shifted": (first(TASKS["shifted"]), 40),
    "shifted-skewed": (skewed, 40),
    "amazon-webcam": (lambda seed: TASKS["office"](seed)[2], 40),
    "webcam-caltech": (lambda seed: TASKS["office"](seed)[10], 40),
    "mnist-usps": (first(digits_task(mnist, 1000, usps, 900)), 15),
}


def settings(method, n_epochs):
    """Return eight settings of a method: its own, and one change of it each."""
    trade_off = getattr(skda.adaptation, f"{method}Classifier")().trade_off
    return {
        "default": {"max_epochs": n_epochs},
        "weak": {"max_epochs": n_epochs, "trade_off": 0.1 * trade_off},
        "strong": {"max_epochs": n_epochs, "trade_off": 10 * trade_off},
        "too strong": {"max_epochs": n_epochs, "trade_off": 100 * trade_off},
        "short": {"max_epochs": 3},
        "slow": {"max_epochs": n_epochs, "lr": 1e-4},
        "fast": {"max_epochs": n_epochs, "lr": 3e-2},
        "shared norm": {"max_epochs": n_epochs, "batch_norm": "shared"},
    }


def split(task, seed):
    """Return source rows to train on, held-out source rows, and the target."""
    pair, _ = DOMAINS[task]
    X, y, X_target, y_target = pair(seed)
    parts = train_test_split(X, y, test_size=0.2, stratify=y, random_state=seed)
    return *parts, X_target, y_target


def fit(task, seed, method, params):
    X, _, y, _, X_target, _ = split(task, seed)
    params = {**METHODS[method], **params}
    classifier = getattr(skda.adaptation, f"{method}Classifier")(random_state=seed, **params)
    return classifier.fit(X, y, X_target=X_target)


# -- what judges it ---------------------------------------------------------------------------


def source_accuracy(estimator, X, y, X_target):
    """Score as a search does by default."""
    return estimator.score(X, y)


VALIDATORS = {
    "source accuracy": source_accuracy,
    "IWCV": ImportanceWeightedScorer(),
    "IWCV, features": ImportanceWeightedScorer(representation="features"),
    "DEV": DeepEmbeddedValidationScorer(),
    "reverse validation": ReverseValidationScorer(),
    "entropy": TargetEntropyScorer(),
    "information maximization": InformationMaximizationScorer(),
    "SND": SoftNeighborhoodDensityScorer(),
    "batch nuclear norm": BatchNuclearNormScorer(),
    "class correlation": ClassCorrelationScorer(),
    "MixVal": MixValScorer(),
    "RankMe": RankMeScorer(),
}
# Of these the mean rank is judged as well: they look at different things.
PAIRS = [("MixVal", "class correlation"), ("MixVal", "source accuracy")]


def tabulate(network, task, seed, validators, same_lr=False):
    """Return scores of all networks and, last, their target accuracy in %.

    Of shape (n_validators + 1, n_methods, n_settings).
    """
    _, X, _, y, X_target, y_target = split(task, seed)
    table = []
    for method in METHODS:
        of_method = []
        for params in settings(method, DOMAINS[task][1]).values():
            if same_lr and "lr" in params:
                continue
            estimator = network(task, seed, method, params)
            row = [VALIDATORS[name](estimator, X, y, X_target=X_target) for name in validators]
            of_method.append([*row, 100 * estimator.score(X_target, y_target)])
        table.append(of_method)
    return np.moveaxis(np.array(table), 2, 0)


def rank_correlation(scores, accuracies):
    """Return Kendall's tau; 0 for a validator that tells nothing apart."""
    return np.nan_to_num(kendalltau(scores, accuracies).statistic)


def lost(scores, accuracies):
    """Return the points of accuracy that the best choice has more than the validator's."""
    return accuracies.max() - accuracies[np.argmax(scores)]


def with_mean_ranks(scores, names):
    """Return the scores, and those of pairs of validators: the sums of their ranks."""
    ranks = dict(zip(names, rankdata(scores, axis=1), strict=True))
    return [*scores, *(ranks[first] + ranks[second] for first, second in pairs_of(names))]


def pairs_of(names):
    return [pair for pair in PAIRS if set(pair) <= set(names)]


def judge(table, names, figure):
    """Return a figure among the settings of each method (their mean), and among all."""
    *scores, accuracies = table
    scores = np.array(scores)
    by_method = [
        [figure(row, accuracies[number]) for row in with_mean_ranks(scores[:, number], names)]
        for number in range(len(METHODS))
    ]
    of_all = with_mean_ranks(scores.reshape(len(scores), -1), names)
    return np.mean(by_method, axis=0), [figure(row, accuracies.ravel()) for row in of_all]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tasks", nargs="+", default=list(DOMAINS), choices=DOMAINS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--validators", nargs="+", default=list(VALIDATORS), choices=VALIDATORS)
    parser.add_argument("--same-lr", action="store_true", help="leave out other learning rates")
    parser.add_argument("--cache", help="folder in which the networks are kept")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    network = Memory(options.cache, verbose=0).cache(fit)
    print(f"{'':32}{'tau':^14}{'points lost':^14}\n{'':32}" + 2 * f"{'method':>7}{'all':>7}")
    for task in options.tasks:
        tables = [
            tabulate(network, task, seed, options.validators, options.same_lr)
            for seed in options.seeds
        ]
        accuracies = np.array([table[-1] for table in tables])
        best = accuracies.max(axis=2)
        print(
            f"{task}: best {best.max(axis=1).mean():.1f}, within a method the defaults lose "
            f"{(best - accuracies[:, :, 0]).mean():.1f} and the mean setting "
            f"{(best - accuracies.mean(axis=2)).mean():.1f}"
        )
        figures = [
            np.mean([judge(table, options.validators, figure)[group] for table in tables], axis=0)
            for figure in (rank_correlation, lost)
            for group in (0, 1)
        ]
        names = [*options.validators, *map(" + ".join, pairs_of(options.validators))]
        for name, *row in zip(names, *figures, strict=True):
            print(f"  {name:30}{{:7.2f}}{{:7.2f}}{{:7.1f}}{{:7.1f}}".format(*row), flush=True)


if __name__ == "__main__":
    main()
