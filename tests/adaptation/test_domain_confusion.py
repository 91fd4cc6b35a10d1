"""Domain confusion: who learns from what, and soft labels."""

import math

import numpy as np
import pytest
import torch

from skda.adaptation import DomainConfusionClassifier
from skda.adaptation.discrepancy._domain_confusion import DomainConfusion
from skda.nn import Activations

WIDTHS = {"features": 4, "logits": 3}


def _domains(labels=None):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(10, 4, generator=generator).requires_grad_()
    logits = torch.randn(10, 3, generator=generator)
    source = Activations(
        {"features": features[:6], "logits": logits[:6]}, ("features",), torch.arange(6) % 3
    )
    target = Activations({"features": features[6:], "logits": logits[6:]}, ("features",), labels)
    return features, source, target


def test_features_do_not_learn_from_the_loss_of_the_classifier():
    features, source, target = _domains()
    _, opponent = DomainConfusion(("features",), WIDTHS)(source, target)
    assert torch.autograd.grad(opponent, features, allow_unused=True) == (None,)


def test_the_classifier_does_not_learn_from_the_confusion():
    features, source, target = _domains()
    alignment = DomainConfusion(("features",), WIDTHS)
    confusion, _ = alignment(source, target)
    confusion.backward()
    assert features.grad.abs().sum() > 0
    assert all(p.grad is None for p in alignment.parameters())


def test_an_undecided_classifier_is_the_least_confusion():
    _, source, target = _domains()
    alignment = DomainConfusion(("features",), WIDTHS)
    assert alignment(source, target)[0] > math.log(2)
    for parameter in alignment.parameters():
        parameter.data.zero_()
    assert alignment(source, target)[0].item() == pytest.approx(math.log(2))


def test_soft_labels_come_with_the_second_epoch():
    _, source, target = _domains(torch.tensor([0, -100, 2, -100]))
    alignment = DomainConfusion(("features",), WIDTHS, soft_label_weight=1.0)
    first, _ = alignment(source, target)
    alignment.end_epoch()
    second, _ = alignment(source, target)
    torch.testing.assert_close(alignment.soft_labels.sum(dim=1), torch.ones(3))
    assert second > first


def test_no_soft_labels_without_labels():
    _, source, target = _domains()
    alignment = DomainConfusion(("features",), WIDTHS, soft_label_weight=1.0)
    alignment(source, target)
    alignment.end_epoch()
    assert alignment.soft_labels is None


def test_soft_labels_of_a_trained_network_peak_at_their_class(few):
    labels = np.where(np.arange(150) < 30, few["y_target"], -1)
    clf = DomainConfusionClassifier(max_epochs=15, random_state=0)
    clf.fit(few["X"], few["y"], X_target=few["X_target"], y_target=labels)
    soft_labels = clf.net_.alignment_.loss.soft_labels
    assert soft_labels.argmax(dim=1).tolist() == list(range(10))


@pytest.mark.parametrize("params", [{"soft_label_weight": 5.0}, {"temperature": 8.0}])
def test_soft_labels_change_the_training(params, few):
    labels = np.where(np.arange(150) < 30, few["y_target"], -1)
    losses = []
    for changed in ({}, params):
        clf = DomainConfusionClassifier(
            **{"max_epochs": 3, "random_state": 0, "trade_off": 1.0, **changed}
        )
        clf.fit(few["X"], few["y"], X_target=few["X_target"], y_target=labels)
        losses.append(clf.history_[-1, "train_loss"])
    assert losses[0] != losses[1]


def test_the_loss_of_the_classifier_is_at_full_strength(few):
    """With a tiny trade-off only the opponent is left of the alignment, and it still learns."""
    clf = DomainConfusionClassifier(
        trade_off=1e-9, max_epochs=20, optimizer="sgd", lr=0.1, batch_norm="shared", random_state=0
    )
    clf.fit(few["X"], few["y"], X_target=few["X_target"])
    with clf.net_.source_statistics():
        source = clf.transform(few["X"])
    (classifier,) = clf.net_.alignment_.loss.classifiers
    features = torch.from_numpy(np.concatenate([source, clf.transform(few["X_target"])]))
    domains = (classifier(features)[:, 0] > 0).numpy()
    assert np.mean(domains == np.repeat([False, True], [200, 150])) > 0.7
