"""JAN: the joint discrepancy, and its adversarial variant."""

import pytest
import torch

from skda.adaptation import JANClassifier
from skda.adaptation.discrepancy._jan import AdversarialJointMMD
from skda.base import ALIGNMENTS
from skda.losses import joint_mmd, mmd
from skda.nn import Activations


def _domain(generator, shift, n):
    return Activations(
        {
            "features": torch.randn(n, 4, generator=generator) + shift,
            "logits": torch.randn(n, 3, generator=generator),
        },
        ("features", "logits"),
    )


@pytest.fixture
def domains():
    generator = torch.Generator().manual_seed(0)
    return _domain(generator, 0, 12), _domain(generator, 1, 9)


def test_logits_take_part_as_probabilities(domains):
    source, target = domains
    expected = joint_mmd(
        [source["features"], source["logits"].softmax(1)],
        [target["features"], target["logits"].softmax(1)],
    )
    assert ALIGNMENTS["jmmd"](source, target) == expected


def test_one_layer_is_mmd(domains):
    source, target = (Activations(domain, ("features",)) for domain in domains)
    torch.testing.assert_close(
        ALIGNMENTS["jmmd"](source, target), mmd(source["features"], target["features"])
    )


def test_maps_of_the_adversary_start_as_the_identity(domains):
    adversary = AdversarialJointMMD(("features", "logits"), {"features": 4, "logits": 3})
    torch.testing.assert_close(adversary(*domains), -ALIGNMENTS["jmmd"](*domains))


def test_adversary_makes_the_discrepancy_large(domains):
    adversary = AdversarialJointMMD(("features", "logits"), {"features": 4, "logits": 3})
    optimizer = torch.optim.Adam(adversary.parameters(), lr=0.05)
    before = ALIGNMENTS["jmmd"](*domains)
    for _ in range(50):
        optimizer.zero_grad()
        loss = adversary(*domains)
        loss.backward()
        optimizer.step()
    assert -loss > 1.2 * before


def test_features_of_the_adversarial_variant_make_it_small(few):
    fits = {}
    for trade_off in (1e-6, 10):
        clf = JANClassifier(
            adversarial=True,
            trade_off=trade_off,
            trade_off_schedule="constant",
            max_epochs=10,
            random_state=0,
        )
        clf.fit(few["X"], few["y"], X_target=few["X_target"])
        fits[trade_off] = -clf.history_[-1, "alignment_loss"]
    assert fits[10] < 0.7 * fits[1e-6]


def test_keywords_of_the_discrepancy_reach_both_variants(few):
    for adversarial in (False, True):
        clf = JANClassifier(
            adversarial=adversarial, alignment__estimator="linear", max_epochs=1, random_state=0
        )
        clf.fit(few["X"], few["y"], X_target=few["X_target"])
