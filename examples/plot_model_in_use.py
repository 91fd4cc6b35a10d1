"""
A model that is in use already
==============================

An electronic nose tells gases apart by sixteen sensors. A forest of scikit-learn has done so for
a year, and a network of torch does in another plant. Sensors age, nobody labels gases any more, and
nobody wants to throw away what works. This tutorial puts the library *beside* a model in use: ask
whether its rows have changed, adapt under a guard that falls back on that very model, watch what
comes in after that, go on training from month to month, and adapt a network as it is.
"""

# %%
# The model, and rows of this year
# --------------------------------
# Four gases; ageing multiplies what a sensor reads and moves its zero. The labels of this year are
# used at the end alone.

import sys
import tempfile
import time
import warnings
from pathlib import Path

import matplotlib

if "sphinx_gallery" not in sys.modules:
    matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from torch import nn

import skda
from skda.adaptation import AdaBNClassifier, DANNClassifier, DeepCORALClassifier
from skda.exceptions import NoTargetWarning
from skda.inspection import AdaptationVerdictDisplay, DriftDisplay
from skda.metrics import DriftMonitor
from skda.model_selection import AdaptationGuard

# Networks this small gain nothing from more threads, and lose much on a busy machine.
torch.set_num_threads(1)
start = time.perf_counter()
GASES = np.array(["ammonia", "butane", "ethanol", "methane"])

fixed = np.random.RandomState(5)
responses, growth, zero = 1.3 * fixed.randn(4, 16), 0.3 * fixed.randn(16), 1.2 * fixed.randn(16)


def readings(n, age, rng):
    """Return what sensors of an age in years read, and the gases."""
    gases = rng.randint(4, size=n)
    X = responses[gases] * rng.uniform(0.6, 1.4, (n, 1)) + 0.7 * rng.randn(n, 16)
    return (X * np.exp(growth * age) + zero * age).astype(np.float32), GASES[gases]


rng = np.random.RandomState(0)
X, y = readings(800, 0, rng)
in_use = RandomForestClassifier(100, random_state=0).fit(X, y)  # yours comes from joblib.load

X_old, y_old = readings(400, 0, rng)  # labelled rows that it has not learnt from
X_now, y_now = readings(600, 1, rng)

# %%
# Has anything changed?
# ---------------------
# :func:`skda.diagnose` takes the model in use, whatever it is, and tells what the change means
# to it.

print(skda.diagnose(X_old, y_old, X_now, estimator=in_use, random_state=0))

# %%
# Adapt, and fall back on what is there
# -------------------------------------
# The guard takes the forest as it is, in a ``FrozenEstimator``, and compares with it what adapted
# networks say of this year's rows. What it keeps has ``predict`` and ``predict_proba``, with the
# same classes: the program around it does not change.

candidates = [
    ("Deep CORAL", DeepCORALClassifier(max_epochs=20, random_state=0)),
    ("DANN", DANNClassifier(max_epochs=20, random_state=0)),
]
guard = AdaptationGuard(candidates, fallback=FrozenEstimator(in_use), random_state=0)
guard.fit(X, y, X_target=X_now, X_val=X_old, y_val=y_old)
print(guard.verdict_)

# %%
# Rows of last year's kind are no target, so that the forest stays where nothing has changed:

same, _ = readings(400, 0, rng)
idle = AdaptationGuard(candidates[0][1], fallback=FrozenEstimator(in_use), random_state=0)
idle.fit(X, y, X_target=same, X_val=X_old, y_val=y_old)
print("without a change:", idle.best_name_)

# %%
# Save what is kept
# -----------------
# The file holds no code, see :doc:`/guide/persistence`.

folder = tempfile.TemporaryDirectory()
path = Path(folder.name) / "nose.skda"
skda.save(guard.best_estimator_, path)
served = skda.load(path)
assert np.array_equal(served.predict(X_now), guard.predict(X_now))

# %%
# Watch, and go on
# ----------------
# Rows come by the month. The monitor compares them with those that the model was adapted to, and
# has a false alarm with a probability of 1 % over all time. From the alarm on, training goes on for
# some epochs with the rows of the month as the target: ``partial_fit`` is one epoch, from where
# training was.

going_on = DANNClassifier(max_epochs=20, random_state=0).fit(X, y, X_target=X_now)
reference, _ = readings(400, 1, rng)
monitor = DriftMonitor(served, reference, alpha=0.01, random_state=0)
months = []
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    for month in range(1, 13):
        rows, labels = readings(150, 1 + max(0, month - 4) / 8, rng)
        report = monitor.update(rows)
        if report.advice != "keep":
            for _ in range(5):
                going_on.partial_fit(X, y, X_target=rows)
        scores = [100 * model.score(rows, labels) for model in (in_use, served, going_on)]
        months.append(scores)
        print(f"month {month:2}: {report.advice:8}" + "".join(f"{s:8.1f}" for s in scores))

# %%
# A network of torch
# ------------------
# A module that was trained elsewhere is the ``module`` of any estimator here: it is copied with its
# weights, and its last layer made anew. AdaBN needs no more than a few forwards for this year's
# rows, if the network has batch norms. ``to_torch`` gives a plain module back.

theirs = nn.Sequential(nn.Linear(16, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 4))
optimizer = torch.optim.Adam(theirs.parameters(), lr=1e-2)
numbers = torch.from_numpy(np.searchsorted(GASES, y))
for _ in range(60):
    optimizer.zero_grad()
    nn.functional.cross_entropy(theirs(torch.from_numpy(X)), numbers).backward()
    optimizer.step()
theirs.eval()
with torch.no_grad():
    found = GASES[theirs(torch.from_numpy(X_now)).argmax(1).numpy()]

with warnings.catch_warnings():
    warnings.simplefilter("ignore", NoTargetWarning)
    wrapped = AdaBNClassifier(module=theirs[:3], max_epochs=5, random_state=0).fit(X, y)
network = wrapped.adapt(X_now).to_torch()

# %%
# Who was right
# -------------

print(f"\nthis year's rows: the forest {100 * in_use.score(X_now, y_now):.1f} %, ", end="")
print(f"kept by the guard ({guard.best_name_}) {100 * guard.score(X_now, y_now):.1f} %")
print(f"the network of torch {100 * np.mean(found == y_now):.1f} %, ", end="")
print(f"with AdaBN {100 * wrapped.score(X_now, y_now):.1f} %")

figure, axes = plt.subplots(1, 2, figsize=(12, 4), layout="constrained")
AdaptationVerdictDisplay.from_estimator(guard, ax=axes[0])
axes[0].get_legend().remove()
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper left", ncols=3)
for scores, name in zip(np.transpose(months), ("forest", "as adapted", "going on"), strict=True):
    axes[1].plot(range(1, 13), scores, marker="o", label=name)
axes[1].axvline(monitor.alarm_batch_, color="0.5", linestyle=":", label="alarm")
axes[1].set(xlabel="month", ylabel="accuracy (%)", ylim=(0, 100))
axes[1].legend()
figure.savefig("model_in_use.png", dpi=120)
DriftDisplay.from_monitor(monitor)
plt.show()
folder.cleanup()
print(f"saved model_in_use.png after {time.perf_counter() - start:.0f} s")

# sphinx_gallery_thumbnail_number = 2
