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

import matplotlib

if "sphinx_gallery" not in sys.modules:
    matplotlib.use("Agg")

import matplotlib.pyplot as plt
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
# The first discriminator ends in a softmax over a single unit, which is 1 whatever it sees: an old
# mistake that trains without an error, and aligns nothing. The second one faces features that
# hardly resist, for the trade-off is next to zero, and domains that lie far apart and share their
# batch norms.


class OneUnitSoftmax(torch.nn.Linear):
    """A discriminator that cannot learn."""

    def __init__(self, in_features):
        super().__init__(in_features, 1)

    def forward(self, features):
        return super().forward(features).softmax(dim=1)


spoiled = {
    "dead": DANNClassifier(discriminator=OneUnitSoftmax, random_state=0),
    "won": DANNClassifier(trade_off=1e-3, batch_norm="shared", random_state=0),
}
for name, clf in spoiled.items():
    X_target = digits.X_target + (10 if name == "won" else 0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        clf.fit(digits.X, digits.y, X_target=X_target)
    for warning in caught:
        print(f"{name}: {warning.message}\n")

# %%
# The figures of health
# ---------------------
# A game that is alive has a discriminator that is better than chance, and no better than it must
# be; its gradient, and that of the encoder, are neither zero nor growing without end; and the
# target's predictions stay spread over the classes.

figures = {
    "domain_accuracy": "accuracy of the discriminator or critic",
    "adversary_gradient_norm": "gradient norm of the adversary",
    "encoder_gradient_norm": "gradient norm of the encoder",
    "target_classes": "classes among the target's predictions",
}
games = {name: clf for name, clf in methods.items() if name != "AdaBN"} | spoiled
styles = {
    name: {"color": f"C{number}", "linestyle": ":" if name in spoiled else "-"}
    for number, name in enumerate(games)
}
figure, axes = plt.subplots(2, 3, figsize=(12.5, 7), layout="constrained")
for axis, (name_of_figure, title) in zip(axes.flat, figures.items(), strict=False):
    for name, clf in games.items():
        if name_of_figure in clf.history_[-1]:
            axis.plot(clf.history_[:, name_of_figure], label=name, **styles[name])
    axis.set(title=title, xlabel="epoch")
    if name_of_figure.endswith("norm"):
        axis.set_yscale("symlog", linthresh=1e-2)
axes[0, 0].axhline(0.5, color="0.6", linewidth=0.8, zorder=0)
figure.legend(*axes[0, 2].get_legend_handles_labels(), loc="outside lower center", ncols=len(games))

omega = axes[1, 1]
omega.plot(methods["DAAN"].history_[:, "omega"], **styles["DAAN"])
omega.set(title="DAAN's weight of the global discriminator", xlabel="epoch", ylim=(0, 1))

bars = axes[1, 2]
colors = ["0.6", *(styles[name]["color"] for name in accuracies if name in styles)]
bars.barh(list(accuracies), list(accuracies.values()), color=colors)
bars.axvline(accuracies["AdaBN"], color="0.6", linewidth=0.8)
bars.invert_yaxis()
bars.set(title="target accuracy in %")
figure.savefig("adversarial_methods.png", dpi=120)
plt.show()
print(f"saved adversarial_methods.png after {time.perf_counter() - start:.0f} s")
