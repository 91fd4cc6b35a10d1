"""
A scanner that moved
====================

Handwritten digits of one scanner are labelled. The scanner was then moved: its images are turned
and noisy, and nobody labels them. A network trained on the old images fails on the new ones. This
example adapts it without a single new label, with scikit-learn's digits and no download.
"""

# %%
# Two domains
# -----------
# Both halves hold real digits; none is in both. The target's labels only measure the result.

import sys
import time
import warnings

import matplotlib

if "sphinx_gallery" not in sys.modules:
    matplotlib.use("Agg")

import numpy as np
import sklearn
import torch
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.svm import LinearSVC

from skda import make_pipeline
from skda.adaptation import (
    AdaBNClassifier,
    DANClassifier,
    DANNClassifier,
    DeepCORALClassifier,
)
from skda.datasets import load_shifted_digits
from skda.exceptions import NoTargetWarning
from skda.inspection import DomainAlignmentDisplay
from skda.model_selection import InformationMaximizationScorer

# Networks this small gain nothing from more threads, and lose much on a busy machine.
torch.set_num_threads(1)
start = time.perf_counter()
SEEDS = range(3)


def accuracy(fit):
    """Target accuracies in % of what `fit` trains, over three draws of data and weights.

    The first of the trained models comes with them.
    """
    scores, models = [], []
    for seed in SEEDS:
        digits = load_shifted_digits(random_state=seed)
        models.append(fit(digits, seed))
        scores.append(100 * models[-1].score(digits.X_target, digits.y_target))
    return scores, models[0]


# %%
# Seven ways to train
# -------------------
# Source only sees no target at all, and is better here without batch norms. AdaBN learns from the
# source alone too, and takes the statistics of its batch norms from the target, as ``trade_off=0``
# does. The deep features are those of that network, in front of a linear SVM. The upper bound
# cheats: it learns from labels of the target (on the first half of the target, and is measured on
# the second).


def adapted(estimator, **params):
    def fit(digits, seed):
        return estimator(random_state=seed, **params).fit(
            digits.X, digits.y, X_target=digits.X_target
        )

    return fit


def source_only(digits, seed):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoTargetWarning)
        clf = DeepCORALClassifier(module__batch_norm=False, random_state=seed)
        return clf.fit(digits.X, digits.y)


def deep_features(digits, seed):
    network = DeepCORALClassifier(trade_off=0, random_state=seed)
    svm = LinearSVC().set_params(dual=False)
    with sklearn.config_context(enable_metadata_routing=True):
        return make_pipeline(network, svm).fit(digits.X, digits.y, X_target=(digits.X_target,))


class UpperBound:
    """A supervised network for the target."""

    def __init__(self, digits, seed):
        n_train = len(digits.y_target) // 2
        X, y = digits.X_target[:n_train], digits.y_target[:n_train]
        self.held_out = slice(n_train, None)
        self.network = DeepCORALClassifier(trade_off=0, random_state=seed).fit(X, y, X_target=X)

    def score(self, X, y):
        return self.network.score(X[self.held_out], y[self.held_out])


table = {
    "source only": source_only,
    "AdaBN": adapted(AdaBNClassifier),
    "deep features + LinearSVC": deep_features,
    "Deep CORAL": adapted(DeepCORALClassifier),
    "DAN": adapted(DANClassifier),
    "DANN": adapted(DANNClassifier),
    "supervised upper bound": UpperBound,
}
print(f"{'':26} target accuracy (mean and spread over {len(SEEDS)} random states)")
scores, models = {}, {}
for name, fit in table.items():
    scores[name], models[name] = accuracy(fit)
    print(f"{name:26} {np.mean(scores[name]):5.1f} +- {np.std(scores[name]):.1f}")

# %%
# A search without target labels
# ------------------------------
# The target goes through the same steps as the source, and the model wins whose predictions for
# the target rows are certain, and spread over all classes. The defaults are among what it may
# choose from. A tuple keeps the target whole in every fold.

digits = load_shifted_digits(random_state=0)
with sklearn.config_context(enable_metadata_routing=True):
    search = GridSearchCV(
        make_pipeline(PCA(random_state=0), DANNClassifier(random_state=0)),
        {
            "pca": ["passthrough", PCA(32, random_state=0)],
            "dannclassifier__trade_off": [0, 1],
        },
        scoring=InformationMaximizationScorer(),
        cv=2,
    )
    search.fit(digits.X, digits.y, X_target=(digits.X_target,))
print(f"\nchosen without target labels: {search.best_params_}")
chosen = search.best_estimator_.score(digits.X_target, digits.y_target)
print(f"its target accuracy is {100 * chosen:.1f}, that of the defaults {scores['DANN'][0]:.1f}")

# %%
# Before and after
# ----------------
# Features of both domains on their first two principal components, coloured by digit: without an
# alignment, and with it. Most triangles of the target come to the circles of the source that have
# their colour.

features = {}
for name in ("AdaBN", "DANN"):
    title = f"{name}: {scores[name][0]:.0f} % of the target right"
    # Batch norms see every domain by its own statistics.
    source = models[name].transform(digits.X, domain="source")
    features[title] = source, models[name].transform(digits.X_target)
display = DomainAlignmentDisplay.from_features(
    features, y=digits.y, y_target=digits.y_target, random_state=0
)
display.figure_.savefig("quickstart.png", dpi=120)
print(f"\nsaved quickstart.png after {time.perf_counter() - start:.0f} s")
