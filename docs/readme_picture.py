"""Draw the picture of the README, docs/_static/adaptation.png: digits and accuracies.

``python docs/readme_picture.py`` trains six small networks, which takes about 20 seconds.
"""

import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import torch

from skda.adaptation import DANNClassifier
from skda.datasets import load_shifted_digits
from skda.exceptions import NoTargetWarning

SOURCE, TARGET, GREY = "#1f6fb2", "#b35900", "#57606a"
N_ROWS, N_COLUMNS = 2, 6


def measure(seed):
    """Return target accuracies in %: of the source alone, and adapted."""
    digits = load_shifted_digits(random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoTargetWarning)
        alone = DANNClassifier(module__batch_norm=False, random_state=seed).fit(digits.X, digits.y)
    adapted = DANNClassifier(random_state=seed)
    adapted.fit(digits.X, digits.y, X_target=digits.X_target)
    return [100 * clf.score(digits.X_target, digits.y_target) for clf in (alone, adapted)]


def draw_images(figure, place, images, color, title, labels):
    """Draw some images in a place of the figure, with their labels where there are some."""
    grid = figure.add_gridspec(N_ROWS, N_COLUMNS, wspace=0.08, hspace=0.25, **place)
    for number, image in enumerate(images[: N_ROWS * N_COLUMNS]):
        ax = figure.add_subplot(grid[divmod(number, N_COLUMNS)])
        ax.imshow(image.reshape(8, 8), cmap="gray_r")
        ax.set(xticks=[], yticks=[])
        ax.set_xlabel(labels[number], color=color, fontsize=9, labelpad=1.5)
        ax.spines[:].set(color=color, linewidth=1.5)
    middle = (place["left"] + place["right"]) / 2
    figure.text(middle, 0.9, title, ha="center", color=color, fontsize=12, weight="bold")


def main():
    """Measure and draw."""
    torch.set_num_threads(1)
    scores = np.array([measure(seed) for seed in range(3)])
    digits = load_shifted_digits(random_state=0)
    figure = plt.figure(figsize=(10, 2.2), facecolor="white")
    place = {"top": 0.85, "bottom": 0.09}
    labels = [f"{label}" for label in digits.y]
    draw_images(
        figure, {"left": 0.01, "right": 0.31, **place}, digits.X, SOURCE, "source: labels", labels
    )
    unknown = ["?"] * len(digits.X_target)
    draw_images(
        figure,
        {"left": 0.35, "right": 0.65, **place},
        digits.X_target,
        TARGET,
        "target: no labels",
        unknown,
    )
    ax = figure.add_axes((0.76, 0.15, 0.215, 0.66))
    means, spreads = scores.mean(axis=0), scores.std(axis=0)
    names = ["source only", "adapted\n(DANN)"]
    ax.barh(names, means, xerr=spreads, color=[GREY, SOURCE], ecolor="black", height=0.6)
    for row, mean in enumerate(means):
        ax.text(2, row, f"{mean:.0f} %", va="center", color="white", weight="bold")
    ax.invert_yaxis()
    ax.set(xlim=(0, 100), xticks=[0, 50, 100])
    ax.spines[["top", "right"]].set_visible(False)
    figure.text(0.84, 0.9, "accuracy on the target", ha="center", fontsize=12, weight="bold")
    file = Path(__file__).parent / "_static" / "adaptation.png"
    figure.savefig(file, dpi=150)
    print(f"{np.round(means, 1)} +- {np.round(spreads, 1)}, {file.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
