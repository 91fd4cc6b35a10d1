"""Keywords that reach the net, of the kinds that users have them in."""

import numpy as np
import pytest
import torch

from skda.fine_tuning import FineTuneClassifier

X = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
Y = np.arange(12) % 3
WEIGHTS = [1.0, 5.0, 0.5]


def weighted(weight):
    """Return the training loss with these weights of classes."""
    clf = FineTuneClassifier(max_epochs=1, random_state=0, criterion__weight=weight, device="cpu")
    return clf.fit(X, Y).history_[-1, "train_loss"]


@pytest.mark.parametrize("make", [list, tuple, np.array], ids=["list", "tuple", "array"])
def test_class_weights_need_not_be_a_tensor(make):
    assert weighted(make(WEIGHTS)) == weighted(torch.tensor(WEIGHTS)) != weighted(None)


@pytest.mark.parametrize("weight", [WEIGHTS[:2], [1.0, np.nan, 1.0], [1.0, -1.0, 1.0]])
def test_class_weights_are_one_number_per_class(weight):
    with pytest.raises(ValueError, match=r"^criterion__weight must be 3 finite numbers .* got"):
        weighted(weight)


@pytest.mark.parametrize("weight", ["balanced", {0: 1.0, 1: 2.0, 2: 3.0}])
def test_class_weights_of_other_libraries_are_named(weight):
    with pytest.raises(TypeError, match=r"^criterion__weight must be 3 .* order of classes_: got"):
        weighted(weight)


def test_unknown_keywords_of_validation_batches_are_named():
    with pytest.raises(TypeError, match=r"^iterator_valid__num_workers: .* iterator_valid__n_jobs"):
        FineTuneClassifier(iterator_valid__num_workers=2, device="cpu").fit(X, Y)
