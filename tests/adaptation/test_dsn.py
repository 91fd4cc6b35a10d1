"""DSN: shared and private codes, a decoder of their sum, and a delay."""

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

from skda.adaptation import DSNClassifier
from skda.adaptation.adversarial._dsn import DelayedSchedule, DomainSeparation
from skda.base import DeepAdaptationClassifier
from skda.losses import difference_loss
from skda.nn import Activations
from skda.training import progressive

WEIGHTS = ("reconstruction_weight", "difference_weight", "similarity_weight")


def _fit(few, cls=DSNClassifier, **params):
    clf = cls(**{"max_epochs": 2, "random_state": 0, **params})
    return clf.fit(few["X"], few["y"], X_target=few["X_target"])


def _flat(parameters):
    return torch.cat([p.detach().flatten().clone() for p in parameters])


# -- the losses -------------------------------------------------------------------------------


class _Constant(nn.Module):
    def __init__(self, code):
        super().__init__()
        self.code = code

    def forward(self, inputs):
        return self.code


def _separation(private, decoder, **weights):
    weights = {"reconstruction_weight": 1.0, "difference_weight": 0.0, **weights}
    return DomainSeparation([_Constant(code) for code in private], decoder, **weights)


def _domain(features, inputs):
    return Activations({"features": features, "inputs": inputs}, ("inputs",))


def test_the_decoder_gets_the_sum_of_both_codes():
    generator = torch.Generator().manual_seed(0)
    shared, private, inputs = torch.randn(3, 5, 4, generator=generator)
    both = [_domain(shared, shared + private), _domain(shared, shared + private)]
    assert _separation([private, private], nn.Identity())(*both).item() == pytest.approx(0)
    other = [_domain(shared, inputs), _domain(shared, inputs)]
    assert _separation([private, private], nn.Identity())(*other) > 0.1


def test_brightness_costs_nothing():
    shared, private = torch.randn(5, 4), torch.randn(5, 4)
    brighter = _domain(shared, shared + private + 3.0)
    loss = _separation([private, private], nn.Identity())(brighter, brighter)
    assert loss.item() == pytest.approx(0, abs=1e-5)


def test_difference_is_that_of_both_domains():
    shared, private, inputs = torch.randn(5, 4), torch.randn(5, 4), torch.randn(5, 4)
    weights = {"reconstruction_weight": 0.0, "difference_weight": 2.0}
    loss = _separation([private, inputs], nn.Identity(), **weights)(
        _domain(shared, inputs), _domain(shared, inputs)
    )
    expected = 2 * (difference_loss(shared, private) + difference_loss(shared, inputs))
    torch.testing.assert_close(loss, expected)


# -- the delay --------------------------------------------------------------------------------


def test_schedule_is_zero_until_the_delay_is_over():
    schedule = DelayedSchedule(progressive, 0.2)
    assert schedule(0.0) == schedule(0.19) == 0
    assert schedule(0.6) == pytest.approx(progressive(0.5))
    assert schedule(1.0) == pytest.approx(progressive(1.0))


class FirstEpoch(Callback):
    weights = {}  # copies of this callback share it

    def __init__(self, name):
        self.name = name

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) <= 2:
            self.weights[self.name, len(net.history)] = _flat(net.module_.parameters())


def test_before_the_delay_is_over_the_network_learns_as_from_the_source_alone(few):
    same = {"max_epochs": 4, "module__dropout": 0.0}
    _fit(few, callbacks=[FirstEpoch("dsn")], delay=0.5, **same)
    _fit(few, DeepAdaptationClassifier, trade_off=0, callbacks=[FirstEpoch("alone")], **same)
    _fit(few, callbacks=[FirstEpoch("at once")], delay=0.0, **same)
    weights = FirstEpoch.weights
    for epoch in (1, 2):
        torch.testing.assert_close(
            weights["dsn", epoch], weights["alone", epoch], atol=1e-4, rtol=1e-3
        )
        assert not torch.allclose(weights["at once", epoch], weights["alone", epoch], atol=1e-3)


# -- what learns ------------------------------------------------------------------------------


