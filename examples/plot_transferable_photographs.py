"""
Which layers transfer, on photographs
=====================================

A ResNet-20 has learned the ten classes of CIFAR-10, animals and vehicles, from 50,000 small
pictures. How many of its layers serve a task with 100 labelled photographs? This example repeats
the experiment of Yosinski, Clune, Bengio and Lipson (2014) for two tasks: the network's own, and
another, the things of an office in the photographs of Caltech-256.

It reads photographs and weights from the folder that the environment variable ``SKDA_DATA`` names:
``office_caltech10_images/office_caltech10_128px.zip``, with one ``domain/class/name.jpg`` per
photograph, ``weights/resnet20_cifar10.safetensors`` and ``weights/cifar10_train_tiny_100.npz``.
"""

# %%
# The network
# -----------
# The ResNet of CIFAR has a convolution and three stages of three residual blocks each. These are
# the ten blocks that are copied or not.

import os
import sys
import time
import zipfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib

if "sphinx_gallery" not in sys.modules:
    matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from skda.fine_tuning import FineTuneClassifier, transferability_curve
from skda.inspection import TransferabilityDisplay

if "SKDA_DATA" not in os.environ:
    raise RuntimeError("SKDA_DATA is not set; let it name the folder of photographs and weights.")
home = Path(os.environ["SKDA_DATA"])
# Networks this small gain little from more threads, and lose much on a busy machine.
torch.set_num_threads(1)
start = time.perf_counter()


class Residual(nn.Module):
    """Two convolutions; where the shape changes the shortcut has no parameters."""

    def __init__(self, in_channels, channels):
        super().__init__()
        self.widened = channels - in_channels
        stride = 2 if self.widened else 1
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        if self.widened:
            pad = self.widened // 2
            x = nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, pad, pad))
        return torch.relu(x + y)


class ResNet20(nn.Module):
    """From pictures of 32 x 32 pixels to 64 features."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        for number, (before, width) in enumerate(pairwise((16, 16, 32, 64)), start=1):
            stage = [Residual(before, width), Residual(width, width), Residual(width, width)]
            self.add_module(f"layer{number}", nn.Sequential(*stage))

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        for number in (1, 2, 3):
            x = self.get_submodule(f"layer{number}")(x)
        return x.mean(dim=(2, 3))


weights = load_file(home / "weights" / "resnet20_cifar10.safetensors")
weights = {name: value for name, value in weights.items() if not name.startswith("linear")}

# %%
# The tasks
# ---------
# 100 pictures of CIFAR-10, which the network has seen in its training, and photographs that are
# made as small.


def as_input(images):
    """Return uint8 images as the network was trained to see them."""
    scaled = np.float32(images) / 255 - np.asarray([0.485, 0.456, 0.406], np.float32)
    return np.moveaxis(scaled / np.asarray([0.229, 0.224, 0.225], np.float32), 3, 1)


with np.load(home / "weights" / "cifar10_train_tiny_100.npz") as data:
    cifar, y_cifar = data["x"], data["y"]
with zipfile.ZipFile(home / "office_caltech10_images/office_caltech10_128px.zip") as file:
    names = [name for name in file.namelist() if "caltech10/" in name and name.endswith(".jpg")]
    names = [names[i] for i in np.random.default_rng(0).permutation(len(names))[:300]]
    photographs = [Image.open(file.open(name)).resize((32, 32)) for name in names]
photographs = np.array([np.asarray(image) for image in photographs])
y_photographs = np.array([name.split("/")[-2] for name in names])

# %%
# The experiment
# --------------
# With no rows for task A, the network that comes with the weights is the one for A. Numbers of
# copied blocks are the ends of its stages: 1, 4, 7 and 10.

estimator = FineTuneClassifier(
    module=ResNet20, weights=weights, max_epochs=10, batch_size=16, lr=0.01, device="cpu"
)
tasks = {
    "its own classes (CIFAR-10)": (cifar, y_cifar, 30, ["AnB"]),
    "other classes (Caltech-256)": (photographs, y_photographs, 200, ["AnB", "AnB+", "random"]),
}
curves = {}
for task, (images, labels, test_size, treatments) in tasks.items():
    curves[task] = curve = transferability_curve(
        estimator,
        None,
        None,
        as_input(images),
        labels,
        n_layers=[1, 4, 7, 10],
        treatments=treatments,
        test_size=test_size,
        n_repeats=2,
        random_state=0,
        n_jobs=2,
    )
    base = 100 * np.mean(curve.score[curve.treatment == "base"])
    print(f"{task}: accuracy in %, base {base:.1f}\n n" + "".join(f"{t:>9}" for t in treatments))
    for number in (1, 4, 7, 10):
        rows = [(curve.treatment == name) & (curve.n_layers == number) for name in treatments]
        print(f"{number:2}" + "".join(f"{100 * np.mean(curve.score[row]):9.1f}" for row in rows))

# %%
# The figure
# ----------
# For the network's own classes frozen blocks (AnB) serve the better the more there are; it helps
# that it has seen these very pictures. For the photographs two of three stages double the accuracy
# of training from scratch (base), and the third costs some of it, as features that are specific to
# animals and vehicles would; some of that may also be the short training, in which the head alone
# learns. If the copied blocks learn as well (AnB+), all ten are the best choice.
# Frozen blocks with random weights (random) are no better than training from scratch: it is what
# the blocks have learned that helps. With two repeats, a few points mean nothing.

figure: Any = plt.figure(figsize=(11, 6), layout="constrained")
strips, graphs = figure.subfigures(2, 1, height_ratios=(1, 3.4))
pictures = [images[:8] for images, *_ in tasks.values()]
for part, shown in zip(strips.subfigures(1, 2), pictures, strict=True):
    for axis, image in zip(part.subplots(1, 8), shown, strict=True):
        axis.imshow(image)
        axis.set_axis_off()
for axis, (task, curve) in zip(graphs.subplots(1, 2, sharey=True), curves.items(), strict=True):
    TransferabilityDisplay.from_curve(curve, ax=axis)
    axis.set_title(task)
    axis.get_legend().remove()  # one for both stands below
graphs.legend(*axis.get_legend_handles_labels(), loc="outside lower center", ncols=3)
figure.savefig("transferable_photographs.png", dpi=120)
print(f"\nsaved transferable_photographs.png after {time.perf_counter() - start:.0f} s")
