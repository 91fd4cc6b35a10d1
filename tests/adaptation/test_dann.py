"""DANN's discriminator; gradient and step are tested with the engine."""

import pytest
import torch
from torch import nn

from skda.adaptation import DANNClassifier


def _deep_discriminator(width, depth):
    hidden = [nn.Linear(width, width) for _ in range(depth)]
    return nn.Sequential(*hidden, nn.Linear(width, 1))


@pytest.mark.parametrize(
    "discriminator, keywords",
    [
        (nn.Linear(64, 1), {}),
        (nn.Linear, {"discriminator__out_features": 1}),
        (_deep_discriminator, {"discriminator__depth": 2}),
        (None, {"discriminator__dropout": 0.5}),
    ],
)
def test_discriminator_of_the_user(few, discriminator, keywords):
    clf = DANNClassifier(max_epochs=1, discriminator=discriminator, **keywords)
    clf.fit(few["X"], few["y"], X_target=few["X_target"])
    (adversary,) = clf.net_.alignment_.modules_with_state
    assert adversary.discriminator is not discriminator
    assert adversary(torch.zeros(3, 64), torch.zeros(2, 64)).ndim == 0


@pytest.mark.parametrize(
    "params, message",
    [
        ({"discriminator": nn.Linear(64, 2)}, "discriminator.*one logit per row.*Linear"),
        ({"discriminator": nn.Linear(64, 1), "discriminator__bias": False}, "instance of Linear"),
        ({"discriminator__depth": 2}, "discriminator__depth.*discriminator__hidden_layer_sizes"),
        ({"discriminator": "mlp"}, "discriminator"),
        ({"alignment__dropout": 0.5}, "alignment__dropout.*discriminator__"),
    ],
)
def test_bad_discriminator(few, params, message):
    with pytest.raises((ValueError, TypeError), match=message):
        DANNClassifier(max_epochs=1, **params).fit(few["X"], few["y"], X_target=few["X_target"])


def test_discriminator_learns_but_cannot_tell_adapted_domains_apart(digits):
    """A dead adversary stays at log 2; one without opponents falls far below it."""
    X, y, X_target = digits.X, digits.y, digits.X_target
    fits = {}
    for trade_off in (1e-6, 1):
        clf = DANNClassifier(max_epochs=15, trade_off=trade_off, random_state=0)
        fits[trade_off] = clf.fit(X, y, X_target=X_target).history_[-1, "alignment_loss"]
    assert fits[1e-6] < 0.3
    assert 0.5 < fits[1] < 0.72
