"""
Which layers transfer
=====================

Yosinski, Clune, Bengio and Lipson (2014) asked how general the layers of a network are: they took
the first n layers of a network for task A, put new layers on top, and trained those on task B. This
example repeats their experiment with a network of five hidden layers and scikit-learn's digits:
task A tells 0 to 4 apart, task B 5 to 9.
"""

# %%
# The experiment
# --------------
# Every treatment is trained for each n, from 1 (only the first layer is copied) to 5 (only the
# linear head is new). Task B has few labelled rows, so that there is something to gain.

import sys
import time

import matplotlib

if "sphinx_gallery" not in sys.modules:
    matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits

from skda.fine_tuning import FineTuneClassifier, TransferabilityDisplay, transferability_curve

# Networks this small gain nothing from more threads, and lose much on a busy machine.
torch.set_num_threads(1)
start = time.perf_counter()

X, y = load_digits(return_X_y=True)
is_a = y < 5
estimator = FineTuneClassifier(
    module__hidden_layer_sizes=(64, 64, 64, 64, 64), max_epochs=40, batch_size=32, lr=0.005
)
curve = transferability_curve(
    estimator, X[is_a], y[is_a], X[~is_a], y[~is_a], test_size=0.9, n_repeats=3, random_state=0
)

# %%
# The result is a table with a row per training; ``pandas.DataFrame(curve)`` shows it.

treatments = ["BnB", "BnB+", "AnB", "AnB+", "random"]
print("accuracy on task B in %\n\n n" + "".join(f"{name:>9}" for name in treatments))
for number in range(1, 6):
    means = [
        100 * np.mean(curve.score[(curve.treatment == name) & (curve.n_layers == number)])
        for name in treatments
    ]
    print(f"{number:2}" + "".join(f"{mean:9.1f}" for mean in means))
print(f"base {100 * np.mean(curve.score[curve.treatment == 'base']):.1f}")

# %%
# The figure
# ----------
# Frozen layers for task A (AnB) serve task B the less, the higher they are: these are specific to
# the digits that they were trained on, and in this small network even random layers can serve
# better. That it is not the freezing itself shows BnB, where the same cut costs nothing. If the
# copied layers learn as well (AnB+), nearly all of the loss is gone.

display = TransferabilityDisplay.from_curve(curve, score_name="Accuracy on task B")
display.ax_.set_title("0 to 4 (A), then 5 to 9 (B)")
display.figure_.tight_layout()
display.figure_.savefig("transferability.png", dpi=120)
plt.show()
print(f"\nsaved transferability.png after {time.perf_counter() - start:.0f} s")
