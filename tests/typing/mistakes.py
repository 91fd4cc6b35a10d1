"""Mistakes, each of which type checkers are to find, in its line; this file never runs."""

from pathlib import Path
from typing import ClassVar

import torch

from skda.adaptation import (
    AdaBNClassifier,
    ADDAClassifier,
    DALNClassifier,
    DANNClassifier,
    DeepCORALClassifier,
    JANClassifier,
    ShallowDANNClassifier,
)
from skda.base import DeepAdaptationClassifier
from skda.datasets import load_shifted_digits
from skda.feature_extraction import DeepFeatureExtractor
from skda.fine_tuning import FineTuneClassifier
from skda.losses import coral, mmd
from skda.metrics import h_score, mmd_permutation_test
from skda.model_selection import MixValScorer, SourceSplit, TargetEntropyScorer
from skda.nn import MLP
from skda.subspace import TCA

digits = load_shifted_digits(random_state=0)
X, y = digits.X, digits.y

# Names of parameters.
DANNClassifier(max_epoch=3)  # error
DANNClassifier(solver="shallow")  # error
DANNClassifier(module__hidden_sizes=(64,))  # error
DANNClassifier(optimizer__weight_decy=1e-4)  # error
FineTuneClassifier(learning_rate=1e-3)  # error
DeepFeatureExtractor("timm/resnet18", poolng="max")  # error
TCA(n_component=4)  # error
MixValScorer(beta=0.5)  # error
load_shifted_digits(angel=30)  # error

# Parameters that a method fixes.
AdaBNClassifier(trade_off=1.0)  # error
DALNClassifier(alignment="coral")  # error
ADDAClassifier(alignment="coral")  # error
DeepCORALClassifier(alignment="mmd")  # error
ShallowDANNClassifier(batch_size=64)  # error

# Types of parameters.
DANNClassifier(lr="fast")  # error
DANNClassifier(layers=3)  # error
DANNClassifier(module__hidden_layer_sizes=64)  # error
DANNClassifier(0.1)  # error
JANClassifier(max_epochs=1.5)  # error
FineTuneClassifier(n_frozen="all")  # error
DeepFeatureExtractor("timm/resnet18", image_shape=224)  # error
TCA(regularization="none")  # error

# Methods and what they return.
DANNClassifier().fit(X)  # error
DANNClassifier().fit(X, y, target=X)  # error
DANNClassifier().fit(X, y).predict_probability(X)  # error
DANNClassifier().fit(X, y, X_target=X).predict(X).softmax()  # error
classes = DANNClassifier().fit(X, y).classes  # error
FineTuneClassifier().partial_fit(X, y, epochs=2)  # error
TargetEntropyScorer().score(X_target=X)  # error
SourceSplit(5).split(X, y, domains=y)  # error
h_score(X, y, shrinkage=None)  # error
h_score(X, y).mean()  # error
p_value = mmd_permutation_test(X, X).pvalue  # error
coral([[0.0]], [[1.0]])  # error
mmd(torch.zeros(2, 2), torch.zeros(2, 2), multipliers=2.0)  # error
MLP(64, hidden_layer_sizes=6.4)  # error


class MomentClassifier(DeepAdaptationClassifier):
    trade_off: float = 0.5
    variance_weight: float = 1.0
    layers: ClassVar[tuple[str, ...]] = ("features",)

    def finish_fit(self, training):
        super().finish_fit(training)
        self.n_rows_ = len(training.data.X)  # error


MomentClassifier(variance_wieght=0.1)  # error
MomentClassifier(variance_weight=Path("weight"))  # error
MomentClassifier(layers=("logits",))  # error
MomentClassifier().n_rows_.upper()  # error
