"""A package of somebody else: an alignment, a staged method and batches, by public names alone."""

import ast
import subprocess
import sys

import pytest

FILES = {
    "__init__.py": '''
"""Methods on top of skda."""

from moments_adaptation.alignment import MomentClassifier
from moments_adaptation.batches import BalancedBatches
from moments_adaptation.staged import SelfTrainingClassifier

__all__ = ["BalancedBatches", "MomentClassifier", "SelfTrainingClassifier"]
''',
    "alignment.py": '''
"""An alignment with a parameter of its own."""

import torch

from skda.base import DeepAdaptationClassifier


class MomentLoss(torch.nn.Module):
    """Distance of the first moments, each with a weight that is not learned."""

    def __init__(self, order):
        super().__init__()
        self.order = order

    def forward(self, source, target):
        moments = range(1, self.order + 1)
        return sum((source**k).mean(0).sub((target**k).mean(0)).square().mean() for k in moments)


class MomentClassifier(DeepAdaptationClassifier):
    """Aligns moments."""

    order: int = 2
    trade_off: float = 0.5

    def make_loss(self, alignment, layers, widths):
        return MomentLoss(self.order)
''',
    "batches.py": '''
"""Batches in which all classes are equally frequent."""

import torch

from skda.training import PairedBatches


class BalancedBatches(PairedBatches):
    """Draws source rows by class."""

    def draw_epoch(self):
        indices = super().draw_epoch()
        labels = torch.as_tensor(self.dataset.y)
        weights = 1.0 / torch.bincount(labels)[labels]
        size = self.sizes[0]
        drawn = torch.multinomial(
            weights, len(indices) * size, replacement=True, generator=self.generators[0]
        )
        indices[:, :size] = drawn.view(len(indices), size)
        return indices
''',
    "staged.py": '''
"""A method of two stages: the second goes on with the target's surest predictions as labels."""

import numpy as np

from moments_adaptation.alignment import MomentClassifier
from moments_adaptation.batches import BalancedBatches
from skda.training import DomainDataset, Stage


class SelfTrainingClassifier(MomentClassifier):
    """Aligns moments, then trains on."""

    threshold: float = 0.2
    iterator_class = BalancedBatches

    def make_stages(self, training):
        first, = super().make_stages(training)
        self_training = Stage(
            name="self-training",
            max_epochs=2,
            learns=("head", "alignment"),
            make_dataset=self.label_target,
            make_net=lambda training: training.net.successor(lr=1e-4),
        )
        return [first, self_training] if training.dataset.targets else [first]

    def label_target(self, training):
        labels = []
        for number, rows in enumerate(training.dataset.targets):
            logits = training.net.activations_of(rows, ("logits",), domain=number)["logits"]
            sure, classes = logits.softmax(dim=1).max(dim=1)
            labels.append(np.where(sure > self.threshold, classes, -100))
        dataset = training.dataset
        return DomainDataset(dataset.X, dataset.y, dataset.targets, labels)

    def finish_fit(self, training):
        super().finish_fit(training)
        self.n_labelled_ = sum((codes >= 0).sum() for codes in training.rows.target_labels or ())
''',
}

USE = """
import numpy as np, sklearn
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import StandardScaler
from skda import make_pipeline
from skda.datasets import load_shifted_digits
from skda.model_selection import TargetEntropyScorer
from moments_adaptation import MomentClassifier, SelfTrainingClassifier

digits = load_shifted_digits(random_state=0)
data = {"X": digits.X[:300], "y": digits.y[:300], "X_target": (digits.X_target[:250],)}

def flat_weights(clf):
    return np.concatenate([p.detach().numpy().ravel() for p in clf.net_.module_.parameters()])

fits = [
    MomentClassifier(max_epochs=2, random_state=0, **params).fit(**data)
    for params in ({}, {"order": 3}, {"trade_off": 0}, {"trade_off": 0, "order": 3})
]
plain, higher, alone, alone_too = map(flat_weights, fits)
assert not np.allclose(plain, higher) and not np.allclose(plain, alone)
assert (alone == alone_too).all()

staged = SelfTrainingClassifier(max_epochs=15, random_state=0, module__dropout=0.1).fit(**data)
assert staged.n_labelled_ > 0, staged.n_labelled_
assert len(staged.history_) == 2, len(staged.history_)
assert (staged.predict(digits.X_target) == clone(staged).fit(**data).predict(digits.X_target)).all()
# The second stage trains the head alone.
first = clone(staged).set_params(threshold=1.0).fit(**data)
assert first.n_labelled_ == 0
assert (first.predict_proba(digits.X_target) != staged.predict_proba(digits.X_target)).any()
weights = [clf.net_.module_.backbone.hidden1[0].weight for clf in (first, staged)]
print("backbone", (weights[0] == weights[1]).all().item())

with sklearn.config_context(enable_metadata_routing=True):
    search = GridSearchCV(
        make_pipeline(StandardScaler(), MomentClassifier(max_epochs=1, random_state=0)),
        {"momentclassifier__order": [1, 2]}, scoring=TargetEntropyScorer(), cv=2,
    )
    search.fit(data["X"], data["y"], X_target=data["X_target"])
print("best", search.best_params_["momentclassifier__order"] in (1, 2))
"""


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / "moments_adaptation"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text)
    return tmp_path


def test_it_uses_public_names_alone():
    for name, text in FILES.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Attribute):
                assert not node.attr.startswith("_") or node.attr == "__init__", (name, node.attr)
            if isinstance(node, ast.ImportFrom):
                assert "._" not in node.module
                assert not any(alias.name.startswith("_") for alias in node.names)


def test_it_trains_clones_and_searches(package):
    script = package / "use.py"
    script.write_text(USE)
    done = subprocess.run(
        [sys.executable, script], cwd=package, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["backbone", "True", "best", "True"]
