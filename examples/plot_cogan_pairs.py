"""
Digits of two generators that share their noise
===============================================

CoGAN has a generator of rows for each of two domains, and both share all layers but the last; its
discriminators share all but the first normalisation, and bear the classifier. Here are the digits
that they make of the same noise, once as the source and once as the target would show them.
"""

# %%
# Two domains
# -----------
# Scikit-learn's digits are the source; the target's are others, turned and slightly noisy.

import sys
import time

import matplotlib

if "sphinx_gallery" not in sys.modules:
    matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.svm import SVC

from skda.adaptation import CoGANClassifier
from skda.datasets import load_shifted_digits

# Networks this small gain nothing from more threads, and lose much on a busy machine.
torch.set_num_threads(1)
start = time.perf_counter()
digits = load_shifted_digits(noise=0.05, as_images=True, random_state=0)
X, y, X_target, y_target = digits.X, digits.y, digits.X_target, digits.y_target

# %%
# The game
# --------
# The classifier learns the labels of the source on top of the discriminators, and predicts the
# target. With a `trade_off` of 0 there is no game.

adabn = CoGANClassifier(trade_off=0, random_state=0).fit(X, y, X_target=X_target)
clf = CoGANClassifier(max_epochs=60, random_state=0).fit(X, y, X_target=X_target)
for name, estimator in (("AdaBN", adabn), ("CoGAN", clf)):
    print(f"{name:12} target accuracy {100 * estimator.score(X_target, y_target):.1f} %")

# %%
# What the generators make
# ------------------------
# ``sample`` gives rows of both domains from the same noise, in the units of the data. No real pair
# was ever seen: shared layers tie the two together, and the generator learns that the classifier
# finds the same digit in both. So the classifier is no judge of it; here is one that knows the
# labels of both domains. What it finds is to be compared with what chance would give. Below the
# generated rows are real ones of both domains, which are no pairs at all.

judge = SVC(C=10).fit(np.concatenate([X, X_target]).reshape(-1, 64), np.concatenate([y, y_target]))
source, target = clf.sample(500, random_state=0)
digits_of_source, digits_of_target = (
    judge.predict(images.reshape(-1, 64)) for images in (source, target)
)
agreement = np.mean(digits_of_source == digits_of_target)
chance = np.mean(digits_of_source[:, None] == digits_of_target)
print(f"same digit in {100 * agreement:.0f} % of the pairs, by chance in {100 * chance:.0f} %")

titles = "generated\nupright", "generated\nturned", "real\nupright", "real\nturned"
figure, axes = plt.subplots(4, 12, figsize=(11, 4), layout="constrained")
for row, (title, images) in enumerate(zip(titles, (source, target, X, X_target), strict=True)):
    for axis, image in zip(axes[row], images, strict=False):
        axis.imshow(image[0], cmap="gray", vmin=0, vmax=1)
        axis.set(xticks=[], yticks=[])
    axes[row, 0].set_ylabel(title, rotation=0, ha="right", va="center")
figure.savefig("cogan_pairs.png", dpi=120)
plt.show()
print(f"saved cogan_pairs.png after {time.perf_counter() - start:.0f} s")
