"""CDAN, and the spectral penalty of the adversarial methods."""

import pytest
import torch
from devices import on_cpu
from torch import nn

from skda.adaptation import CDANClassifier, DANNClassifier
from skda.nn import DomainDiscriminator


def _weights(clf):
    return torch.cat([p.flatten() for p in on_cpu(clf.net_.module_.parameters())])


def _fit(cls, few, **params):
    clf = cls(max_epochs=2, random_state=0, **params)
    return clf.fit(few["X"], few["y"], X_target=few["X_target"])


def test_weighting_by_entropy_changes_the_result(few):
    with_, without = (_fit(CDANClassifier, few, entropy_weighting=on) for on in (True, False))
    assert not torch.allclose(_weights(with_), _weights(without))


@pytest.mark.parametrize("cls", [CDANClassifier, DANNClassifier])
def test_spectral_penalty_joins_the_loss_and_shrinks_the_features(few, cls):
    plain, same, penalised = (
        _fit(cls, few, spectral_weight=weight) for weight in (0.0, 1e-12, 1.0)
    )
    torch.testing.assert_close(_weights(plain), _weights(same), atol=1e-4, rtol=1e-3)
    largest = [
        torch.linalg.svdvals(torch.from_numpy(clf.transform(few["X_target"])))[0]
        for clf in (plain, penalised)
    ]
    assert largest[1] < largest[0]
    assert "domain_accuracy" in penalised.history_[-1]


def test_keywords_reach_discriminator_and_map(few):
    clf = _fit(
        CDANClassifier,
        few,
        discriminator__hidden_layer_sizes=(7,),
        alignment__max_width=10,
        alignment__random_width=32,
    )
    adversary = clf.net_.alignment_.loss
    assert adversary.map.feature_map.shape == (64, 32)
    assert adversary.discriminator[1].in_features == 7


def test_discriminator_may_be_an_instance_or_a_class(few):
    instance = DomainDiscriminator(640, hidden_layer_sizes=(5,))
    clf = _fit(CDANClassifier, few, discriminator=instance)
    assert clf.net_.alignment_.loss.discriminator is not instance
    assert not torch.equal(
        on_cpu(next(clf.net_.alignment_.parameters())), next(instance.parameters())
    )

    class Linear(nn.Linear):
        def __init__(self, width):
            super().__init__(width, 1)

    clf = _fit(CDANClassifier, few, discriminator=Linear)
    assert clf.net_.alignment_.loss.discriminator.in_features == 640


def test_unknown_keyword_of_the_discriminator_is_named(few):
    with pytest.raises(TypeError, match="discriminator__widht"):
        _fit(CDANClassifier, few, discriminator__widht=3)
