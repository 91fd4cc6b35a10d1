"""
Discrepancy methods side by side
================================

Seven methods, one network, the same digits: the images of a scanner are labelled, others are
turned, noisy and without labels. The methods differ in what they make alike between the two
domains. What the classifier needs is that every digit of the target lies where this digit of the
source lies, and nobody can tell a method which digit that is.
"""

# %%
# What they match
# ---------------
# Without an alignment, ``trade_off=0``, the network learns from the source alone; by the target's
# statistics at its batch norms it is AdaBN. Deep CORAL matches covariances of the logits, and DAN
# their distributions, through kernels. JAN matches the
# joint distribution of features and predictions, and RTN that of their products; RTN wants
# certain predictions as well. DSAN matches every class by itself, with the predictions in place of
# the target's labels. MCC and BNM compare no domains: they ask that the predictions for the
# target not confuse classes, or be certain and diverse.

import sys
import time
from typing import Any

import matplotlib

if "sphinx_gallery" not in sys.modules:
    matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch
from scipy.linalg import orthogonal_procrustes
from sklearn.decomposition import PCA

from skda.adaptation import (
    BNMClassifier,
    DANClassifier,
    DeepCORALClassifier,
    DSANClassifier,
    JANClassifier,
    MCCClassifier,
    RTNClassifier,
)
from skda.datasets import load_shifted_digits
from skda.losses import local_mmd, mmd

# Networks this small gain nothing from more threads, and lose much on a busy machine.
torch.set_num_threads(1)
start = time.perf_counter()
SEEDS = range(3)

methods = {
    "AdaBN": DeepCORALClassifier(trade_off=0),
    "Deep CORAL": DeepCORALClassifier(),
    "DAN": DANClassifier(),
    "JAN": JANClassifier(),
    "RTN": RTNClassifier(),
    "DSAN": DSANClassifier(),
    "MCC": MCCClassifier(),
    "BNM": BNMClassifier(),
}

# %%
# What becomes alike
# ------------------
# Beside the accuracy, two discrepancies of the features are measured: between the domains, and
# between the two halves of every class. The second one needs the target's labels, which serve for
# nothing but measurements and drawings.


def features_of_domains(clf, digits):
    """Features of both domains; batch norms see each by its own statistics."""
    with clf.net_.source_statistics():
        source = clf.transform(digits.X)
    return source, clf.transform(digits.X_target)


def discrepancies(source, target, digits):
    """Discrepancy of the domains, and mean discrepancy of the classes."""
    source, target = torch.from_numpy(source), torch.from_numpy(target)
    true_classes = torch.eye(10)[digits.y_target]
    classes = local_mmd(source, target, torch.from_numpy(digits.y), true_classes)
    return mmd(source, target), classes


features = {}
accuracies = np.empty((len(methods), len(SEEDS)))
left = np.empty((2, *accuracies.shape))
for seed in SEEDS:
    digits = load_shifted_digits(random_state=seed)
    for i, (name, clf) in enumerate(methods.items()):
        clf.set_params(random_state=seed).fit(digits.X, digits.y, X_target=digits.X_target)
        accuracies[i, seed] = 100 * clf.score(digits.X_target, digits.y_target)
        source, target = features[name, seed] = features_of_domains(clf, digits)
        left[:, i, seed] = discrepancies(source, target, digits)
left *= 100 / left[:, :1]

print(f"mean and spread over {len(SEEDS)} random states; discrepancies in % of AdaBN\n")
print(f"{'':12}{'accuracy':>14}{'domains':>14}{'classes':>14}")
for name, rows in zip(methods, np.stack([accuracies, *left], axis=1), strict=True):
    print(f"{name:12}", *[f"{row.mean():5.1f} +- {row.std():4.1f}" for row in rows])

# %%
# All seven classify more of the target. All but DAN leave the features of the domains closer, also
# the two that never compare them. DAN looks at the logits alone, and like JAN and DSAN it shares
# batch norms between the domains, where those of the source alone give each unit one mean and
# variance in both: before the logits the domains stay apart. DSAN, which aims at the classes,
# leaves the least between them and is right most often. Predictions can be certain and wrong: how
# well MCC does depends most on the random state.
#
# Where the digits go
# -------------------
# Each panel is the plane in which the centres of the source's digits differ most, turned so that
# they lie alike in all panels. A number stands at the centre of a digit's features in the source,
# or beside it where it would hide another one: a ring is the centre then. The arrow leads to their
# centre in the target, unless it is too short to be seen, and the dots are target images. Arrows
# are longest for AdaBN and shortest for DSAN. Where a long one is left, the target's digit has come
# to lie near the place of another one.


