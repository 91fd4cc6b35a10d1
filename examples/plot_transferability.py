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
# linear head is new). Task B has few labelled rows, so that there is something to gain. The names
# are those of the paper: in AnB the first n layers come from the network for A and stay as they are
# (frozen), in BnB they come from one for B; with a plus they learn on. The control has n random
# layers, and "base" is the network for B itself.

import sys
import time

import matplotlib

if "sphinx_gallery" not in sys.modules:
    matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits

from skda.fine_tuning import FineTuneClassifier, transferability_curve
from skda.inspection import TransferabilityDisplay

# Networks this small gain nothing from more threads, and lose much on a busy machine.
torch.set_num_threads(1)
start = time.perf_counter()

X, y = load_digits(return_X_y=True)
is_a = y < 5
estimator = FineTuneClassifier(
    module__hidden_layer_sizes=(64, 64, 64, 64, 64), max_epochs=40, batch_size=32, lr=0.005
)
curve = transferability_curve(
    estimator,
    X[is_a],
    y[is_a],
    X[~is_a],
    y[~is_a],
    test_size=0.9,
    n_repeats=3,
    by_epoch=True,
    random_state=0,
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
#
# By epoch one sees what a copy is good for here: with three layers of A that learn on (AnB+), the
# network for B learns faster in the first epochs than from new weights, and ends where it ends.

figure, (by_layer, by_epoch) = plt.subplots(2, 1, figsize=(8.2, 8.4), layout="constrained")
display = TransferabilityDisplay.from_curve(
    curve, score_name="Accuracy on task B (digits 5 to 9)", ax=by_layer
)
by_layer.set_title("After 40 epochs, by the number of copied layers")
display.plot_epochs(3, ax=by_epoch)
by_epoch.set_title("Three copied layers, by epoch")
figure.savefig("transferability.png", dpi=120)
plt.show()
print(f"\nsaved transferability.png after {time.perf_counter() - start:.0f} s")
