"""What a search costs, and how good its choice is, over the search that shares nothing.

``features``: a network that is not trained, then an adaptation of its features, over three
settings of the last step, on photographs. What can be kept is the earlier step's work, by the
``memory`` of the pipeline or by the row cache of the extractor.

``training``: nine settings of DANN. The plain search trains every setting in five folds of the
source. A single split does not need the folds; halving gives epochs to the promising settings
only; a warm start lets every setting begin with the network of one training on the source, and
trains the chosen one in full.

``stacked``: twenty-four settings of DANN in three folds, which the plain search trains one after
the other, and `StackedSearchCV` as one network, in this process and in two. Beside the ratio it
prints by how much scores differ, and whether the best setting is the same.

CPU seconds of this process and of those that it starts, on one thread each. In each repetition,
which has a random state of its own, all searches take turns; ratios are medians of paired ratios to
the plain search. Target labels measure the chosen model and serve for nothing else.

    SKDA_DATA=folder python benchmarks/bench_search.py [--parts training] [--repeats 3]
"""

import argparse
import os
import tempfile
import warnings
from pathlib import Path

import numpy as np
import sklearn
import timm  # noqa: F401  # so that no search pays for it
import torch
from bench_accuracy import TASKS
from bench_office_caltech import load_domains, make_extractor
from joblib.externals.loky import get_reusable_executor
from sklearn.base import clone
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, StratifiedShuffleSplit

from skda import make_pipeline
from skda.adaptation import DANNClassifier, DeepCORALClassifier
from skda.model_selection import ClassCorrelationScorer, StackedSearchCV

ONE_SPLIT = StratifiedShuffleSplit(n_splits=1, test_size=0.2, random_state=0)
SCORING = ClassCorrelationScorer()
GRID = {"trade_off": [0.1, 1, 10], "optimizer__weight_decay": [0, 1e-4, 1e-2]}
SMALL = {"size": 96, "crop_pct": 1.0, "mean": 0.5, "std": 0.5}


def cpu_seconds():
    """Return those of this process, and of its workers, which end here."""
    get_reusable_executor().shutdown(wait=True)
    return sum(os.times()[:4])


def fitted(estimator, data):
    X, y, X_target, _ = data
    return estimator.fit(X, y, X_target=(X_target,))


# -- features ---------------------------------------------------------------------------------


def photographs(seed, n_rows=150):
    home = Path(os.environ["SKDA_DATA"])
    rng = np.random.RandomState(seed)
    rows = []
    for domain in ("amazon", "webcam"):
        images, labels = load_domains(home)[domain]
        numbers = rng.permutation(len(images))[:n_rows]
        rows += [[images[i] for i in numbers], np.array(labels)[numbers]]
    return rows


def feature_searches(seed):
    """Return searches by name: from the data and an empty folder to the chosen model."""

    def search(memory=None, cache=None):
        def run(data, folder):
            extractor = make_extractor(Path(os.environ["SKDA_DATA"]), cache=cache and folder)
            extractor.set_params(preprocess=SMALL)
            classifier = DeepCORALClassifier(random_state=seed)
            pipeline = make_pipeline(extractor, classifier, memory=memory and f"{folder}/memory")
            grid = {"deepcoralclassifier__trade_off": [3, 30, 300]}
            search = GridSearchCV(pipeline, grid, scoring=SCORING, cv=3)
            return fitted(search, data).best_estimator_

        return run

    return {
        "plain": search(),
        "memory": search(memory=True),
        "row cache": search(cache=True),
        "memory and row cache": search(memory=True, cache=True),
    }


# -- training ---------------------------------------------------------------------------------


