"""Losses and adversaries make nothing on another device than that of the activations.

On the meta device, which has shapes without values, an operand on the CPU is an error.
"""

import pytest
import torch

from skda.adaptation import (
    ADDAClassifier,
    CDANClassifier,
    DAANClassifier,
    DALNClassifier,
    DANNClassifier,
    DomainConfusionClassifier,
    DSNClassifier,
    LabelEfficientClassifier,
    MCDClassifier,
    MDDClassifier,
    SANClassifier,
    WDGRLClassifier,
)
from skda.losses import (
    adaptive_feature_norm,
    batch_nuclear_norm,
    batch_spectral_penalty,
    class_balance,
    class_soft_labels,
    classifier_discrepancy,
    coral,
    entropy,
    hard_feature_norm,
    joint_mmd,
    linear_mmd,
    local_mmd,
    margin_disparity,
    minimum_class_confusion,
    mmd,
    nuclear_wasserstein,
    soft_label_cross_entropy,
    tensor_mmd,
)

N_SOURCE, N_TARGET = 9, 7


def _meta(*shape, dtype=torch.float32):
    return torch.zeros(*shape, dtype=dtype, device="meta", requires_grad=dtype.is_floating_point)


def _labels(n):
    return _meta(n, dtype=torch.int64)


@pytest.mark.parametrize(
    ("cls", "params"),
    [
        (ADDAClassifier, {}),
        (CDANClassifier, {}),
        (CDANClassifier, {"alignment__max_width": 1, "spectral_weight": 1.0}),
        (DAANClassifier, {}),
        (DALNClassifier, {}),
        (DANNClassifier, {}),
        (DomainConfusionClassifier, {}),
        (DSNClassifier, {}),
        (DSNClassifier, {"similarity": "mmd"}),
        (LabelEfficientClassifier, {}),
        (MCDClassifier, {}),
        (MDDClassifier, {}),
        (SANClassifier, {}),
        (WDGRLClassifier, {}),
    ],
)
def test_adversaries_stay_on_the_device(cls, params, few):
    y_target = few["y_target"].copy()
    y_target[20:] = -1
    clf = cls(max_epochs=2, random_state=0, **params)
    clf.fit(few["X"], few["y"], X_target=few["X_target"], y_target=y_target)
    net = clf.net_
    net.device = "meta"
    net.module_.to("meta").train()
    net.alignment_.to("meta").train()
    with net.module_.rows.of((N_SOURCE, N_TARGET)):
        _descend_on_meta(net, cls)


def _descend_on_meta(net, cls):
    """Forward and backward what a step of training does, without the steps of the optimizers."""
    logits, activations = net.infer(_meta(N_SOURCE + N_TARGET, 64))
    labels = _labels(N_SOURCE + N_TARGET)
    if cls is MCDClassifier:
        discrepancy, balance, _ = net._target_losses(activations["features"])
        (discrepancy + balance).backward()
        return
    if cls is LabelEfficientClassifier:
        for part in (net.alignment_.loss.source_prototypes, net.alignment_.loss.target_prototypes):
            assert part.means.is_meta  # of the epochs before
    _, weighted = net.get_alignment_loss(activations, labels)
    (weighted + logits.mean()).backward()
    if hasattr(net, "fixed_adversary"):
        source, target = net.by_domain({k: x.detach() for k, x in activations.items()}, labels)
        net.alignment_.adversary_loss(source, target).backward()


@pytest.mark.parametrize(
    ("loss", "arguments"),
    [
        (adaptive_feature_norm, (_meta(9, 4),)),
        (batch_nuclear_norm, (_meta(9, 4),)),
        (batch_spectral_penalty, (_meta(9, 4),)),
        (class_balance, (_meta(9, 4),)),
        (class_soft_labels, (_meta(9, 4), _labels(9), 4)),
        (classifier_discrepancy, (_meta(9, 4), _meta(9, 4))),
        (coral, (_meta(9, 4), _meta(7, 4))),
        (entropy, (_meta(9, 4),)),
        (hard_feature_norm, (_meta(9, 4),)),
        (joint_mmd, ([_meta(9, 4)] * 2, [_meta(7, 4)] * 2)),
        (linear_mmd, (_meta(9, 4), _meta(7, 4))),
        (local_mmd, (_meta(9, 4), _meta(7, 4), _labels(9), _meta(7, 3))),
        (margin_disparity, (_meta(9, 4), _meta(7, 4), _labels(9), _labels(7))),
        (minimum_class_confusion, (_meta(9, 4),)),
        (mmd, (_meta(9, 4), _meta(7, 4))),
        (nuclear_wasserstein, (_meta(9, 4), _meta(7, 4))),
        (soft_label_cross_entropy, (_meta(9, 4), _meta(4, 4), _labels(9))),
        (tensor_mmd, ([_meta(9, 4)] * 2, [_meta(7, 4)] * 2)),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_losses_stay_on_the_device(loss, arguments):
    value = loss(*arguments)
    assert value.is_meta
    if value.requires_grad:
        value.backward()
