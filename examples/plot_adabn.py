"""
A model in use, and a scanner that ages
=======================================

A network reads handwritten digits from a scanner. Month by month the scanner's lamp fades,
unevenly, and its glass collects dust. Nobody labels what comes in, and nobody wants to train the
network anew: :meth:`skda.adaptation.AdaBNClassifier.adapt` only takes the statistics of its batch
norms from the latest scans.
"""

# %%
# The model
# ---------
# It was trained before the first month, on labelled scans and without any target, hence the warning
# that is silenced here. All that is left of the training is a file.

import pickle
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
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skda.adaptation import AdaBNClassifier
from skda.exceptions import NoTargetWarning

# Networks this small gain nothing from more threads, and lose much on a busy machine.
torch.set_num_threads(1)
start = time.perf_counter()

X, y = load_digits(return_X_y=True)
X_train, X_new, y_train, y_new = train_test_split(X / 16, y, train_size=797, random_state=0)

model = AdaBNClassifier(max_epochs=30, random_state=0)
with warnings.catch_warnings():
    warnings.simplefilter("ignore", NoTargetWarning)
    model.fit(X_train, y_train)
file = pickle.dumps(model)

# %%
# The scans
# ---------
# Every month brings 250 new digits. The light falls off towards the right edge, the paper looks
# darker, and the dust adds noise.


def scan(digits, age, rng):
    """Return digits as a scanner of this age sees them, from 0 for new to 1 for worn."""
    light = 1 - 0.7 * age * np.linspace(0.4, 1, 8)
    images = digits.reshape(-1, 8, 8) * light + 0.5 * age
    return images.reshape(-1, 64) + 0.12 * age * rng.standard_normal(digits.shape)


rng = np.random.default_rng(0)
ages = np.linspace(0, 1, 13)
months = []
for age in ages:
    rows = rng.choice(len(X_new), 250, replace=False)
    months.append((scan(X_new[rows], age, rng), y_new[rows]))

# %%
# Month by month
# --------------
# One copy of the model stays as it is. The other adapts to each month's scans before it reads them;
# it needs no label, keeps all of its weights, and is done within milliseconds.

fixed, adapted = pickle.loads(file), pickle.loads(file)
accuracy = np.empty((len(months), 2))
seconds = []
for row, (scans, labels) in zip(accuracy, months, strict=True):
    begin = time.perf_counter()
    adapted.adapt(scans)
    seconds.append(time.perf_counter() - begin)
    row[:] = 100 * fixed.score(scans, labels), 100 * adapted.score(scans, labels)

print("accuracy in %\n\nmonth   as it was   adapted")
for month, row in enumerate(accuracy):
    print(f"{month:5}{row[0]:12.1f}{row[1]:10.1f}")
print(f"\nadapt took {1000 * np.median(seconds):.0f} ms a month")

# %%
# The figure
# ----------
# Above, a digit as it is scanned in every other month. The statistics make up for light and
# background, which shift and scale what enters the batch norms; they do not for the noise.

figure: Any = plt.figure(figsize=(7, 4.2), layout="constrained")
strip, plot = figure.subfigures(2, 1, height_ratios=[1, 4])
axes = strip.subplots(1, 7)
for ax, month in zip(axes, range(0, 13, 2), strict=True):
    image = scan(X_new[:1], ages[month], np.random.default_rng(0)).reshape(8, 8)
    ax.imshow(image, cmap="gray_r", vmin=0, vmax=1.2)
    ax.set_axis_off()
    ax.set_title(f"month {month}", fontsize="small")
ax = plot.subplots()
ax.plot(accuracy[:, 1], "o-", label="adapted every month")
ax.plot(accuracy[:, 0], "s--", label="as it was trained")
ax.set(xlabel="Month", ylabel="Accuracy in %", ylim=(0, 102))
ax.grid(alpha=0.3)
ax.legend(loc="lower left")
figure.savefig("adabn.png", dpi=120)
plt.show()
print(f"saved adabn.png after {time.perf_counter() - start:.0f} s")
