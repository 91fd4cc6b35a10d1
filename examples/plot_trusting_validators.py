"""
Which validator to trust
========================

A validator scores a network without a label of the target. Does it tell good networks from bad
ones? Here 22 networks, among them some that were trained too short, too fast or with far too much
alignment, adapt to turned, noisy digits. The validators of :mod:`skda.model_selection` score all of
them, and the labels that an application would not have say which validator was right.
"""

# %%
# Good and bad settings
# ---------------------
# Three methods in seven settings: the defaults, but for DAN's batch norms, and one change of them
# each. The last network is made to be certain of every target row, by an alignment that is nothing
# but the entropy of its predictions. A fifth of the source is held out, for the validators that
# need labelled rows.

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
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from skda.adaptation import DANClassifier, DANNClassifier, DeepCORALClassifier
from skda.base import DeepAdaptationClassifier
from skda.datasets import load_shifted_digits
from skda.inspection import ValidatorComparisonDisplay
from skda.model_selection import (
    ClassCorrelationScorer,
    DeepEmbeddedValidationScorer,
    ImportanceWeightedScorer,
    InformationMaximizationScorer,
    MixValScorer,
    RankMeScorer,
    SoftNeighborhoodDensityScorer,
    TargetEntropyScorer,
)
from skda.nn import joint

# Networks this small gain nothing from more threads, and lose much on a busy machine.
torch.set_num_threads(1)
warnings.simplefilter("ignore", ConvergenceWarning)  # some are meant to fail
start = time.perf_counter()

digits = load_shifted_digits(random_state=0)
X, X_held_out, y, y_held_out = train_test_split(
    digits.X, digits.y, test_size=0.2, stratify=digits.y, random_state=0
)
methods = {
    "DAN": DANClassifier(batch_norm="domain", random_state=0),
    "DANN": DANNClassifier(random_state=0),
    "Deep CORAL": DeepCORALClassifier(random_state=0),
}
settings = {
    "defaults": {},
    "strong": {"trade_off": 10},
    "far too strong": {"trade_off": 100},
    "3 epochs": {"max_epochs": 3},
    "slow": {"lr": 1e-4},
    "fast": {"lr": 3e-2},
    "shared batch norms": {"batch_norm": "shared"},
}
networks = {}
for method, estimator in methods.items():
    for setting, changes in settings.items():
        clf = clone(estimator)
        if "trade_off" in changes:
            changes = {"trade_off": changes["trade_off"] * clf.trade_off}
        clf.set_params(**changes)
        networks[method, setting] = clf.fit(X, y, X_target=digits.X_target)


@joint
def entropy(source, target):
    """Return the mean entropy of the target's predictions."""
    return torch.distributions.Categorical(logits=target["logits"]).entropy().mean()


certain = DeepAdaptationClassifier(alignment=entropy, trade_off=10, random_state=0)
networks["least entropy", "strong"] = certain.fit(X, y, X_target=digits.X_target)
accuracy = np.array(
    [100 * clf.score(digits.X_target, digits.y_target) for clf in networks.values()]
)
print(f"{len(networks)} networks after {time.perf_counter() - start:.0f} s")

# %%
# The validators
# --------------
# They are called as a search calls them: with held-out source rows and their labels, and with the
# target rows. Accuracy on the source is what a search takes where it is told nothing else.


def source_accuracy(clf, X, y, X_target):
    """Return the accuracy on held-out rows of the source."""
    return clf.score(X, y)


validators = {
    "source accuracy": source_accuracy,
    "importance weighting": ImportanceWeightedScorer(),
    "DEV": DeepEmbeddedValidationScorer(),
    "entropy": TargetEntropyScorer(),
    "information maximization": InformationMaximizationScorer(),
    "neighbourhood density": SoftNeighborhoodDensityScorer(),
    "class correlation": ClassCorrelationScorer(),
    "MixVal": MixValScorer(),
    "RankMe": RankMeScorer(),
}
names = list(networks)
collapsed = [("DAN", "far too strong"), ("least entropy", "strong")]
groups = ["collapsed" if name in collapsed else name[0] for name in names]
figure: Any = plt.figure(figsize=(13, 10), layout="constrained")
upper, lower = figure.subfigures(2, 1, height_ratios=[3.4, 1])
display = ValidatorComparisonDisplay.from_estimators(
    networks,
    validators,
    X_held_out,
    y_held_out,
    digits.X_target,
    digits.y_target,
    group=groups,
    ax=upper.subplots(),
)
print(f"best of all {accuracy.max():.1f} %, mean {accuracy.mean():.1f} %\n")
print(f"{'validator':26}{'tau':>6}  what it chooses")
for name, tau in display.tau_.items():
    best = display.choice_[name]
    print(f"{name:26}{tau:6.2f}  {', '.join(names[best])}: {accuracy[best]:.1f} %")

# %%
# Two collapses
# -------------
# With far too much alignment DAN's features no longer tell the classes apart. All target rows
# become neighbours of each other, which the neighbourhood density takes for a good sign. The
# network of least entropy puts the rows into four wrong classes and is certain of them: entropy
# likes it best, and MixVal, too, finds its classes compact. Information maximization takes it for
# better than most; class correlation, which asks for all classes, is hardly fooled.
#
# The predicted classes give both away at once, and need no label either. So does a second validator
# that errs in another way: :ref:`sphx_glr_gallery_plot_choosing_hyperparameters.py` takes the mean
# rank of two.

predicted = {
    name: np.bincount(networks[name].predict(digits.X_target), minlength=10)
    for name in [("DAN", "defaults"), *collapsed]
}
for name, counts in predicted.items():
    print(f"{', '.join(name):22}", counts)

# %%
# The figure
# ----------
# Every point is a network. A good validator has its points along a line that rises, and its choice,
# the ring, near the dotted line of the best network. Below are the predicted classes of a network
# that is well, and of the two that collapsed; the dotted line is what ten equal classes would have.

bars = lower.subplots(1, len(predicted), sharey=True)
for axis, (name, counts) in zip(bars, predicted.items(), strict=True):
    axis.bar(range(10), counts, color="0.3" if name in collapsed else "#56B4E9")
    axis.axhline(len(digits.X_target) / 10, color="black", linewidth=1, linestyle=":")
    axis.set_title(f"{', '.join(name)}: predicted classes", fontsize="medium")
    axis.set_xticks(range(10))
bars[0].set_ylabel("target rows")
figure.savefig("trusting_validators.png", dpi=120)
plt.show()
print(f"\nsaved trusting_validators.png after {time.perf_counter() - start:.0f} s")
