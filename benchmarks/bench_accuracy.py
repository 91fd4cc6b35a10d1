"""Target accuracy of the methods with their defaults, at the last epoch, over random states.

Tasks read the folder that SKDA_DATA names, but for the digits that ship with scikit-learn:

    python benchmarks/bench_accuracy.py --methods DAN DANN --tasks mnist-usps usps-mnist
    python benchmarks/bench_accuracy.py --methods DAN --tasks shifted --params '{"trade_off": 3}'
    python benchmarks/bench_accuracy.py --tasks mnist-usps --seeds 3 4 5 --out FILE.jsonl

With ``--out`` every fit adds a line to the file, and those that it holds are not done again: what
was cut off goes on, and results of another version need another file.

``source-only`` is training without any target, ``source-only-plain`` the same without batch norms:
the better of the two, and ``AdaBN``, are what an adaptation must beat. Of the tasks with several
pairs of domains the mean over the pairs is reported. No target label is used for anything but the
table.
"""

import argparse
import itertools
import json
import time
import warnings
from functools import cache
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import torch
from _evidence_tasks import reviews_in_components
from joblib import Parallel, delayed
from PIL import Image
from torch.nn.functional import interpolate

import skda.adaptation
from skda.base import DeepAdaptationClassifier
from skda.datasets import (
    fetch_digits,
    fetch_mnist_m,
    fetch_office_caltech10,
    get_data_home,
    load_shifted_digits,
)

DATA = get_data_home()


# -- domains ----------------------------------------------------------------------------------


@cache
def mnist_and_usps():
    X, y, X_target, y_target = fetch_digits("mnist", "usps", return_X_y=True)
    return {"mnist": (X, y), "usps": (X_target, y_target)}


def mnist():
    return mnist_and_usps()["mnist"]


def usps():
    return mnist_and_usps()["usps"]


def as_large_as_mnist(X):
    """Digits of one channel at 28 x 28 pixels, bilinear as torchvision resizes images."""
    images = torch.from_numpy(X[:, None].astype(np.float32))
    return interpolate(images, (28, 28), mode="bilinear").numpy()


@cache
def optdigits():
    rows = np.concatenate(
        [
            np.loadtxt(DATA / "digits" / f"optdigits.{part}", delimiter=",")
            for part in ("tra", "tes")
        ]
    )
    X = rows[:, :64].reshape(-1, 8, 8) / 16
    return as_large_as_mnist(X), rows[:, 64].astype(int)


@cache
def office_caltech(features):
    """Office-Caltech10 by domain: ``"surf"`` or ``"mobilenetv2"``."""
    domains = {}
    for pair in (("amazon", "caltech10"), ("dslr", "webcam")):
        X, y, X_target, y_target = fetch_office_caltech10(*pair, features=features, return_X_y=True)
        domains |= dict(zip(pair, ((X, y), (X_target, y_target)), strict=True))
    return domains


def office_features():
    return office_caltech("mobilenetv2")


def surf_histograms():
    return office_caltech("surf")


@cache
def mnist_m():
    _, _, X_target, y_target = fetch_mnist_m(return_X_y=True)
    return X_target, y_target


def word_components():
    rows = reviews_in_components()
    return {domain: rows[domain, part] for domain, part in rows if part == "train"}


@cache
def crops():
    """Pieces of the Office-Caltech photographs, of 32 x 32 pixels."""
    with ZipFile(DATA / "office_caltech10_images" / "office_caltech10_128px.zip") as photographs:
        names = [name for name in photographs.namelist() if name.endswith(".jpg")][:2500]
        images = [np.asarray(Image.open(photographs.open(name)).convert("RGB")) for name in names]
    return np.stack([image[48:80, 16:48] for image in images])


# -- tasks: from a random state to lists of (X, y, X_target, y_target) -------------------------


def part(domain, n_rows, seed):
    X, y = domain
    rows = np.random.RandomState(seed).permutation(len(X))[:n_rows]
    return X[rows], y[rows]


def digits_task(source, n_source, target, n_target):
    return lambda seed: [(*part(source(), n_source, seed), *part(target(), n_target, seed))]


def shifted(angle=30, noise=0.1):
    def pairs(seed):
        digits = load_shifted_digits(angle=angle, noise=noise, random_state=seed)
        return [(digits.X, digits.y, digits.X_target, digits.y_target)]

    return pairs


def other_class_shares(seed):
    """Shifted digits: of the source the first digits are rare, of the target the last ones."""
    digits = load_shifted_digits(angle=15, noise=0.1, random_state=seed)
    rng = np.random.RandomState(seed)
    shares = np.linspace(0.2, 1, 10)
    a = rng.rand(len(digits.y)) < shares[digits.y]
    b = rng.rand(len(digits.y_target)) < shares[::-1][digits.y_target]
    return [(digits.X[a], digits.y[a], digits.X_target[b], digits.y_target[b])]


def office(load):
    return lambda seed: [(*a, *b) for a, b in itertools.permutations(load().values(), 2)]


def mnist_to_mnist_m(seed):
    return [fetch_mnist_m(return_X_y=True)]


