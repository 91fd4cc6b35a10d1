"""Models of the study of accuracy without labels, and what of a fitted one is kept."""

import time

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from skda.adaptation import (
    AdaBNClassifier,
    CDANClassifier,
    DANClassifier,
    DANNClassifier,
    DeepCORALClassifier,
    MCDClassifier,
)
from skda.base import DeepAdaptationClassifier
from skda.nn import joint

EPOCHS = 25
MAX_FEATURES = 256  # columns that are kept of a row


@joint
def entropy(source, target):
    """Mean entropy of the target's predictions: alone it makes a network certain, not right."""
    return torch.distributions.Categorical(logits=target["logits"]).entropy().mean()


class Probabilistic(SVC):
    """An SVM whose probabilities are the softmax of its scores, one against the rest."""

    def predict_proba(self, X):
        scores = self.decision_function(X)
        if scores.ndim == 1:
            scores = np.column_stack([-scores, scores])
        powers = np.exp(scores - scores.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)


def deep(cls, **params):
    return lambda seed: cls(max_epochs=EPOCHS, random_state=seed, **params)


# Kind, and a random state to an estimator.
MODELS = {
    "plain": ("plain", deep(DeepAdaptationClassifier)),
    "AdaBN": ("adapted", deep(AdaBNClassifier)),
    "DANN": ("adapted", deep(DANNClassifier)),
    "CDAN": ("adapted", deep(CDANClassifier)),
    "DeepCORAL": ("adapted", deep(DeepCORALClassifier)),
    "DAN": ("adapted", deep(DANClassifier)),
    "MCD": ("adapted", deep(MCDClassifier)),
    "DANN astray": (
        "collapsed",
        deep(DANNClassifier, trade_off=30, lr=1e-2, batch_norm="shared"),
    ),
    "entropy alone": ("collapsed", deep(DeepAdaptationClassifier, alignment=entropy, trade_off=3)),
    "logistic": ("classic", lambda seed: LogisticRegression(max_iter=300)),
    "SVM": ("classic", lambda seed: Probabilistic()),
    "forest": ("classic", lambda seed: RandomForestClassifier(200, random_state=seed)),
    "5-NN": ("classic", lambda seed: KNeighborsClassifier()),
}
OTHER = "other plain"  # the reference that every file of a task and state holds


def is_deep(name):
    return name == OTHER or MODELS[name][0] != "classic"


def split(task, seed):
    """Return (X, X_out, y, y_out, X_target, y_target): a third of the source is held out."""
    X, y, X_target, y_target = task
    parts = train_test_split(X, y, test_size=1 / 3, stratify=y, random_state=seed)
    return *parts, X_target, y_target


def flat(X):
    return X.reshape(len(X), -1)


def features(estimator, name, X, X_out, X_target):
    """Return the network's features, or the rows, or 64 principal components of many columns."""
    if is_deep(name):
        return estimator.transform(X_out, domain="source"), estimator.transform(X_target)
    if X.shape[1] > MAX_FEATURES:
        axes = PCA(64, random_state=0).fit(X)
        return axes.transform(X_out), axes.transform(X_target)
    return X_out, X_target


def fit(name, task, seed):
    """Fit a model, and return its arrays."""
    X, X_out, y, y_out, X_target, y_target = split(task, seed)
    if not is_deep(name):
        X, X_out, X_target = flat(X), flat(X_out), flat(X_target)
    start = time.process_time()
    if name == OTHER:
        estimator = MODELS["plain"][1](seed + 1000).fit(X, y)
    elif MODELS[name][0] in ("adapted", "collapsed"):
        estimator = MODELS[name][1](seed).fit(X, y, X_target=X_target)
    else:
        estimator = MODELS[name][1](seed).fit(X, y)
    seconds = time.process_time() - start
    of_source = {"domain": "source"} if is_deep(name) else {}
    source_features, target_features = features(estimator, name, X, X_out, X_target)
    return {
        "source_proba": estimator.predict_proba(X_out, **of_source).astype(np.float32),
        "source_y": y_out,
        "source_features": np.asarray(source_features, np.float32),
        "target_proba": estimator.predict_proba(X_target).astype(np.float32),
        "target_y": y_target,
        "target_features": np.asarray(target_features, np.float32),
        "fit_seconds": seconds,
    }