def training_searches(seed):
    """Return searches by name: from the data, and a folder that is not used, to a model."""
    estimator = DANNClassifier(discriminator__hidden_layer_sizes=(100, 100), random_state=seed)

    def plain(**params):
        search = GridSearchCV(estimator, GRID, scoring=SCORING, **params)
        return lambda data, _: fitted(search, data).best_estimator_

    def halving(**params):
        resource = {"resource": "max_epochs", "min_resources": 4, "max_resources": 36}
        search = HalvingGridSearchCV(estimator, GRID, scoring=SCORING, **resource, **params)
        return lambda data, _: fitted(search, data).best_estimator_

    def warm(**params):
        def run(data, _):
            source = FrozenEstimator(fitted(clone(estimator).set_params(trade_off=0), data))
            short = clone(estimator).set_params(module=source, max_epochs=10)
            search = fitted(GridSearchCV(short, GRID, scoring=SCORING, refit=False, **params), data)
            return fitted(clone(estimator).set_params(**search.best_params_), data)

        return run

    return {
        "plain": plain(),
        "one split": plain(cv=ONE_SPLIT),
        "halving": halving(),
        "warm start": warm(),
        "one split, halving": halving(cv=ONE_SPLIT),
        "one split, warm start": warm(cv=ONE_SPLIT),
    }


# -- stacks -----------------------------------------------------------------------------------

STACKED_GRID = {
    "trade_off": [0.1, 1, 10],
    "lr": [3e-4, 1e-3, 3e-3, 1e-2],
    "optimizer__weight_decay": [0, 1e-3],
}


def stacked_searches(seed, max_epochs=20):
    """Return searches by name: from the data, and a folder that is not used, to a model."""
    estimator = DANNClassifier(
        discriminator__hidden_layer_sizes=(100, 100), max_epochs=max_epochs, random_state=seed
    )
    results = {}

    def search(name, kind, **params):
        def run(data, _):
            found = fitted(kind(estimator, STACKED_GRID, scoring=SCORING, cv=3, **params), data)
            scores = results[name] = found.cv_results_["mean_test_score"]
            difference = np.abs(scores - results["plain"]).max()
            same = scores.argmax() == results["plain"].argmax()
            middle = np.median(np.abs(scores - results["plain"]))
            print(f"  {name}: scores differ by {middle:.1g} to {difference:.2g}, same best: {same}")
            return found.best_estimator_

        return run

    return {
        "plain": search("plain", GridSearchCV),
        "stacked": search("stacked", StackedSearchCV),
        "stacked, 72": search("stacked, 72", StackedSearchCV, stack_size=72),
        "plain, 2 jobs": search("plain, 2 jobs", GridSearchCV, n_jobs=2),
        "stacked, 2 jobs": search("stacked, 2 jobs", StackedSearchCV, n_jobs=2),
    }


PARTS = {
    "features": (photographs, feature_searches),
    "training": (lambda seed: TASKS["shifted"](seed)[0], training_searches),
    "stacked": (lambda seed: TASKS["shifted"](seed)[0], stacked_searches),
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--parts", nargs="+", default=list(PARTS), choices=PARTS)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    sklearn.set_config(enable_metadata_routing=True)
    print(f"{'part':10}{'search':24}{'CPU s':>8}{'ratio':>8}{'accuracy':>10}  by random state")
    for part in options.parts:
        load, make_searches = PARTS[part]
        seconds, accuracies = [], []
        for seed in range(options.repeats):
            data = load(seed)
            searches = make_searches(seed)
            row = []
            for run in searches.values():
                with tempfile.TemporaryDirectory() as folder:
                    start = cpu_seconds()
                    model = run(data, folder)
                    used = cpu_seconds() - start
                    row.append((used, 100 * model.score(*data[2:])))
            seconds.append([used for used, _ in row])
            accuracies.append([accuracy for _, accuracy in row])
        seconds, accuracies = np.array(seconds), np.array(accuracies)
        ratios = np.median(seconds / seconds[:, :1], axis=0)
        for number, name in enumerate(searches):
            by_state = accuracies[:, number]
            print(
                f"{part:10}{name:24}{np.median(seconds[:, number]):8.1f}{ratios[number]:8.2f}"
                f"{by_state.mean():10.1f}  {' '.join(f'{score:.1f}' for score in by_state)}",
                flush=True,
            )


if __name__ == "__main__":
    main()