def test_labels_teach_the_private_encoders_nothing(few):
    without = {"reconstruction_weight": 0.0, "difference_weight": 0.0, "delay": 0.0}
    short, long = (_fit(few, max_epochs=n, **without) for n in (1, 3))
    encoders = [_flat(clf.net_.alignment_[0].loss.encoders.parameters()) for clf in (short, long)]
    assert torch.equal(*encoders)
    learned = _fit(few, max_epochs=3, delay=0.0).net_.alignment_[0].loss.encoders
    assert not torch.allclose(encoders[0], _flat(learned.parameters()), atol=1e-3)


@pytest.mark.parametrize("name", WEIGHTS)
def test_every_loss_changes_the_network(few, name):
    silent = dict.fromkeys(WEIGHTS, 0.0)
    alone, changed = (
        _fit(few, delay=0.0, **weights) for weights in (silent, {**silent, name: 1.0})
    )
    first, second = (_flat(clf.net_.module_.parameters()) for clf in (alone, changed))
    assert not torch.allclose(first, second, atol=1e-3)


@pytest.mark.parametrize("similarity", ["dann", "mmd"])
def test_both_similarities(few, similarity):
    clf = _fit(few, similarity=similarity)
    assert ("domain_accuracy" in clf.history_[-1]) == (similarity == "dann")


def test_reconstructions_become_better(digits):
    clf = DSNClassifier(max_epochs=10, delay=0.0, random_state=0)
    clf.fit(digits.X, digits.y, X_target=digits.X_target)
    errors = clf.history_[:, "reconstruction_loss"]
    assert errors[-1] < 0.7 * errors[0]


# -- reconstruct ------------------------------------------------------------------------------


@pytest.mark.parametrize("domain", ["source", "target"])
def test_parts_of_a_reconstruction(few, domain):
    clf = _fit(few)
    X = few["X" if domain == "source" else "X_target"][:6]
    parts = [clf.reconstruct(X, part, domain) for part in ("all", "shared", "private")]
    assert all(rows.shape == X.shape and rows.dtype == np.float32 for rows in parts)
    for first, second in ((0, 1), (0, 2), (1, 2)):
        assert not np.allclose(parts[first], parts[second])


def test_domains_have_private_encoders_of_their_own(few):
    clf = _fit(few)
    source, target = (
        clf.reconstruct(few["X"][:6], "private", domain) for domain in ("source", "target")
    )
    assert not np.allclose(source, target)


def test_reconstructions_are_in_the_units_of_the_inputs(digits):
    clf = DSNClassifier(max_epochs=20, standardize="domain", delay=0.0, random_state=0)
    X_target = 100 + 50 * digits.X_target
    clf.fit(digits.X, digits.y, X_target=X_target)
    errors = np.abs(clf.reconstruct(X_target) - X_target).mean()
    assert errors < np.abs(X_target - X_target.mean()).mean()


def test_images_come_back_as_images():
    rng = np.random.RandomState(0)
    X = rng.randint(256, size=(40, 20, 16, 3), dtype=np.uint8)
    clf = DSNClassifier(max_epochs=1, batch_size=20, random_state=0)
    clf.fit(X, np.arange(40) % 2, X_target=255 - X)
    assert clf.reconstruct(X[:3]).shape == (3, 3, 20, 16)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [({"part": "half"}, "part must be"), ({"domain": "both"}, "domain must be")],
)
def test_unknown_parts_and_domains_are_named(few, keywords, message):
    with pytest.raises(ValueError, match=message):
        _fit(few, max_epochs=1).reconstruct(few["X"][:2], **keywords)


def test_without_target_there_is_no_decoder(few):
    clf = _fit(few, max_epochs=1, trade_off=0)
    with pytest.raises(ValueError, match="reconstruct needs a decoder"):
        clf.reconstruct(few["X"][:2])


def test_a_module_with_weights_has_small_private_encoders(few):
    network = nn.Sequential(nn.Linear(64, 32), nn.ReLU())
    clf = _fit(few, module=network, max_epochs=1)
    assert clf.reconstruct(few["X_target"][:2]).shape == (2, 64)
