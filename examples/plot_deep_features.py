"""
Images, deep features, a linear SVM
===================================

A network that was trained on some classes helps with others: its inner layers describe images, and
a linear classifier on that description needs few labels. This is the recipe of DeCAF and of "CNN
features off-the-shelf", here with digits and no download: a small network learns the digits 0 to
4, and its layers describe 5 to 9. With photographs the first step is a pretrained network:
``DeepFeatureExtractor("timm/mobilenetv2_100").fit(paths)``; how far that is from a network with
random weights is shown by ``plot_photographs.py``.
"""

# %%
# A network for other classes
# ---------------------------
# It learns the digits 0 to 4 from one channel of 8 x 8 pixels.

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
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import StratifiedShuffleSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from skda.base import DeepAdaptationClassifier
from skda.exceptions import NoTargetWarning
from skda.feature_extraction import DeepFeatureExtractor
from skda.nn import ConvNet

torch.set_num_threads(1)
start = time.perf_counter()

X, y = load_digits(return_X_y=True)
X = X / 16
known = y < 5
X_new, y_new = X[~known], y[~known]

with warnings.catch_warnings():
    warnings.simplefilter("ignore", NoTargetWarning)  # one domain is all there is here
    network = DeepAdaptationClassifier(module=ConvNet, max_epochs=20, random_state=0)
    network.fit(X[known].reshape(-1, 1, 8, 8), y[known])
network = FrozenEstimator(network)  # stays fitted in a cross-validation

# %%
# Features and an SVM
# -------------------
# ``image_shape`` says what the flat rows are, several layers are put side by side, and rows get
# unit norm. The control is a network with random weights.

CONVOLUTIONS: dict[str, Any] = dict(
    layers=("conv1", "conv2"), pooling="flatten", image_shape=(8, 8), normalize=True, random_state=0
)
descriptions = {
    "pixels": StandardScaler(),
    "convolutions, random weights": DeepFeatureExtractor(ConvNet, **CONVOLUTIONS),
    "last layer, trained on 0-4": DeepFeatureExtractor(network, image_shape=(8, 8), normalize=True),
    "convolutions, trained on 0-4": DeepFeatureExtractor(network, **CONVOLUTIONS),
}
n_labels = [1, 2, 5, 10, 20]
accuracy = {}
print(f"{'labels per class':30}", *(f"{n:6}" for n in n_labels))
for name, description in descriptions.items():
    svm = make_pipeline(description, LinearSVC(C=10).set_params(dual=True))
    accuracy[name] = []
    for n in n_labels:
        splits = StratifiedShuffleSplit(6, train_size=5 * n, test_size=300, random_state=0)
        scores = cross_val_score(svm, X_new, y_new, cv=splits)
        accuracy[name].append(100 * scores.mean())
    print(f"{name:30}", *(f"{score:6.1f}" for score in accuracy[name]))

# %%
# The early layers carry over to the new classes, the last one has become specific to those that
# it was trained on. On images as small as these, convolutions of random weights are nearly as good
# as trained ones: always measure that control.
#
# What the layers see
# -------------------
# Maps of the first convolution, for one digit of each new class.

maps = DeepFeatureExtractor(network, layers="conv1", pooling="flatten", image_shape=(8, 8))
examples = [np.flatnonzero(y_new == digit)[0] for digit in range(5, 10)]
channels = maps.fit(X_new).transform(X_new[examples]).reshape(5, 32, 4, 4)
strongest = np.argsort(channels.mean(axis=(0, 2, 3)))[::-1][:5]

figure: Any = plt.figure(figsize=(11, 4.6), layout="constrained")
pictures, curves = figure.subfigures(1, 2, width_ratios=(1, 1.25))
for row, axes in enumerate(pictures.subplots(5, 6)):
    shown = [X_new[examples[row]].reshape(8, 8), *channels[row, strongest]]
    for axis, image in zip(axes, shown, strict=True):
        axis.imshow(image, cmap="gray" if axis is axes[0] else "viridis")
        axis.set_axis_off()
pictures.suptitle("new digits, and maps of conv1")
axis = curves.subplots()
styles = ("0.4", "s", ":"), ("#E69F00", "D", "--"), ("#56B4E9", "^", "-."), ("#0072B2", "o", "-")
for (name, scores), (color, marker, line) in zip(accuracy.items(), styles, strict=True):
    axis.plot(n_labels, scores, marker=marker, linestyle=line, color=color, label=name)
axis.set(xscale="log", xticks=n_labels, xticklabels=n_labels)
axis.minorticks_off()
axis.grid(color="0.92")
axis.set(xlabel="labels per new class", ylabel="accuracy on digits 5-9 (%)")
curves.legend(loc="outside lower center", ncols=2, frameon=False)
figure.savefig("deep_features.png", dpi=120)
print(f"\nsaved deep_features.png after {time.perf_counter() - start:.0f} s")
