"""DAAN: its factor, and its limits."""

import numpy as np
import pytest
import torch

from skda.adaptation import DAANClassifier, DANNClassifier
from skda.adaptation.adversarial._daan import LOG_2, DynamicAdversary, a_distance
from skda.losses import domain_cross_entropy
from skda.nn import Activations


def _fit(cls, few, **params):
    clf = cls(max_epochs=3, random_state=0, **params)
    return clf.fit(few["X"], few["y"], X_target=few["X_target"])


def test_omega_one_is_dann(few):
    params = {"discriminator__hidden_layer_sizes": (20,)}
    daan = _fit(DAANClassifier, few, omega=1, **params)
    dann = _fit(DANNClassifier, few, **params)
    pairs = zip(daan.net_.module_.parameters(), dann.net_.module_.parameters(), strict=True)
    for mine, theirs in pairs:
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-4)
    assert daan.omega_ == 1


def test_omega_zero_is_not_dann(few):
    daan, dann = _fit(DAANClassifier, few, omega=0), _fit(DANNClassifier, few)
    first, second = (next(clf.net_.module_.parameters()) for clf in (daan, dann))
    assert not torch.allclose(first, second, atol=1e-3)


def test_omega_stays_between_zero_and_one_and_is_in_the_history(few):
    clf = _fit(DAANClassifier, few)
    omegas = clf.history_[:, "omega"]
    assert len(omegas) == 3 and all(0 <= omega <= 1 for omega in omegas)
    assert clf.omega_ == omegas[-1]


def test_without_target_there_is_no_omega(few):
    clf = DAANClassifier(max_epochs=1, trade_off=0, random_state=0)
    clf.fit(few["X"], few["y"], X_target=few["X_target"])
    assert np.isnan(clf.omega_)


@pytest.mark.parametrize(("error", "distance"), [(0.0, 2.0), (0.25, 1.0), (0.75, 1.0), (1.0, 2.0)])
def test_a_distance_of_swapped_domains_is_the_same(error, distance):
    assert a_distance(error) == distance


def test_a_distance_of_chance_is_positive():
    assert 0 < a_distance(0.5) < 0.01


def test_one_class_gives_the_global_loss():
    torch.manual_seed(0)
    adversary = DynamicAdversary(("features",), {"features": 4, "logits": 1}, omega=0.0)
    everything = adversary.everything.discriminator
    linears = [part for part in everything.modules() if isinstance(part, torch.nn.Linear)]
    for layer, linear in zip(adversary.by_class.layers, linears, strict=True):
        layer.weight.data[0], layer.bias.data[0, 0] = linear.weight.T, linear.bias
    source, target = (_domain(torch.randn(n, 4), torch.zeros(n, 1)) for n in (6, 5))
    local = adversary(source, target)
    adversary.omega = 1.0
    torch.testing.assert_close(local, adversary(source, target))


def _domain(features, logits):
    return Activations({"features": features, "logits": logits}, ("features",))


def _omega_after_training(source, target, n_steps=200):
    torch.manual_seed(0)
    adversary = DynamicAdversary(("features",), {"features": 2, "logits": 2}, omega="dynamic")
    optimizer = torch.optim.Adam(adversary.parameters(), lr=1e-2)
    for step in range(n_steps):
        optimizer.zero_grad()
        adversary(source, target).backward()
        optimizer.step()
        if step % 5 == 4:
            adversary.end_epoch()
            adversary.everything.accuracy.end_epoch()
    return adversary.omega


def _domain_of(labels, centres):
    generator = torch.Generator().manual_seed(0)
    noise = 0.3 * torch.randn(len(labels), 2, generator=generator)
    # Predictions are certain, and right.
    return _domain(centres[labels] + noise, 20.0 * torch.nn.functional.one_hot(labels, 2))


def test_a_swap_of_classes_gives_the_weight_to_the_classes():
    labels = torch.arange(200) % 2
    centres = torch.tensor([[-1.0, 0.0], [1.0, 0.0]])
    # Where the one class of the source lies the other of the target does: all rows are alike.
    source, target = _domain_of(labels, centres), _domain_of(labels, -centres)
    assert _omega_after_training(source, target) < 0.3


def test_other_shares_of_like_classes_give_the_weight_to_the_global_discriminator():
    centres = torch.tensor([[-1.0, 0.0], [1.0, 0.0]])
    rare, frequent = (torch.arange(200) % 10 < n for n in (1, 9))
    source, target = _domain_of(rare.long(), centres), _domain_of(frequent.long(), centres)
    assert _omega_after_training(source, target) > 0.7


def _many_classes(n_rows=48, n_classes=40, certainty=5.0):
    """Two domains whose rows are predicted to be of few classes."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(12, (n_rows,), generator=generator)
    logits = certainty * torch.nn.functional.one_hot(labels, n_classes)
    return [_domain(torch.randn(n_rows, 4, generator=generator), logits) for _ in range(2)]


@pytest.mark.parametrize("certainty", [0.0, 20.0])
def test_busiest_of_many_classes_stand_for_all(certainty):
    torch.manual_seed(0)
    adversary = DynamicAdversary(("features",), {"features": 4, "logits": 40}, omega=0.0).eval()
    domains = _many_classes(certainty=certainty)
    probabilities = [domain["logits"].softmax(dim=1) for domain in domains]
    logits = [
        adversary.by_class(d["features"], p) for d, p in zip(domains, probabilities, strict=True)
    ]
    every_class = domain_cross_entropy(*logits).item()
    loss = adversary(*domains).item()
    # Both lie next to log 2, from which they differ by about the same.
    assert loss - LOG_2 == pytest.approx(every_class - LOG_2, rel=0.5, abs=2e-3)


def test_of_many_classes_those_without_rows_rest():
    torch.manual_seed(0)
    adversary = DynamicAdversary(("features",), {"features": 4, "logits": 40}, omega=0.5)
    adversary(*_many_classes()).backward()
    learn = [p.grad is not None for p in adversary.by_class.parameters()]
    assert sum(learn) == 32 and all(learn[:12])


def test_errors_of_many_classes_are_counted_by_class():
    torch.manual_seed(0)
    adversary = DynamicAdversary(("features",), {"features": 4, "logits": 40}, omega="dynamic")
    adversary(*_many_classes(certainty=50.0))
    masses = adversary._counts[2:].sum(dim=0)
    assert masses[:12].sum().item() == pytest.approx(2 * 48) and masses[12:].max() < 1e-6
    assert 0 <= adversary.end_epoch()["omega"] <= 1


def test_classes_that_are_asked_stand_for_those_that_are_not():
    torch.manual_seed(0)
    adversary = DynamicAdversary(("features",), {"features": 4, "logits": 40}, omega=0.0).eval()
    for network in adversary.by_class.parameters():  # all alike
        network.data.copy_(5 * next(adversary.by_class.parameters()).data.sign())
    domains = [_domain(torch.randn(30, 4), torch.zeros(30, 40)) for _ in range(2)]
    logits = [adversary.by_class(d["features"], torch.full((30, 40), 1 / 40)) for d in domains]
    torch.testing.assert_close(adversary(*domains), domain_cross_entropy(*logits))
