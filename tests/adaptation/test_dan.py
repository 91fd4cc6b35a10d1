"""DAN's kernels; the discrepancy is tested with the losses."""

import numpy as np
import pytest
import torch

from skda.adaptation import DANClassifier
from skda.losses import DAN_MULTIPLIERS, mmd
from skda.nn import MultiKernelMMD


def _fit(few, **params):
    clf = DANClassifier(**{"max_epochs": 2, "random_state": 0, **params})
    return clf.fit(few["X"], few["y"], X_target=few["X_target"])


def test_kernels_weigh_the_same_by_default(few):
    clf = _fit(few, layers=("features", "logits"))
    assert clf.kernel_weights_ == {"features": (0.2,) * 5, "logits": (0.2,) * 5}


def test_learned_weights_are_a_mixture_for_every_layer(few):
    clf = _fit(
        few,
        layers=("hidden1", "logits"),
        alignment__kernel_weights="learned",
        alignment__multipliers=DAN_MULTIPLIERS,
        alignment__estimator="linear",
    )
    first, second = clf.kernel_weights_.values()
    assert len(first) == len(DAN_MULTIPLIERS) == 33
    assert min(first) >= 0 and sum(first) == pytest.approx(1) and sum(second) == pytest.approx(1)
    assert first != second


def test_learned_weights_change_the_training(few):
    uniform, learned = (
        _fit(few, max_epochs=3, trade_off_schedule="constant", alignment__kernel_weights=weights)
        for weights in ("uniform", "learned")
    )
    losses = [clf.history_[:, "alignment_loss"] for clf in (uniform, learned)]
    assert losses[0][0] == losses[1][0]  # both start with equal weights
    assert losses[0][-1] != losses[1][-1]


def test_weights_of_the_user(few):
    weights = (0.0, 0.0, 1.0, 0.0, 0.0)
    assert _fit(few, alignment__kernel_weights=weights).kernel_weights_ == {"logits": weights}
    with pytest.raises(ValueError, match="kernel_weights must be 'uniform', 'learned'"):
        _fit(few, alignment__kernel_weights="lerned")
    with pytest.raises(ValueError, match="kernel_weights has 2 entries for 5"):
        _fit(few, alignment__kernel_weights=(0.5, 0.5))


def test_no_kernels_without_alignment(few):
    assert _fit(few, trade_off=0).kernel_weights_ == {}


def test_learned_weights_find_the_scale_of_the_shift():
    """The domains differ in a column of small values, beside one of large ones that is alike."""
    rng = torch.Generator().manual_seed(0)
    source, target = (torch.randn(2000, 2, generator=rng) * torch.tensor([10, 0.1]) for _ in "st")
    source[:, 0], target[:, 0] = 0, 0
    target[:, 1] += 0.2
    distance = MultiKernelMMD(
        2, bandwidth=1.0, multipliers=(1e-5, 0.05, 1e4), kernel_weights="learned"
    )
    for start in range(0, 2000, 200):
        distance(source[start : start + 200], target[start : start + 200])
    distance.end_epoch()
    assert np.argmax(distance.weights) == 1 and distance.weights[1] > 0.9


def test_uniform_weights_are_the_plain_discrepancy():
    source, target = torch.randn(10, 3), torch.randn(8, 3)
    assert MultiKernelMMD(3)(source, target) == mmd(source, target)
