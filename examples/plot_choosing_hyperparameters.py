"""
Choosing hyperparameters without target labels
==============================================

An adaptation has a trade-off, a learning rate and more to choose, and no label of the target to
choose by. A grid search does it all the same, with scorers that look at the target rows only. The
labels that are shown here for comparison are those that an application does not have.
"""

# %%
# The search
# ----------
# Metadata routing brings the target rows to ``fit`` and to the scorers. Give them in a tuple, which
# no fold cuts. Two validators that err in different ways run side by side, and the search takes the
# setting of the best mean rank: class correlation wants certain predictions of all classes, MixVal
# wants boundaries that keep clear of the target's clusters.
#
# Two more scorers are there to compare with. Accuracy on held-out rows of the source is what a
# search goes by where it is told nothing else. The oracle uses target labels, says so in a warning,
# and shows what all others have missed.
#
# A single split will do: folds of the source would train every setting several times over, and
# the target is the same in all of them.

import sys
import time
import warnings
from typing import Any

import matplotlib

if "sphinx_gallery" not in sys.modules:
    matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import sklearn
import torch
from matplotlib.patches import Rectangle
from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit

from skda.adaptation import DANClassifier
from skda.datasets import load_shifted_digits
from skda.exceptions import TargetLabelWarning
from skda.model_selection import ClassCorrelationScorer, MixValScorer, TargetAccuracyScorer

# Networks this small gain nothing from more threads, and lose much on a busy machine.
torch.set_num_threads(1)
start = time.perf_counter()


def mean_rank(results):
    """Return the number of the setting that both validators like best together."""
    ranks = [results[f"rank_test_{name}"] for name in ("class correlation", "MixVal")]
    return int(np.argmin(np.mean(ranks, axis=0)))


digits = load_shifted_digits(random_state=0)
grid = {"trade_off": [0.1, 1, 10, 100], "lr": [1e-4, 1e-3, 3e-3, 1e-2]}
search = GridSearchCV(
    DANClassifier(random_state=0),
    grid,
    scoring={
        "source accuracy": "accuracy",
        "class correlation": ClassCorrelationScorer(),
        "MixVal": MixValScorer(),
        "oracle": TargetAccuracyScorer(digits.y_target),
    },
    cv=StratifiedShuffleSplit(n_splits=1, test_size=0.2, random_state=0),
)
search.set_params(refit=mean_rank)
with sklearn.config_context(enable_metadata_routing=True), warnings.catch_warnings():
    warnings.simplefilter("ignore", TargetLabelWarning)
    search.fit(digits.X, digits.y, X_target=(digits.X_target,))
print(f"chosen: {search.best_params_} after {time.perf_counter() - start:.0f} s")

# %%
# What they choose
# ----------------
# Source accuracy says where an adaptation has gone wrong, but not how much of it is best. MixVal
# alone falls for a network that has collapsed to a few classes, which are compact. Class
# correlation asks for all classes, and the mean rank of the two finds more for the target than
# either.

params = search.cv_results_["params"]
names = ["source accuracy", "class correlation", "MixVal", "oracle"]
scores = {name: search.cv_results_[f"mean_test_{name}"] for name in names}
chosen = {name: int(np.argmax(values)) for name, values in scores.items()}
chosen["mean rank of both"] = int(search.best_index_)
accuracies = 100 * scores["oracle"]
bars = {
    "mean of all settings": accuracies.mean(),
    "defaults": accuracies[params.index({"lr": 1e-3, "trade_off": 1})],
    **{name: accuracies[chosen[name]] for name in (*names[:3], "mean rank of both", "oracle")},
}
print("\ntarget accuracy in %")
for name, value in bars.items():
    print(f"{name:22}{value:5.1f}")

# %%
# The model
# ---------
# The search has fitted the chosen setting to the whole source. Before it goes into use, look at the
# classes that it predicts: they should be about as frequent as the target's are known to be.

model = search.best_estimator_
print("\npredicted classes:", np.bincount(model.predict(digits.X_target), minlength=10))
print(f"target accuracy {100 * model.score(digits.X_target, digits.y_target):.1f} %")

# %%
# The figure
# ----------
# What the scorers see of 16 settings, and what the target's labels say. Frames mark the choices.

colors = {
    "source accuracy": "darkorange",
    "class correlation": "deepskyblue",
    "MixVal": "magenta",
    "mean rank of both": "crimson",
    "oracle": "black",
}
figure: Any = plt.figure(figsize=(14, 6.4), layout="constrained")
upper, lower = figure.subfigures(2, 1, height_ratios=[1.5, 1])
shape = len(grid["lr"]), len(grid["trade_off"])
for axis, (name, values) in zip(upper.subplots(1, 4, sharey=True), scores.items(), strict=True):
    axis.imshow(values.reshape(shape), cmap="viridis", origin="lower", aspect="auto")
    middle = (values.min() + values.max()) / 2
    for (row, column), value in np.ndenumerate(values.reshape(shape)):
        color = "white" if value < middle else "black"
        axis.text(column, row, f"{value:.3f}", color=color, ha="center", va="center")
    for chooser in ("mean rank of both", "oracle") if name == "oracle" else (name,):
        row, column = divmod(chosen[chooser], shape[1])
        corner, color = (column - 0.46, row - 0.45), colors[chooser]
        axis.add_patch(Rectangle(corner, 0.92, 0.9, fill=False, edgecolor=color, linewidth=3))
    axis.set_xticks(range(shape[1]), grid["trade_off"])
    axis.set_yticks(range(shape[0]), grid["lr"])
    title = "target accuracy, which nobody sees" if name == "oracle" else name
    axis.set(title=title, xlabel="trade_off")
    axis.label_outer()
upper.axes[0].set_ylabel("lr")

axis = lower.subplots()
drawn = axis.barh(
    list(bars), list(bars.values()), color=[colors.get(name, "0.7") for name in bars], alpha=0.85
)
axis.bar_label(drawn, fmt="%.1f", padding=3)
axis.invert_yaxis()
axis.set(xlabel="target accuracy in % of what is chosen", xlim=(0, 1.08 * accuracies.max()))
axis.spines[["top", "right"]].set_visible(False)
figure.savefig("choosing_hyperparameters.png", dpi=120)
plt.show()
print(f"\nsaved choosing_hyperparameters.png after {time.perf_counter() - start:.0f} s")
