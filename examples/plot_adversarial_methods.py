"""
Adversarial methods side by side
================================

An adversary learns to tell two domains apart, and the features learn to leave it without a clue.
Such a game can be lost on either side, silently: the loss alone does not show it. Five methods
adapt to turned, noisy digits here, with the figures by which one sees whether a game is alive; then
two games are spoiled, and the warnings say how.
"""

# %%
# Five games
# ----------
# DANN's discriminator sees the features, CDAN's sees them together with the predictions, and DAAN
# adds one discriminator per class. WDGRL's critic measures a distance instead of guessing the
# domain. MCD has no discriminator at all: two classifiers disagree about the target as much as
# they can, and the features make them agree.

import sys
import time
import warnings
from typing import Any

import matplotlib

if "sphinx_gallery" not in sys.modules:
    matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning

from skda.adaptation import (
    CDANClassifier,
    DAANClassifier,
    DANNClassifier,
    MCDClassifier,
    WDGRLClassifier,
)
from skda.datasets import load_shifted_digits
from skda.inspection import TrainingHistoryDisplay

# Networks this small gain nothing from more threads, and lose much on a busy machine.
torch.set_num_threads(1)
start = time.perf_counter()
digits = load_shifted_digits(random_state=0)

methods = {
    "AdaBN": DANNClassifier(trade_off=0, random_state=0),
    "DANN": DANNClassifier(random_state=0),
    "CDAN": CDANClassifier(random_state=0),
    "DAAN": DAANClassifier(random_state=0),
    "WDGRL": WDGRLClassifier(random_state=0),
    "MCD": MCDClassifier(random_state=0),
}
accuracies = {}
for name, clf in methods.items():
    clf.fit(digits.X, digits.y, X_target=digits.X_target)
    accuracies[name] = 100 * clf.score(digits.X_target, digits.y_target)
    print(f"{name:12} target accuracy {accuracies[name]:.1f} %")

# %%
# Two games that are lost
# -----------------------
# A *dead* adversary gets no gradient, and stays as it began. The first discriminator ends in a
# softmax over a single unit, which is 1 whatever it sees: an old mistake that trains without an
# error, and aligns nothing. A discriminator has *won* if it tells the domains apart almost without
# error until the end, so that nothing was aligned either. The second one faces features that hardly
# resist, for the trade-off is next to zero, and target rows whose pixels are all one too large.


class OneUnitSoftmax(torch.nn.Linear):
    """A discriminator that cannot learn."""

    def __init__(self, in_features):
        super().__init__(in_features, 1)

    def forward(self, features):
        return super().forward(features).softmax(dim=1)


DEAD, WON = "dead: softmax over one unit", "won: trade-off of 0.001"
spoiled = {
    DEAD: DANNClassifier(discriminator=OneUnitSoftmax, random_state=0),
    WON: DANNClassifier(trade_off=1e-3, module__batch_norm=False, random_state=0),
}
for name, clf in spoiled.items():
    X_target = digits.X_target + (1 if name == WON else 0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        clf.fit(digits.X, digits.y, X_target=X_target)
    for warning in caught:
        print(f"\n{name}\n    {warning.message}")

# %%
# The figures of health
# ---------------------
# A game that is alive has a discriminator that is better than chance (the dashed line), and no
# better than it must be; its gradient is neither zero nor growing without end; and the target's
# predictions stay spread over the classes. The games that are alive are in the upper row, the lost
# ones in the row below. MCD has no discriminator, and so no accuracy of one.

names = ["domain_accuracy", "adversary_gradient_norm", "target_classes"]
games = {name: clf for name, clf in methods.items() if name != "AdaBN"}
figure: Any = plt.figure(figsize=(13, 10), layout="constrained")
upper, middle, lower = figure.subfigures(3, 1)
for part, trainings in ((upper, games), (middle, spoiled)):
    row = part.subplots(1, 3)
    for number, (name, clf) in enumerate(trainings.items()):
        TrainingHistoryDisplay.from_estimator(clf, ax=row, names=names, label=name, number=number)
    handles = row[1].get_legend_handles_labels()
    part.legend(*handles, loc="outside lower center", ncols=5, frameon=False)
    row[0].set_ylim(0.45, 1.02)
    row[1].set_ylim(-0.003, 12)
    row[2].set_ylim(0, 10.5)

# %%
# What became of it
# -----------------
# DAAN says by itself how much of the shift is that of the whole domains: the weight of its global
# discriminator falls. All five classify more of the target than AdaBN, the network without a game
# (the dotted line). None of the two lost games does.

encoder, omega, bars = lower.subplots(1, 3)
for number, (name, clf) in enumerate(games.items()):
    TrainingHistoryDisplay.from_estimator(
        clf, ax=[encoder], names=["encoder_gradient_norm"], label=name, number=number
    )
TrainingHistoryDisplay.from_estimator(methods["DAAN"], ax=[omega], names=["omega"], number=2)
omega.set_title("DAAN's weight of the global discriminator", fontsize="medium")
omega.set_ylim(0, 1)

accuracies[DEAD] = 100 * spoiled[DEAD].score(digits.X_target, digits.y_target)
accuracies[WON] = 100 * spoiled[WON].score(digits.X_target + 1, digits.y_target)
labels = [name.replace(": ", "\n") for name in accuracies]
rows = np.arange(len(labels))
bars.barh(rows, list(accuracies.values()), color=["0.75", *["#0072B2"] * 5, "white", "white"])
bars.barh(rows[-2:], list(accuracies.values())[-2:], color="none", edgecolor="black", hatch="//")
bars.axvline(accuracies["AdaBN"], color="0.3", linewidth=1, linestyle=":")
bars.set_yticks(rows, labels, fontsize="small")
bars.invert_yaxis()
bars.set_title("target accuracy in %", fontsize="medium")
figure.savefig("adversarial_methods.png", dpi=120)
plt.show()
print(f"\nsaved adversarial_methods.png after {time.perf_counter() - start:.0f} s")
