"""
A few labels of a new scanner
=============================

A network has learned handwritten digits from one scanner. A new scanner turns its images a little
and adds noise, and only a few of its digits are labelled. How much of the old network should go on
learning? This example fine-tunes all of it, some of it, or its head alone, with scikit-learn's
digits and no download.
"""

# %%
# The old network
# ---------------
# Three hidden layers, trained on 898 digits. The new scanner's digits are others.

import sys
import time

import matplotlib

if "sphinx_gallery" not in sys.modules:
    matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch

from skda.datasets import load_shifted_digits
from skda.fine_tuning import FineTuneClassifier
from skda.training import list_blocks

# Networks this small gain nothing from more threads, and lose much on a busy machine.
torch.set_num_threads(1)
start = time.perf_counter()
SEEDS = range(3)
N_LABELS = (20, 50, 100, 200)

domains = [load_shifted_digits(angle=15, random_state=seed) for seed in SEEDS]
old_networks = [
    FineTuneClassifier(module__hidden_layer_sizes=(128, 64, 64), random_state=seed).fit(
        digits.X, digits.y
    )
    for seed, digits in zip(SEEDS, domains, strict=True)
]
blocks = list_blocks(old_networks[0].net_.module_.backbone)
print("blocks of the network:", ", ".join(block.name for block in blocks))

# %%
# Five ways to go on
# ------------------
# ``module=`` takes the fitted network. Blocks that are frozen keep weights and statistics bit for
# bit; ``n_transfer=0`` gives all blocks new random weights, which is training from scratch.

ways = {
    "from scratch": {"n_transfer": 0},
    "head alone": {"freeze": "all"},
    "2 of 3 blocks frozen": {"n_frozen": 2},
    "gradual unfreezing": {"freeze": "all", "unfreeze_every": 10},
    "all blocks learn": {},
}


def accuracy(digits, old, n_labels, seed, **params):
    """Accuracy in % on the new scanner's digits without a label."""
    clf = FineTuneClassifier(module=old, batch_size=16, random_state=seed, **params)
    clf.fit(digits.X_target[:n_labels], digits.y_target[:n_labels])
    return 100 * clf.score(digits.X_target[200:], digits.y_target[200:])


scores = {}
print(f"\n{'labelled digits':22}" + "".join(f"{n:>14}" for n in N_LABELS))
for name, params in ways.items():
    scores[name] = np.array(
        [
            [
                accuracy(digits, old, n, seed, **params)
                for seed, digits, old in zip(SEEDS, domains, old_networks, strict=True)
            ]
            for n in N_LABELS
        ]
    )
    cells = (f"{row.mean():7.1f} +- {row.std():3.1f}" for row in scores[name])
    print(f"{name:22}" + "".join(f"{cell:>14}" for cell in cells))
unchanged = np.mean(
    [
        100 * old.score(digits.X_target[200:], digits.y_target[200:])
        for digits, old in zip(domains, old_networks, strict=True)
    ]
)
print(f"the old network as it is: {unchanged:.1f}")

# %%
# The figure
# ----------
# With few labels all that is copied beats a start from nothing. Freezing costs accuracy as soon as
# there are labels enough to learn from, for it is the lowest layers that see turned images.

figure, axes = plt.subplots(figsize=(6.5, 4.2))
for name, values in scores.items():
    axes.errorbar(N_LABELS, values.mean(axis=1), values.std(axis=1), marker="o", label=name)
axes.axhline(float(unchanged), color="gray", linestyle=":", label="old network as it is")
axes.set(xlabel="labelled digits of the new scanner", ylabel="accuracy in %", xticks=N_LABELS)
axes.legend()
figure.tight_layout()
figure.savefig("fine_tuning.png", dpi=120)
print(f"\nsaved fine_tuning.png after {time.perf_counter() - start:.0f} s")
