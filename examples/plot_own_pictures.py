"""
Pictures of your own, a folder per class
========================================

A shop has pictures of its things in front of a white wall, sorted into folders. Customers send
pictures that they took at home, and nobody sorts those. This tutorial begins at the folders and
goes through what a network that was trained before is good for: its features and a linear SVM,
fine-tuning, adaptation to the customers' pictures, and a map of where a class was seen. It draws
its pictures itself, so that it runs anywhere; with photographs the same lines hold, with
``"timm/mobilenetv2_100"`` for the network.
"""

# %%
# Folders
# -------
# ``pictures/shop/cup/00.png``: a folder for each domain, in it one for each class. A third domain,
# ``other``, has five other things and stands for ImageNet: what a pretrained network has seen.

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import matplotlib

if "sphinx_gallery" not in sys.modules:
    matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch
from PIL import Image, ImageDraw
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from skda.adaptation import DANNClassifier
from skda.datasets import load_image_domains
from skda.feature_extraction import DeepFeatureExtractor
from skda.fine_tuning import FineTuneClassifier

# Networks this small gain nothing from more threads, and lose much on a busy machine.
torch.set_num_threads(1)
start = time.perf_counter()
SIZE = 32
# Polygons and ellipses of things, in a square of 100; a fourth number of True makes an ellipse.
SHAPES = {
    "shop": {
        "cup": ["15 30 65 90", "65 40 90 70 o"],
        "house": ["20 50 80 90", "15 50 50 10 85 50"],
        "tree": ["42 55 58 95", "20 8 80 62 o"],
        "bottle": ["42 5 58 30", "30 30 70 95"],
        "table": ["8 30 92 42", "14 42 24 92", "76 42 86 92"],
    },
    "other": {
        "cross": ["40 10 60 90", "10 40 90 60"],
        "lamp": ["25 15 75 15 90 50 10 50", "45 50 55 92"],
        "ball": ["15 15 85 85 o"],
        "boat": ["10 65 90 65 75 90 25 90", "48 8 54 65", "56 12 86 58 56 58"],
        "stairs": ["10 70 90 90", "35 45 90 70", "60 20 90 45"],
    },
}


def drawn(parts, at_home, rng):
    """Return a picture of a thing, in the shop or at home."""
    back = rng.integers(150, 230, 3) if at_home else np.full(3, 250)
    dark = rng.integers(0, 110, 3)
    picture = Image.new("RGB", (100, 100), tuple(back.tolist()))
    pen = ImageDraw.Draw(picture)
    for part in parts:
        *numbers, last = part.split()
        points = [int(number) + int(rng.integers(-3, 4)) for number in numbers]
        if last == "o":
            pen.ellipse(points, fill=tuple(dark.tolist()))
            continue
        points.append(int(last))
        draw = pen.rectangle if len(points) == 4 else pen.polygon
        draw(points, fill=tuple(dark.tolist()))
    angle, size = (rng.normal(0, 8), rng.integers(65, 90)) if at_home else (rng.normal(0, 4), 95)
    picture = picture.rotate(angle, fillcolor=tuple(back.tolist())).resize((int(size), int(size)))
    canvas = Image.new("RGB", (100, 100), tuple(back.tolist()))
    canvas.paste(picture, tuple(rng.integers(0, 101 - size, 2).tolist()))
    pixels = np.asarray(canvas.resize((SIZE, SIZE)), dtype=float)
    noise = rng.normal(scale=20 if at_home else 4, size=pixels.shape)
    return Image.fromarray((pixels + noise).clip(0, 255).astype(np.uint8))


folder = tempfile.TemporaryDirectory()
home = Path(folder.name)
rng = np.random.default_rng(0)
for domain, shapes, count in (("shop", "shop", 40), ("home", "shop", 40), ("other", "other", 80)):
    for name, parts in SHAPES[shapes].items():
        (home / domain / name).mkdir(parents=True)
        for number in range(count):
            at_home = domain == "home" or (domain == "other" and number % 2 == 1)
            drawn(parts, at_home, rng).save(home / domain / name / f"{number:02}.png")

pictures = load_image_domains(home, "shop", "home")
print(pictures.DESCR.split("\n")[0], Path(pictures.X[0]).relative_to(home))

