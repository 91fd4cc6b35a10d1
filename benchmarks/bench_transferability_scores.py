"""Scores of transferability beside the accuracy that they stand for.

The layers of two networks, a MobileNetV2 of ImageNet and a ResNet-20 of CIFAR-10, are ranked for
five tasks by every score of skda.metrics, and by the cross-validated accuracy of a logistic
regression on the features. Printed is Kendall's tau between the two rankings, 1 for the same one:

    SKDA_DATA=folder python benchmarks/bench_transferability_scores.py [--images 300]
"""

import argparse
import os
import time
import zipfile
from collections import OrderedDict
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from scipy.stats import kendalltau
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn
from torchvision.models.resnet import BasicBlock

from skda.feature_extraction import DeepFeatureExtractor
from skda.metrics import h_score, logme_score, n_leep_score, transrate_score

SCORES = {
    "LogME": logme_score,
    "H-score": h_score,
    "H-score, no shrinkage": lambda X, y: h_score(X, y, shrinkage=0),
    "TransRate": transrate_score,
    "N-LEEP": lambda X, y: n_leep_score(X, y, random_state=0),
}
DOMAINS = ("amazon", "caltech10", "dslr", "webcam")


class Shortcut(nn.Module):
    """Every second pixel, with channels of zeros before and after."""

    def __init__(self, n_channels):
        super().__init__()
        self.n_channels = n_channels

    def forward(self, x):
        return nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, *[self.n_channels // 2] * 2))


def resnet20(path):
    """Return the ResNet of CIFAR-10 up to its pooled features."""
    parts = [("conv1", nn.Conv2d(3, 16, 3, padding=1, bias=False)), ("bn1", nn.BatchNorm2d(16))]
    parts += [("relu", nn.ReLU())]
    for number, width in enumerate((16, 32, 64), start=1):
        first = BasicBlock(16, 16)
        if number > 1:
            first = BasicBlock(width // 2, width, 2, Shortcut(width // 2))
        stage = nn.Sequential(first, BasicBlock(width, width), BasicBlock(width, width))
        parts.append((f"layer{number}", stage))
    parts += [("pool", nn.AdaptiveAvgPool2d(1)), ("flatten", nn.Flatten())]
    network = nn.Sequential(OrderedDict(parts))
    network.load_state_dict(
        {name: x for name, x in load_file(path).items() if not name.startswith("linear")}
    )
    return network


def extractors(weights):
    """Return the two networks, with all layers that are compared."""
    mobilenet = DeepFeatureExtractor(
        "timm/mobilenetv2_100",
        layers=("conv_stem", *(f"blocks.{number}" for number in range(7)), "features"),
        weights=weights / "mobilenetv2_100_imagenet_timm.safetensors",
        module__pad_type="same",
        module__bn_eps=1e-3,
        preprocess={"size": 224, "crop_pct": 0.875, "mean": 0.5, "std": 0.5},
    )
    stages = [f"layer{stage}.{block}" for stage in (1, 2, 3) for block in range(3)]
    resnet = DeepFeatureExtractor(
        resnet20(weights / "resnet20_cifar10.safetensors"),
        layers=("conv1", *stages),
        preprocess={
            "size": 32,
            "crop_pct": 1.0,
            "crop_mode": "squash",
            "mean": (0.485, 0.456, 0.406),
            "std": (0.229, 0.224, 0.225),
        },
    )
    return {"MobileNetV2": mobilenet, "ResNet-20": resnet}


def load_tasks(home, n_images):
    """Return images and labels by task."""
    tasks, rng = {}, np.random.default_rng(0)
    with zipfile.ZipFile(home / "office_caltech10_images" / "office_caltech10_128px.zip") as file:
        names = [name for name in file.namelist() if name.endswith(".jpg")]
        for domain in DOMAINS:
            chosen = [name for name in names if name.split("/")[-3] == domain]
            chosen = [chosen[i] for i in rng.permutation(len(chosen))[:n_images]]
            images = [Image.open(BytesIO(file.read(name))) for name in chosen]
            tasks[domain] = images, np.array([name.split("/")[-2] for name in chosen])
    with np.load(home / "weights" / "cifar10_train_tiny_100.npz") as data:
        tasks["CIFAR-10"] = [Image.fromarray(image) for image in data["x"]], data["y"]
    return tasks


def probe(X, y):
    """Accuracy in % of a logistic regression on rows that it was not trained on."""
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    splits = StratifiedKFold(4, shuffle=True, random_state=0)
    return 100 * cross_val_score(classifier, X, y, cv=splits).mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=300, help="per domain at most")
    options = parser.parse_args()
    home = Path(os.environ["SKDA_DATA"])
    start = time.perf_counter()
    tasks, networks = load_tasks(home, options.images), extractors(home / "weights")
    taus, seconds = {}, dict.fromkeys(["probe", *SCORES], 0.0)
    for task, (images, y) in tasks.items():
        table = []
        for network, extractor in networks.items():
            features = extractor.fit_transform(images)
            ends = np.cumsum(list(extractor.layer_sizes_.values()))
            parts = np.split(features, ends[:-1], axis=1)
            for layer, X in zip(extractor.layer_sizes_, parts, strict=True):
                row = []
                for name, score in {"probe": probe, **SCORES}.items():
                    begin = time.perf_counter()
                    row.append(score(X, y))
                    seconds[name] += time.perf_counter() - begin
                table.append((network, layer, X.shape[1], row))
        print(f"\n{task}, {len(y)} images\n{'':26}{'width':>6}{'probe':>8}", end="")
        print("".join(f"{name:>23}" for name in SCORES))
        for network, layer, width, (accuracy, *scores) in table:
            cells = "".join(f"{score:23.3f}" for score in scores)
            print(f"{network:12}{layer:14}{width:6}{accuracy:8.1f}{cells}")
        for group in (*networks, "both"):
            rows = [row for network, *_, row in table if group in (network, "both")]
            accuracy, *columns = zip(*rows, strict=True)
            taus[task, group] = [kendalltau(accuracy, column).statistic for column in columns]
    print(f"\nKendall's tau{'':25}" + "".join(f"{name:>23}" for name in SCORES))
    for (task, group), row in taus.items():
        print(f"{task:14}{group:24}" + "".join(f"{tau:23.2f}" for tau in row))
    for group in (*networks, "both"):
        means = np.mean([row for (_, name), row in taus.items() if name == group], axis=0)
        print(f"{'mean':14}{group:24}" + "".join(f"{tau:23.2f}" for tau in means))
    print(f"{'seconds':14}{'(probe ' + format(seconds['probe'], '.1f') + ')':24}", end="")
    print("".join(f"{seconds[name]:23.1f}" for name in SCORES))
    print(f"\n{torch.get_num_threads()} threads, {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
