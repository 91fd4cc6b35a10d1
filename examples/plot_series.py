"""
A machine that is not the one with labels
=========================================

The bearings of one machine were taken apart, and so its vibrations are labelled by fault. Another
machine turns faster, rings at another frequency and is noisier, and nobody has opened it. A network
for series that is trained on the first machine fails on the second one; this example adapts it
without a label. The vibrations are simulated by the physics of rolling bearings, with no download.
"""

# %%
# Two machines
# ------------
# Rows are series of shape (n_channels, length), here of one accelerometer. Without a ``module``
# they get a :class:`skda.nn.SeriesNet`. A long recording of yours becomes such rows by cutting:
# ``recording[: n * 1024].reshape(n, 1, 1024)`` of one sensor, and ``np.stack`` with ``axis=1`` over
# several. Choose windows that hold some turns of the machine, and the same rate for both machines.

import sys
import time

import matplotlib

if "sphinx_gallery" not in sys.modules:
    matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.metrics import ConfusionMatrixDisplay

from skda.adaptation import AdaBNClassifier, DANNClassifier, DeepCORALClassifier
from skda.datasets import make_machine_faults
from skda.fine_tuning import FineTuneClassifier

# Networks this small gain little from more threads, and lose much on a busy machine.
torch.set_num_threads(1)
start = time.perf_counter()
SEEDS = range(3)
EPOCHS = 20
draws = [make_machine_faults(random_state=seed) for seed in SEEDS]
print(draws[0].DESCR.split("::")[0])

# %%
# Five ways to train
# ------------------
# The first network has seen nothing of the target. The upper bound cheats: it learns from the
# labels of the target machine's rows, and is measured on rows of that machine that are new to it.


def source_only(faults, seed):
    clf = FineTuneClassifier(max_epochs=EPOCHS, random_state=seed).fit(faults.X, faults.y)
    return clf, clf.score(faults.X_target, faults.y_target)


def adapted(estimator):
    def fit(faults, seed):
        clf = estimator(max_epochs=EPOCHS, random_state=seed)
        clf.fit(faults.X, faults.y, X_target=(faults.X_target,))
        return clf, clf.score(faults.X_target, faults.y_target)

    return fit


def upper_bound(faults, seed):
    clf = FineTuneClassifier(max_epochs=EPOCHS, random_state=seed)
    clf.fit(faults.X_target, faults.y_target)
    fresh = make_machine_faults(4, 400, random_state=seed + len(SEEDS))
    return clf, clf.score(fresh.X_target, fresh.y_target)


table = {
    "source only": source_only,
    "AdaBN": adapted(AdaBNClassifier),
    "Deep CORAL": adapted(DeepCORALClassifier),
    "DANN": adapted(DANNClassifier),
    "supervised upper bound": upper_bound,
}
first = {}
print(f"{'':24} target accuracy (mean and spread over {len(SEEDS)} random states)")
for name, fit in table.items():
    results = [fit(faults, seed) for faults, seed in zip(draws, SEEDS, strict=True)]
    first[name] = results[0][0]
    scores = [100 * score for _, score in results]
    print(f"{name:24} {np.mean(scores):5.1f} +- {np.std(scores):.1f}")

# %%
# Before and after
# ----------------
# A row of each fault on both machines, and what becomes of the target's classes.

faults = draws[0]
figure, axes = plt.subplots(2, 2, figsize=(11, 8))
milliseconds = np.arange(faults.X.shape[2]) / 8
for axis, X, y, title in (
    (axes[0, 0], faults.X, faults.y, "source machine"),
    (axes[0, 1], faults.X_target, faults.y_target, "target machine"),
):
    for label in range(4):
        row = X[np.flatnonzero(y == label)[0], 0]
        axis.plot(milliseconds, row + 3 * (3 - label), linewidth=0.6)
    axis.set(title=title, xlabel="ms", yticks=[9, 6, 3, 0], yticklabels=faults.target_names)
for axis, name in zip(axes[1], ("source only", "DANN"), strict=True):
    ConfusionMatrixDisplay.from_estimator(
        first[name],
        faults.X_target,
        faults.y_target,
        display_labels=faults.target_names,
        colorbar=False,
        ax=axis,
    )
    axis.set_title(f"{name}, target machine")
figure.tight_layout()
figure.savefig("series.png", dpi=120)
print(f"\nsaved series.png after {time.perf_counter() - start:.0f} s")