def usps_to_photographs(seed):
    """USPS digits to others whose strokes invert the colours of photographs, as in MNIST-M."""
    X, y = part(usps(), 6500, seed)
    X = np.repeat(np.pad((X * 255).astype(np.uint8), [(0, 0), (0, 0), (2, 2), (2, 2)]), 3, 1)
    X = X.transpose(0, 2, 3, 1)
    strokes = X[4000:].astype(int)
    backgrounds = crops()[np.random.RandomState(seed).permutation(2500)]
    return [(X[:4000], y[:4000], np.abs(strokes - backgrounds).astype(np.uint8), y[4000:])]


TASKS = {
    "shifted": shifted(),
    "mnist-usps": digits_task(mnist, 2000, usps, 1800),
    "usps-mnist": digits_task(usps, 1800, mnist, 2000),
    "office": office(office_features),
    "mnist-mnistm": mnist_to_mnist_m,
    # For choosing defaults.
    "mnist-opt": digits_task(mnist, 2000, optdigits, 1800),
    "opt-mnist": digits_task(optdigits, 1800, mnist, 2000),
    "usps-opt": digits_task(usps, 1800, optdigits, 1800),
    "opt-usps": digits_task(optdigits, 1800, usps, 1800),
    "shifted-45": shifted(angle=45, noise=0.0),
    "shifted-15": shifted(angle=15, noise=0.3),
    "other-shares": other_class_shares,
    "office-surf": office(surf_histograms),
    "amazon-200": office(word_components),
    "usps-photos": usps_to_photographs,
}


# The others have one pair of domains.
N_PAIRS = {"office": 12, "office-surf": 12, "amazon-200": 12}
SOURCE_ONLY = {"source-only": {}, "source-only-plain": {"module__batch_norm": False}}


# -- the table --------------------------------------------------------------------------------


def fitted(method, params, pair, seed):
    """Return an estimator that has learned from a pair of domains, and the seconds it took."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    is_source_only = method in SOURCE_ONLY
    if is_source_only:
        own = SOURCE_ONLY[method]
        estimator = DeepAdaptationClassifier(random_state=seed, **{**own, **params})
    else:
        cls = getattr(skda.adaptation, f"{method}Classifier")
        estimator = cls(random_state=seed, **params)
    X, y, X_target, _ = pair
    start = time.perf_counter()
    estimator.fit(X, y, X_target=None if is_source_only else X_target)
    return estimator, time.perf_counter() - start


def accuracy(method, params, pair, seed):
    estimator, seconds = fitted(method, params, pair, seed)
    return 100 * estimator.score(*pair[2:]), seconds


def measured(cell, params, path):
    """Return accuracy and seconds of a fit; from the file, if there is one that holds it."""
    known = read(path, params).get(key_of(cell)) if path else None
    if known is None:
        pair = TASKS[cell["task"]](cell["seed"])[cell["pair"]]
        score, seconds = accuracy(cell["method"], params, pair, cell["seed"])
        known = {**cell, "params": params, "accuracy": score, "seconds": seconds}
        if path:
            with path.open("a") as file:
                file.write(json.dumps(known) + "\n")
    return known["accuracy"], known["seconds"]


def key_of(cell):
    return tuple(cell[name] for name in ("task", "method", "seed", "pair"))


def read(path, params):
    """Return the lines of a file with these parameters; one that was cut off counts not."""
    cells = {}
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            cell = json.loads(line)
        except json.JSONDecodeError:
            continue
        if cell["params"] == params:
            cells[key_of(cell)] = cell
    return cells


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--methods", nargs="+", default=[*SOURCE_ONLY, "AdaBN", "DeepCORAL", "DAN", "DANN"]
    )
    parser.add_argument("--tasks", nargs="+", default=["shifted"], choices=TASKS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--params", type=json.loads, default={}, help="of all estimators, as JSON")
    parser.add_argument("--n-jobs", type=int, default=2)
    parser.add_argument("--pairs", action="store_true", help="show every pair of domains")
    parser.add_argument("--out", type=Path, help="JSON lines, one a fit, with which a run goes on")
    options = parser.parse_args()
    print(f"{'task':14}{'method':18}{'mean':>7}{'std':>6}{'s/fit':>8}  by random state")
    for task, method in itertools.product(options.tasks, options.methods):
        jobs = [
            delayed(measured)(
                {"task": task, "method": method, "seed": seed, "pair": pair},
                options.params,
                options.out,
            )
            for seed in options.seeds
            for pair in range(N_PAIRS.get(task, 1))
        ]
        results = np.array(Parallel(n_jobs=options.n_jobs)(jobs))
        scores = results[:, 0].reshape(len(options.seeds), -1)
        by_seed = scores.mean(axis=1)
        print(
            f"{task:14}{method:18}{by_seed.mean():7.1f}{by_seed.std():6.1f}"
            f"{results[:, 1].mean():8.1f}  {' '.join(f'{score:.1f}' for score in by_seed)}",
            flush=True,
        )
        if options.pairs:
            print(" " * 14 + " ".join(f"{score:.1f}" for score in scores.mean(axis=0)))


if __name__ == "__main__":
    main()
