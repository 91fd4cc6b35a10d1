"""Accuracy and time by the width of the default network, on tables of many columns.

Digits are of 16 x 16 pixels, brought to unit norm, or of 14 x 14; visual words are standardised by
domain; tables are in splines of their columns. Widths are chosen on the tasks of ``TUNING`` and
reported on those of ``REPORT``, beside 1-nearest-neighbour and logistic regression. Seconds are
those of the processor, for training alone.

    SKDA_DATA=folder python benchmarks/bench_width.py --widths 128,64 512,128 --states 0 1 2
    SKDA_DATA=folder python benchmarks/bench_width.py --report --states 3 4 5 --out width.jsonl
"""

import argparse
import json
import time
import warnings
from functools import cache, partial
from pathlib import Path

import torch
from _study_tasks import covariate_shift, digits_pair
from bench_accuracy import DATA, office_features, part, surf_histograms
from bench_amazon import load_domains
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import Normalizer, SplineTransformer

import skda.adaptation

METHODS = ("AdaBN", "DeepCORAL", "DANN", "DAN", "CDAN", "MCD")
SHALLOW = {"1-NN": KNeighborsClassifier(1), "logistic": LogisticRegression(C=100, max_iter=2000)}


@cache
def digits():
    from scipy.io import loadmat

    file = loadmat(DATA / "mnist_usps_256" / "MNIST_vs_USPS.mat")
    return {
        domain: (Normalizer().fit_transform(file[f"X_{key}"].T), file[f"Y_{key}"].ravel())
        for domain, key in (("mnist", "src"), ("usps", "tar"))
    }


@cache
def reviews():
    return {
        domain: (train[0].log1p().toarray(), train[1])
        for domain, (train, _) in load_domains(DATA).items()
    }


def pair(seed, load, source, target, n_rows=None):
    """Rows of two domains, drawn anew for every random state where not all are taken."""
    domains = load()
    if n_rows is None:
        return *domains[source], *domains[target]
    return *part(domains[source], n_rows, seed), *part(domains[target], n_rows, seed + 1)


def spline_columns(seed):
    """A clinical table whose 30 columns become 240, and whose target lies further out."""
    X, y, X_target, y_target = covariate_shift(seed, load_breast_cancer, 2)
    splines = SplineTransformer(n_knots=6, extrapolation="constant").fit(X)
    return splines.transform(X), y, splines.transform(X_target), y_target


surf, office = partial(pair, load=surf_histograms), partial(pair, load=office_features)
words = partial(pair, load=reviews, n_rows=1000)
TUNING = {
    "usps-mnist 256": partial(pair, load=digits, source="usps", target="mnist"),
    "mnist-mnistm 196": partial(digits_pair, source="mnist", target="mnist-m"),
    "splines 240": spline_columns,
    "surf amazon-caltech 800": partial(surf, source="amazon", target="Caltech10"),
    "surf dslr-amazon 800": partial(surf, source="dslr", target="amazon"),
    "office amazon-webcam 1280": partial(office, source="amazon", target="webcam"),
    "office webcam-amazon 1280": partial(office, source="webcam", target="amazon"),
    "reviews books-kitchen 5000": partial(words, source="books", target="kitchen"),
    "reviews electronics-books 5000": partial(words, source="electronics", target="books"),
}
REPORT = {
    "mnist-usps 256": partial(pair, load=digits, source="mnist", target="usps"),
    "surf caltech-amazon 800": partial(surf, source="Caltech10", target="amazon"),
    "office webcam-caltech 1280": partial(office, source="webcam", target="caltech10"),
    "reviews electronics-dvd 5000": partial(words, source="electronics", target="dvd"),
}


def accuracies(method, rows, seed, widths):
    """Return accuracies in the target by name, and the seconds of the processor."""
    X, y, X_target, y_target = rows
    if method in SHALLOW:
        return {method: SHALLOW[method].fit(X, y).score(X_target, y_target)}, 0.0
    keywords = {} if widths is None else {"module__hidden_layer_sizes": widths}
    estimator = getattr(skda.adaptation, f"{method}Classifier")(random_state=seed, **keywords)
    start = time.process_time()
    estimator.fit(X, y, X_target=X_target)
    seconds = time.process_time() - start
    found = {method: estimator.score(X_target, y_target)}
    if method == "AdaBN":  # the same training, under the statistics of the source
        found["source only"] = estimator.score(X_target, y_target, domain="source")
    return found, seconds


def as_widths(text):
    return None if text == "auto" else tuple(map(int, text.split(",")))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--widths", nargs="+", default=["128,64", "auto"], help="such as 512,128")
    parser.add_argument("--methods", nargs="+", default=[*SHALLOW, *METHODS])
    parser.add_argument("--tasks", nargs="+", default=None)
    parser.add_argument("--states", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--report", action="store_true", help="the tasks that nothing is chosen on")
    parser.add_argument("--out", type=Path, default=None, help="cells go there, and are not redone")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    tasks = REPORT if options.report else TUNING
    done = set()
    if options.out is not None and options.out.exists():
        done = {tuple(json.loads(line)["cell"]) for line in options.out.read_text().splitlines()}
    for state in options.states:
        for task in options.tasks or tasks:
            for method in options.methods:
                for widths in options.widths if method not in SHALLOW else ["-"]:
                    cell = (task, method, widths, state)
                    if cell in done or (method in SHALLOW and state != options.states[0]):
                        continue
                    given = None if widths == "-" else as_widths(widths)
                    found, seconds = accuracies(method, tasks[task](state), state, given)
                    percent = {name: round(100 * value, 1) for name, value in found.items()}
                    line = {"cell": cell, "accuracy": percent, "seconds": round(seconds, 2)}
                    print(json.dumps(line), flush=True)
                    if options.out is not None:
                        with options.out.open("a") as file:
                            file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
