"""
Photographs, deep features, a linear SVM
========================================

A shop's pictures of ten kinds of things are labelled; a webcam sees the same kinds of things on a
desk. The photographs are those of Office-Caltech10, the features those of a MobileNetV2 that was
trained on ImageNet. How far do its features, and a linear classifier, get from the one to the
other, and how far do those of the same network with random weights, or pixels?

This example reads photographs and weights from the folder that the environment variable
``SKDA_DATA`` names: ``office_caltech10_images/office_caltech10_128px.zip``, with one
``domain/class/name.jpg`` per photograph, and in ``weights`` the network, the names of ImageNet's
classes and four pictures.
"""

# %%
# The photographs
# ---------------
# They stay encoded: the extractor takes the bytes of a JPEG file as well as its path.

import os
import sys
import tempfile
import time
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib

if "sphinx_gallery" not in sys.modules:
    matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from safetensors.torch import load_file
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC
from torch import nn

from skda.feature_extraction import DeepFeatureExtractor

if "SKDA_DATA" not in os.environ:
    raise RuntimeError("SKDA_DATA is not set; let it name the folder of photographs and weights.")
home = Path(os.environ["SKDA_DATA"])
start = time.perf_counter()


def load_photographs(domain, n_per_class):
    """Return encoded photographs of a domain and their classes, the same number of each."""
    with zipfile.ZipFile(home / "office_caltech10_images/office_caltech10_128px.zip") as file:
        names = [name for name in file.namelist() if f"{domain}/" in name and name.endswith(".jpg")]
        classes = np.array([name.split("/")[-2] for name in names])
        rng = np.random.default_rng(0)
        chosen = np.concatenate(
            [
                rng.choice(np.flatnonzero(classes == label), n_per_class, replace=False)
                for label in np.unique(classes)
            ]
        )
        photographs = np.array([file.read(names[number]) for number in chosen], dtype=object)
    return photographs, classes[chosen]


X, y = load_photographs("amazon", 30)
X_webcam, y_webcam = load_photographs("webcam", 10)

# %%
# The network
# -----------
# A linear classifier on its features is what the network itself ends in. With the one that
# ImageNet gave it, it names pictures of ImageNet's classes. (There is no sunflower among these.)

weights = home / "weights" / "mobilenetv2_100_imagenet_timm.safetensors"
extractor = DeepFeatureExtractor(
    "timm/mobilenetv2_100",
    weights=weights,
    module__pad_type="same",
    module__bn_eps=1e-3,
    preprocess={"size": 224, "crop_pct": 1, "mean": 0.5, "std": 0.5},
)
pictures = sorted((home / "weights" / "photos").glob("*.png"))
imagenet = (home / "weights" / "imagenet_labels_1000.txt").read_text().splitlines()
state = load_file(weights)
logits = extractor.fit_transform(pictures) @ state["classifier.weight"].float().numpy().T
logits += state["classifier.bias"].numpy()
for picture, row in zip(pictures, logits, strict=True):
    print(f"{picture.name:18} {imagenet[row.argmax()]}")

# %%
# Features, and pixels
# --------------------
# An ordinary pipeline, from files to classes. The cache remembers the features of every photograph,
# so that the network sees each of them once, however often the pipeline is trained. There are two
# controls: the same network with random weights, and the extractor without a network, 16 x 16
# pixels.

N_LABELS = (1, 2, 5, 10, 20)
DOMAINS = ("amazon", "webcam")
folder = tempfile.TemporaryDirectory()
common: dict[str, Any] = dict(normalize=True, cache=folder.name)
pixels = DeepFeatureExtractor(nn.Flatten(), preprocess={"size": 16, "crop_pct": 1}, **common)
untrained: Any = clone(extractor)
untrained.set_params(weights=None, random_state=0, **common)
descriptions = {
    "pretrained": extractor.set_params(**common),
    "random weights": untrained,
    "pixels": pixels,
}
accuracy, predicted = {}, {}
print(f"\n{'labels of amazon per class':28}" + "".join(f"{n:6}" for n in N_LABELS))
for name, description in descriptions.items():
    # Fitted once: the network stays as it is, whatever the SVM is trained on.
    svm = make_pipeline(FrozenEstimator(description.fit(X)), LinearSVC(random_state=0))
    scores = np.empty((len(DOMAINS), len(N_LABELS), 5))
    for column, n in enumerate(N_LABELS):
        splits = StratifiedShuffleSplit(5, train_size=10 * n, test_size=100, random_state=0)
        for repeat, (train, test) in enumerate(splits.split(X, y)):
            svm.fit(X[train], y[train])
            scores[:, column, repeat] = svm.score(X[test], y[test]), svm.score(X_webcam, y_webcam)
    for domain, values in zip(DOMAINS, 100 * scores, strict=True):
        accuracy[name, domain] = values
        cells = "".join(f"{score:6.1f}" for score in values.mean(axis=1))
        print(f"{name + ', ' + domain:28}{cells}")
    predicted[name] = {"amazon": svm.predict(X[test]), "webcam": svm.predict(X_webcam)}

# %%
# The figure
# ----------
# A single label per class and pretrained features beat twenty labels and pixels, in the shop
# itself. With random weights the same network is worse than pixels: all of the gain is what it has
# learned from other photographs. From the shop to the webcam pixels are of little use, and more
# labels do not help them. The features still name most photographs of the webcam, but not as many
# as of the shop, and more labels of the shop do not close that gap. Closing it is what adaptation
# is for.

shown: dict[str, Any] = {"amazon": (X[test], y[test]), "webcam": (X_webcam, y_webcam)}
figure: Any = plt.figure(figsize=(11.5, 5), layout="constrained")
photographs, curves = figure.subfigures(1, 2, width_ratios=(1.35, 1))
for part, domain in zip(photographs.subfigures(2, 1), DOMAINS, strict=True):
    part.suptitle(f"{domain}: classes found by the SVM with 20 labels per class", fontsize=9)
    for axis, label in zip(part.subplots(2, 5).flat, np.unique(y), strict=True):
        number = np.flatnonzero(shown[domain][1] == label)[0]
        found = predicted["pretrained"][domain][number]
        axis.imshow(Image.open(BytesIO(shown[domain][0][number])))
        axis.set_title(
            label if found == label else f"{found}, not {label}",
            fontsize=8,
            color="black" if found == label else "#D55E00",
        )
        axis.set_axis_off()
axis = curves.subplots()
colors = {"pretrained": "#0072B2", "random weights": "#D55E00", "pixels": "0.45"}
markers = {"pretrained": "o", "random weights": "D", "pixels": "s"}
for (name, domain), values in accuracy.items():
    axis.errorbar(
        N_LABELS,
        values.mean(axis=1),
        values.std(axis=1),
        color=colors[name],
        linestyle="-" if domain == "webcam" else ":",
        marker=markers[name],
        markerfacecolor=colors[name] if domain == "webcam" else "white",
        label=f"{name}, tested on {domain}",
    )
axis.axhline(10, color="black", linewidth=0.8, label="chance")
axis.set(xscale="log", xticks=N_LABELS, xticklabels=N_LABELS, ylim=(0, 100))
axis.minorticks_off()
axis.set(xlabel="labelled photographs of amazon per class", ylabel="accuracy (%)")
curves.legend(loc="outside lower center", ncols=2, fontsize=8)
figure.savefig("photographs.png", dpi=120)
folder.cleanup()
print(f"\nsaved photographs.png after {time.perf_counter() - start:.0f} s")
