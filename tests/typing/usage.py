"""Typical use, which type checkers are to accept, and which runs."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import sklearn
import torch
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV, cross_val_score
from torch import nn

import skda
from skda import make_pipeline, stack_domains
from skda.adaptation import (
    AdaBNClassifier,
    CDANClassifier,
    DANClassifier,
    DANNClassifier,
    DeepCORALClassifier,
    MCDClassifier,
)
from skda.base import DeepAdaptationClassifier
from skda.datasets import load_shifted_digits
from skda.feature_extraction import DeepFeatureExtractor
from skda.fine_tuning import FineTuneClassifier
from skda.losses import coral, entropy, mmd
from skda.metrics import domain_report, h_score, proxy_a_distance
from skda.model_selection import SourceSplit, TargetAccuracyScorer, TargetEntropyScorer
from skda.nn import MLP, Activations, joint
from skda.subspace import CORAL, TCA
from skda.training import Stage, Training

digits = load_shifted_digits(random_state=0)
X, y, X_target, y_target = digits.X[:200], digits.y[:200], digits.X_target[:200], digits.y_target

# -- parameters, keywords with a prefix, and what fit learns ------------------------------------

clf = DANNClassifier(
    module__hidden_layer_sizes=(64,),
    discriminator__dropout=0.1,
    optimizer__weight_decay=1e-4,
    lr=1e-2,
    max_epochs=3,
    random_state=0,
)
predicted: np.ndarray = clf.fit(X, y, X_target=X_target).predict(X_target)
classes: list[int] = clf.classes_.tolist()
n_rows, n_features = clf.transform(X_target).shape
certainty: float = clf.predict_proba(X_target).max(axis=1).mean()
accuracy: float = clf.score(X_target, y_target[:200])
last_loss = clf.history_[-1, "train_loss"]
n_targets: int = clf.net_.module_.n_targets
features = clf.net_.activations_of(X_target)["features"].numpy()
clf.set_params(max_epochs=1).fit(X, y, X_target=(X_target, X_target + 0.1))

CDANClassifier(optimizer="sgd", trade_off_schedule="constant", precision="bfloat16")
DANClassifier(layers=("features", "logits"), alignment__multipliers=(0.5, 1.0, 2.0))
DeepCORALClassifier(module=nn.Sequential(nn.Linear(64, 8), nn.ReLU()), trade_off=10)
MCDClassifier(module=MLP, optimizer=torch.optim.SGD, device="cpu", n_generator_steps=2)
DeepAdaptationClassifier(alignment=coral, lr_schedule=lambda progress: 1 - progress)
AdaBNClassifier(max_epochs=1, random_state=0).fit(X, y).adapt(X_target).predict(X_target)

# -- pipelines, searches, scorers and splitters -------------------------------------------------

with sklearn.config_context(enable_metadata_routing=True):
    pipe = make_pipeline(PCA(8), DANNClassifier(max_epochs=1, random_state=0))
    grid = {"pca__n_components": [4, 8], "dannclassifier__module__dropout": [0.0]}
    search = GridSearchCV(pipe, grid, scoring=TargetEntropyScorer(), cv=2)
    search.fit(X, y, X_target=(X_target,)).predict(X_target)
    stacked, labels, domains = stack_domains(X, y, X_target)
    params = {"sample_domain": domains}
    shallow = make_pipeline(TCA(n_components=4), PCA(2))
    shallow.fit(X, y, X_target=(X_target,)).transform(X_target)
    cross_val_score(
        DANClassifier(max_epochs=1, random_state=0),
        stacked,
        labels,
        cv=SourceSplit(2),
        params=params,
        scoring=lambda estimator, X, y: float(estimator.score(X, y)),
    )

score: float = TargetEntropyScorer()(clf, None, X_target=X_target)
aligned: np.ndarray = CORAL(regularization=0.1).fit(X, X_target=X_target).transform(X_target)
distance: float = proxy_a_distance(X, X_target) + h_score(features, y_target[:200])
report = domain_report(clf, X, X_target)["mmd"]
TargetAccuracyScorer(y_target)

# -- networks that have learned before ----------------------------------------------------------

old = FineTuneClassifier(max_epochs=1, random_state=0).fit(X, y)
new = FineTuneClassifier(module=old, n_frozen=1, max_epochs=1, layer_decay=0.5)
new.fit(X_target, y_target[:200]).predict(X_target)
new.partial_fit(X_target, y_target[:200])

extractor = DeepFeatureExtractor("timm/resnet18", module__pad_type="same", pooling="max")
extractor.set_params(preprocess={"size": 128}, cache=Path("features"))
DeepFeatureExtractor(MLP, layers=("hidden1", "hidden2")).fit(X).transform(X)

# -- methods of one's own -----------------------------------------------------------------------


class MomentClassifier(DeepAdaptationClassifier):
    """Adapts by the mean and the variance of every feature."""

    trade_off: float = 0.5
    variance_weight: float = 1.0
    layers: ClassVar[tuple[str, ...]] = ("features",)

    @staticmethod
    def alignment(source: torch.Tensor, target: torch.Tensor, power: int = 2) -> torch.Tensor:
        """Return the distance of the means."""
        return (source.mean(dim=0) - target.mean(dim=0)).norm() ** power

    def make_module(self, training: Training, **params: Any) -> skda.training.AdaptationModule:
        module = super().make_module(training, **params)
        module.head = nn.Sequential(module.head, nn.Identity())
        return module

    def make_stages(self, training: Training) -> list[Stage]:
        first, *others = super().make_stages(training)
        return [first, *others]

    def finish_fit(self, training):
        super().finish_fit(training)
        self.n_source_ = len(training.dataset.X)


own = MomentClassifier(variance_weight=0.1, alignment__step=1.0, max_epochs=1, random_state=0)


@joint
def certain(source: Activations, target: Activations) -> torch.Tensor:
    """Make the predictions of the target certain, and align the features."""
    return entropy(target["logits"]) + mmd(source["features"], target["features"])


DeepAdaptationClassifier(alignment=certain, max_epochs=1).fit(X, y, X_target=X_target)
print(MomentClassifier(max_epochs=1).fit(X, y, X_target=X_target).n_source_)