def apart(places, distance):
    """Return places for labels that are no nearer to each other than a distance."""
    places = places.copy()
    for _ in range(100):
        gaps = places[:, None] - places
        lengths = np.linalg.norm(gaps, axis=2) + 1e9 * np.eye(len(places))
        push = np.clip(distance - lengths, 0, None) / lengths / 2
        places += np.einsum("ij,ijk->ik", push, gaps)
    return places


colors = plt.get_cmap("tab10")(range(10))
digits = load_shifted_digits(random_state=0)
figure: Any = plt.figure(figsize=(11, 9), layout="constrained")
planes, charts = figure.subfigures(2, 1, height_ratios=[2, 1.05])
axes = planes.subplots(2, 4, sharex=True, sharey=True)
planes.suptitle("Number or ring: centre of a digit in the source. Arrow: to that in the target.")
reference = None
for axis, name, accuracy in zip(axes.flat, methods, accuracies[:, 0], strict=True):
    source, target = features[name, 0]
    centres = np.array([source[digits.y == digit].mean(axis=0) for digit in range(10)])
    plane = PCA(2).fit(centres)
    places = plane.transform(centres)
    scale = np.linalg.norm(places)
    reference = places if reference is None else reference
    turn = orthogonal_procrustes(places, reference)[0] / scale
    places, dots = places @ turn, plane.transform(target) @ turn
    axis.scatter(*dots.T, s=7, c=digits.y_target, cmap="tab10", alpha=0.4, linewidths=0)
    numbers = apart(places, 0.11)
    for digit, (place, number) in enumerate(zip(places, numbers, strict=True)):
        end = dots[digits.y_target == digit].mean(axis=0)
        axis.plot(*np.transpose([place, number]), color="0.3", linewidth=0.7)
        axis.annotate("", end, place, arrowprops={"arrowstyle": "->", "linewidth": 1.4})
        axis.plot(*place, marker="o", markersize=4, markerfacecolor="white", color="black")
        box = {"boxstyle": "circle,pad=0.1", "facecolor": "white", "edgecolor": colors[digit]}
        text = {"size": 9, "weight": "bold", "ha": "center", "va": "center", "zorder": 3}
        axis.text(*number, digit, **text, bbox=box)
    axis.set(title=f"{name}: {accuracy:.0f} % right", xticks=[], yticks=[])

labels = list(methods)
rows = np.arange(len(labels))
scores, rest = charts.subplots(1, 2, sharey=True)
mean = accuracies.mean(axis=1)
ends = np.abs(mean - [accuracies.min(axis=1), accuracies.max(axis=1)])
scores.barh(rows, mean, xerr=ends, color="#56B4E9", error_kw={"capsize": 3})
scores.set(yticks=rows, yticklabels=labels, xlabel="target accuracy in %, mean and range")
means = left.mean(axis=2)
rest.axvline(100, color="0.3", linewidth=1, linestyle=":")
rest.hlines(rows, means.min(axis=0), means.max(axis=0), color="0.7", linewidth=2, zorder=0)
ring = {"marker": "o", "markersize": 11, "markerfacecolor": "none", "markeredgewidth": 1.6}
rest.plot(means[0], rows, linestyle="none", color="#D55E00", label="of the domains", **ring)
rest.plot(means[1], rows, "s", markersize=6, color="#0072B2", label="of every class")
rest.set(xlabel="discrepancy left, in % of AdaBN (the dotted line)", xlim=(0, None))
rest.grid(axis="x", color="0.92")
rest.invert_yaxis()
charts.legend(*rest.get_legend_handles_labels(), loc="outside right upper", frameon=False)
figure.savefig("discrepancy_methods.png", dpi=120)
plt.show()
print(f"\nsaved discrepancy_methods.png after {time.perf_counter() - start:.0f} s")