# %%
# A network that knows other pictures
# -----------------------------------
# Rows are paths; files are decoded when they are needed. With photographs this step falls away, and
# ``pretrained`` below is ``"timm/mobilenetv2_100"``, or any network of timm or torchvision by name.

other = load_image_domains(home, "other", "other")
pretrained = FineTuneClassifier(max_epochs=30, random_state=0).fit(other.X, other.y)

# %%
# Deep features and a linear SVM
# ------------------------------
# The first thing to try: seconds, no parameter, and what everything else must beat.
# ``normalize=True`` gives features unit norm, without which a picture of high contrast counts more.

models: dict[str, Any] = {
    "features and SVM": make_pipeline(
        DeepFeatureExtractor(pretrained, normalize=True), LinearSVC(random_state=0)
    ).fit(pictures.X, pictures.y)
}

# %%
# Fine-tuning, and adaptation
# ---------------------------
# Fine-tuning goes on training the network on the shop's pictures. Adaptation does so too, and makes
# features of the customers' pictures, which have no labels, like those of the shop. ``augment``
# mirrors half of the pictures in every step.


def mirrored(images):
    return torch.where(torch.rand(len(images), 1, 1, 1) < 0.5, images.flip(3), images)


common: dict[str, Any] = dict(module=pretrained, augment=mirrored, max_epochs=20, random_state=0)
models["fine-tuned"] = FineTuneClassifier(**common).fit(pictures.X, pictures.y)
models["adapted (DANN)"] = DANNClassifier(**common).fit(
    pictures.X, pictures.y, X_target=pictures.X_target
)
print(f"\n{'':20}{'shop':>8}{'home':>8}   accuracy in %, of the shop on pictures learnt from")
for name, model in models.items():
    scores = [
        100
        * model.score(pictures.X, pictures.y, **({"domain": "source"} if "DANN" in name else {})),
        100 * model.score(pictures.X_target, pictures.y_target),
    ]
    print(f"{name:20}" + "".join(f"{score:8.1f}" for score in scores))

# %%
# Where is the class?
# -------------------
# Cover a part of a picture, and see how much less probable its class becomes (Zeiler and Fergus,
# ECCV 2014). That asks for nothing but ``predict_proba``, and so works for every model here. A
# network that looks at the background is found out in this way. Rows of a prediction need not
# come as those of ``fit`` did: these are arrays of pixels.

PATCH, STEP = 10, 4
corners = range(0, SIZE - PATCH + 1, STEP)
network = models["adapted (DANN)"]
shown = [np.flatnonzero(pictures.y_target == name)[2] for name in pictures.target_names]

figure, axes = plt.subplots(3, 5, figsize=(9, 5.6), layout="constrained")
for column, number in enumerate(shown):
    pixels = np.asarray(Image.open(pictures.X_target[number]))
    covered = np.repeat(pixels[np.newaxis], len(corners) ** 2, axis=0)
    for part, (top, left) in zip(covered, np.ndindex(len(corners), len(corners)), strict=True):
        top, left = corners[top], corners[left]
        part[top : top + PATCH, left : left + PATCH] = np.median(pixels, axis=(0, 1))
    whole = network.predict_proba(pixels[np.newaxis])[0]
    best = whole.argmax()
    loss = whole[best] - network.predict_proba(covered)[:, best]
    axes[0, column].imshow(Image.open(pictures.X[pictures.y == pictures.y_target[number]][0]))
    axes[0, column].set_title(pictures.y_target[number])
    axes[1, column].imshow(pixels)
    axes[2, column].imshow(pixels)
    axes[2, column].imshow(
        loss.reshape(len(corners), -1),
        cmap="magma",
        alpha=0.7,
        vmin=0,
        extent=(PATCH / 2, SIZE - PATCH / 2, SIZE - PATCH / 2, PATCH / 2),
        interpolation="bilinear",
    )
    axes[2, column].set(xlim=(0, SIZE), ylim=(SIZE, 0))
    axes[2, column].set_title(f"{network.classes_[best]}, {100 * whole[best]:.0f} %", fontsize=9)
for axis in axes.flat:
    axis.set(xticks=[], yticks=[])
for axis, text in zip(axes[:, 0], ("shop", "home", "covered"), strict=True):
    axis.set_ylabel(text)
figure.savefig("own_pictures.png", dpi=120)
plt.show()
folder.cleanup()
print(f"saved own_pictures.png after {time.perf_counter() - start:.0f} s")
