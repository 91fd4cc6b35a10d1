"""
A hospital that moves: did it help?
===================================

A network sorts patients by how closely they must be watched. Then the hospital moves: other
instruments measure the same patients, and nobody has labels there yet. Is the network still good?
Does an adaptation help? And when does the next change come? All of it is answered here without a
label of the new place; labels, which the simulation has, only say at the end who was right.
"""

# %%
# The simulation
# --------------
# Patients are *stable*, *watch* or *critical*. Five hidden quantities ``z`` of a patient are normal
# with a mean for each class and a deviation of 1; 14 measurements are ``2 z M`` with fixed random
# weights ``M``, and noise of 0.3. Instruments of another building multiply them by gains, which are
# log-normal with a deviation of 0.25, and add offsets with one of 1.6, both times ``instruments``.

import sys
import time
import warnings

import matplotlib

if "sphinx_gallery" not in sys.modules:
    matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.model_selection import train_test_split

import skda
from skda.adaptation import DANNClassifier, DeepCORALClassifier
from skda.base import DeepAdaptationClassifier
from skda.exceptions import DomainScaleWarning, NoTargetWarning
from skda.inspection import AdaptationVerdictDisplay, DriftDisplay
from skda.metrics import DriftMonitor, estimate_target_accuracy
from skda.model_selection import AdaptationGuard

# Networks this small gain nothing from more threads, and lose much on a busy machine.
torch.set_num_threads(1)
for category in (DomainScaleWarning, NoTargetWarning):  # both are what this is about
    warnings.simplefilter("ignore", category)
start = time.perf_counter()
EPOCHS = 20
USUAL = (0.6, 0.25, 0.15)  # shares of stable, watch and critical
CRITICAL_WARD = (0.1, 0.2, 0.7)

fixed = np.random.RandomState(3)
means = 1.6 * fixed.randn(3, 5)
weights = fixed.randn(5, 14) / np.sqrt(5)
log_gains, offsets = 0.25 * fixed.randn(14), 1.6 * fixed.randn(14)


def patients(n, rng, shares=USUAL, instruments=0.0):
    """Return measurements and classes of patients."""
    y = rng.choice(3, n, p=shares)
    X = 2 * (means[y] + rng.randn(n, 5)) @ weights + 0.3 * rng.randn(n, 14)
    X = X * np.exp(instruments * log_gains) + instruments * offsets
    return X.astype(np.float32), y


rng = np.random.RandomState(0)
X, y = patients(900, rng)
X_moved, y_moved = patients(600, rng, instruments=1)
X, X_out, y, y_out = train_test_split(X, y, test_size=1 / 3, stratify=y, random_state=0)
in_use = DeepAdaptationClassifier(max_epochs=EPOCHS, random_state=0).fit(X, y)

# %%
# Before anything: diagnose
# -------------------------
# Patients that the network has not learnt from, and those of the new building. Every sentence
# follows from a figure beside it.

print(skda.diagnose(X_out, y_out, X_moved, random_state=0))

# %%
# What held-out rows say of the old place, and what can be said of the new one: the interval is
# wide, for under a shift every estimate may be off.

score = in_use.score(X_out, y_out)
result = estimate_target_accuracy(in_use, X_out, y_out, X_moved, random_state=0)
print(f"in use: {100 * score:.1f} % in the old building, in the new one about")
print(f"{100 * result.estimate:.0f} %, from {100 * result.lower:.0f} to {100 * result.upper:.0f}")

# %%
# Under a guard: the verdict
# --------------------------
# Two adaptations compete with the network that knows no target. A quarter of the labelled patients
# is held out to judge; what is kept learns from all of them again.

candidates = [
    ("Deep CORAL", DeepCORALClassifier(max_epochs=EPOCHS, random_state=0)),
    ("DANN", DANNClassifier(max_epochs=EPOCHS, random_state=0)),
]
X_old, y_old = np.concatenate([X, X_out]), np.concatenate([y, y_out])
moved = AdaptationGuard(candidates, random_state=0).fit(X_old, y_old, X_target=X_moved)
print(moved.verdict_)

# %%
# Where an adaptation does harm
# -----------------------------
# The ward for critical patients has the instruments of the old building; only its patients are
# others, 70 % of them critical and not 15 %. An alignment of all rows with all rows takes critical
# patients for stable ones. The guard has no label that would say so.

X_ward, y_ward = patients(600, rng, shares=CRITICAL_WARD)
ward = AdaptationGuard(candidates, random_state=0).fit(X_old, y_old, X_target=X_ward)
print(skda.diagnose(X_out, y_out, X_ward, random_state=0).kind)
print(ward.verdict_)

# %%
# A monitor
# ---------
# The model that was kept goes into use. Forty patients come in a week; from week 13 on, the
# instruments drift further. The probability of ever having a false alarm is 1 %.

reference, _ = patients(400, rng, instruments=1)
monitor = DriftMonitor(moved, reference, alpha=0.01, random_state=0)
weekly = []
for week in range(1, 21):
    batch, labels = patients(40, rng, instruments=1 if week <= 12 else 2)
    report = monitor.update(batch)
    weekly.append(100 * moved.score(batch, labels))
print(f"alarm in week {monitor.alarm_batch_}")
print(report)

# %%
# Who was right
# -------------
# The labels of the simulation tell what became of it.

print(f"\n{'':22}{'in use':>10}{'adapted':>10}{'kept':>10}   by the guard")
for place, guard, X_new, y_new in (
    ("new building", moved, X_moved, y_moved),
    ("ward of the critical", ward, X_ward, y_ward),
):
    adapted = candidates[1][1].fit(X_old, y_old, X_target=X_new)
    scores = (100 * model.score(X_new, y_new) for model in (in_use, adapted, guard))
    cells = "".join(f"{value:10.1f}" for value in scores)
    print(f"{place:22}{cells}   {guard.best_name_}")
before, after = np.mean(weekly[:12]), np.mean(weekly[12:])
print(f"of incoming patients: {before:.1f} % in weeks 1 to 12, then {after:.1f} %")

# %%
# Pictures
# --------
# Both verdicts, and the evidence of the monitor over the weeks.

figure, axes = plt.subplots(1, 2, figsize=(12, 4), layout="constrained")
for axis, guard, place in zip(axes, (moved, ward), ("new building", "ward"), strict=True):
    AdaptationVerdictDisplay.from_estimator(guard, ax=axis)
    axis.set_title(f"{place}: kept {guard.best_name_}")
    axis.get_legend().remove()
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
figure.savefig("did_it_help.png", dpi=120)
display = DriftDisplay.from_monitor(monitor)
display.figure_.savefig("did_it_help_drift.png", dpi=120)
plt.show()
print(f"saved did_it_help.png after {time.perf_counter() - start:.0f} s")

# sphinx_gallery_thumbnail_number = 2
