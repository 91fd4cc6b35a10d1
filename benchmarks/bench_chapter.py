"""Shallow < features of a network < DDC < DAN < DANN, on photographs of Office-Caltech10.

The comparison of the book chapter on what can be had here. The network is a MobileNetV2 that was
trained on ImageNet. Its lower blocks are frozen, and so see every photograph once; the last block
and what comes after it are fine-tuned, on the source alone or by the methods. From every class of
the source 20 photographs are drawn (8 of dslr and webcam), as Saenko et al. (ECCV 2010) do; the
whole target is unlabeled. Shallow methods see the histograms of the same photographs, or the
pooled features of the network.

    SKDA_DATA=folder python benchmarks/bench_chapter.py --out FILE.jsonl [--pairs amazon-webcam]

Every fit adds a line to the file, and those that it holds are not done again. Last epoch; no
label of the target is used for anything but the accuracy.
"""

import argparse
import copy
import json
import time
import warnings
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import sklearn
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.nn.functional import interpolate

from skda import make_pipeline
from skda.adaptation import DANClassifier, DANNClassifier, DDCClassifier
from skda.backbones import load_weights
from skda.datasets import fetch_office_caltech10, get_data_home
from skda.fine_tuning import FineTuneClassifier
from skda.subspace import GFK, TCA

WEIGHTS = "weights/mobilenetv2_100_imagenet_timm.safetensors"
N_LOWER = 6  # frozen blocks: what is above them takes 1.3 ms of a photograph's 16
PAIRS = ("amazon-webcam", "amazon-dslr", "webcam-amazon", "dslr-amazon", "webcam-dslr")
SHALLOW = {"SURF": None, "SURF, GFK": GFK, "SURF, TCA": TCA}
POOLED = {"features": None, "features, GFK": GFK, "features, TCA": TCA}
DEEP = {
    "fine-tuned on the source": FineTuneClassifier,
    "DDC": DDCClassifier,
    "DAN": DANClassifier,
    "DANN": DANNClassifier,
}
METHODS = [*SHALLOW, *POOLED, *DEEP]


@cache
def network():
    """Return the frozen and the fine-tuned part of the network."""
    import timm

    whole = timm.create_model("mobilenetv2_100", pad_type="same", bn_eps=1e-3)
    load_weights(whole, get_data_home() / WEIGHTS)
    lower = nn.Sequential(whole.conv_stem, whole.bn1, *whole.blocks[:N_LOWER])
    upper = nn.Sequential(*whole.blocks[N_LOWER:], whole.conv_head, whole.bn2, whole.global_pool)
    return lower.eval(), upper.eval()


@torch.no_grad()
def in_batches(module, rows):
    return np.concatenate([module(rows_).numpy() for rows_ in torch.as_tensor(rows).split(64)])


@cache
def office(pair, size, features):
    return fetch_office_caltech10(*pair.split("-"), features=features, return_X_y=True)


@cache
def seen(pair, size):
    """What the lower blocks make of both domains' photographs, and their classes."""
    X, y, X_target, y_target = office(pair, size, "images")

    def lower(images):
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2) / 127.5 - 1
        return in_batches(network()[0], interpolate(pixels, (size, size), mode="bilinear"))

    return lower(X), y, lower(X_target), y_target


def drawn(y, source, state):
    """Numbers of the source rows: 20 of a class, 8 of the small domains."""
    n_rows = 20 if source in ("amazon", "caltech10") else 8
    rng = np.random.RandomState(state)
    rows = [rng.permutation(np.flatnonzero(y == label))[:n_rows] for label in np.unique(y)]
    return rng.permutation(np.concatenate(rows))


def linear(transformer):
    steps = [] if transformer is None else [transformer()]
    return make_pipeline(*steps, LogisticRegression(max_iter=1000))


def arrays_of(method, pair, size):
    if method in SHALLOW:
        return office(pair, size, "surf")
    X, y, X_target, y_target = seen(pair, size)
    if method in DEEP:
        return X, y, X_target, y_target
    upper = network()[1]
    return in_batches(upper, X), y, in_batches(upper, X_target), y_target


def measure(method, pair, state, size, max_epochs):
    X, y, X_target, y_target = arrays_of(method, pair, size)
    rows = drawn(y, pair.split("-")[0], state)
    if method in DEEP:
        estimator = DEEP[method](
            module=copy.deepcopy(network()[1]),
            image_layout="channels_first",  # the rows are what the lower blocks made
            max_epochs=max_epochs,
            random_state=state,
        )
    else:
        estimator = linear({**SHALLOW, **POOLED}[method])
    has_no_target = method in ("SURF", "features", "fine-tuned on the source")
    target = {} if has_no_target else {"X_target": X_target}
    start = time.process_time()
    estimator.fit(X[rows], y[rows], **target)
    seconds = time.process_time() - start
    accuracy = 100 * float(np.mean(estimator.predict(X_target) == y_target))
    return {"accuracy": round(accuracy, 3), "seconds": round(seconds, 3)}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True, help="file of JSON lines")
    parser.add_argument("--pairs", nargs="+", default=list(PAIRS[:2]), choices=PAIRS)
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    parser.add_argument("--states", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--size", type=int, default=128, help="pixels of a photograph's side")
    parser.add_argument("--max-epochs", type=int, default=10)
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    sklearn.set_config(enable_metadata_routing=True)
    lines = options.out.read_text().splitlines() if options.out.exists() else []
    done = {tuple(json.loads(line)[name] for name in ("method", "pair", "state")) for line in lines}
    # A state after the other: what is measured until somebody stops it is a whole comparison.
    for pair, state, method in product(options.pairs, options.states, options.methods):
        if (method, pair, state) in done:
            continue
        cell = {"method": method, "pair": pair, "state": state}
        cell |= {"size": options.size, "max_epochs": options.max_epochs}
        cell |= measure(**cell)
        with options.out.open("a") as file:
            file.write(json.dumps(cell) + "\n")
        print(json.dumps(cell), flush=True)


if __name__ == "__main__":
    main()
