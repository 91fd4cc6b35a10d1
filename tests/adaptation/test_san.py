"""SAN: classes that the target lacks fall silent."""

import numpy as np
import pytest
import torch

from skda.adaptation import SANClassifier
from skda.adaptation.adversarial._san import SelectiveAdversary
from skda.losses import domain_cross_entropy
from skda.nn import Activations


def _domain(features, logits):
    return Activations({"features": features, "logits": logits}, ("features",))


@pytest.fixture
def domains():
    generator = torch.Generator().manual_seed(0)
    return [
        _domain(torch.randn(n, 4, generator=generator), 3 * torch.randn(n, 3, generator=generator))
        for n in (6, 5)
    ]


@pytest.fixture
def adversary():
    torch.manual_seed(0)
    return SelectiveAdversary(("features",), {"features": 4, "logits": 3})


def test_equal_weights_are_those_of_many_adversaries(adversary, domains):
    expected = 0
    for number in range(3):
        logits = [adversary.by_class(d["features"])[:, number, None] for d in domains]
        weights = [d["logits"].softmax(dim=1)[:, number, None] for d in domains]
        expected = expected + domain_cross_entropy(*logits, *weights)
    torch.testing.assert_close(adversary(*domains), expected)


def test_classes_that_the_target_lacks_get_no_weight(adversary, domains):
    source, target = domains
    target["logits"] = target["logits"] + torch.tensor([0.0, 0.0, -50.0])
    adversary(source, target)
    adversary.end_epoch()
    assert adversary.class_weights[2] < 1e-6
    assert adversary.class_weights.sum().item() == pytest.approx(1)
    adversary(source, target).backward()
    gradient = adversary.by_class.layers[0].weight.grad
    assert gradient[0].any() and gradient[2].abs().max() < 1e-6


def test_no_gradient_goes_through_the_predictions(adversary, domains):
    for domain in domains:
        domain["logits"].requires_grad_()
        domain["features"].requires_grad_()
    adversary(*domains).backward()
    assert all(d["logits"].grad is None and d["features"].grad.any() for d in domains)


@pytest.mark.slow
def test_better_than_the_source_alone_on_some_of_its_classes(digits):
    some = digits.y_target < 5
    X_target, y_target = digits.X_target[some], digits.y_target[some]
    gains = []
    for state in range(3):
        scores = [
            SANClassifier(trade_off=trade_off, max_epochs=25, random_state=state)
            .fit(digits.X, digits.y, X_target=X_target)
            .score(X_target, y_target)
            for trade_off in (0, 1)
        ]
        gains.append(scores[1] - scores[0])
    assert min(gains) > 0
    assert np.mean(gains) > 0.08


def test_class_weights_are_those_of_the_last_epoch(few):
    clf = SANClassifier(max_epochs=2, random_state=0)
    clf.fit(few["X"], few["y"], X_target=few["X_target"])
    assert clf.class_weights_.sum() == pytest.approx(1, abs=1e-5)
    clf.set_params(trade_off=0).fit(few["X"], few["y"], X_target=few["X_target"])
    assert clf.class_weights_.shape == (0,)


def test_busiest_of_many_classes_have_the_loss_of_all():
    torch.manual_seed(0)
    adversary = SelectiveAdversary(("features",), {"features": 4, "logits": 40})
    rows = [
        {"features": torch.randn(30, 4), "logits": 30.0 * torch.eye(40)[torch.arange(30) % 7]}
        for _ in range(2)
    ]
    source, target = (Activations(row, ("features",)) for row in rows)
    expected = 0
    for number in range(40):
        logits = [adversary.by_class(r["features"])[:, number, None] for r in rows]
        weights = [r["logits"].softmax(dim=1)[:, number, None] for r in rows]
        expected = expected + domain_cross_entropy(*logits, *weights)
    torch.testing.assert_close(adversary(source, target), expected)


def test_of_many_classes_those_with_weight_learn():
    torch.manual_seed(0)
    adversary = SelectiveAdversary(("features",), {"features": 4, "logits": 40})
    adversary.class_weights = torch.cat([torch.zeros(30), torch.full((10,), 0.1)])
    rows = {"features": torch.randn(30, 4), "logits": torch.zeros(30, 40)}
    domain = Activations(rows, ("features",))
    adversary(domain, domain).backward()
    learn = [p.grad is not None and p.grad.any() for p in adversary.by_class.parameters()]
    assert not any(learn[:30]) and all(learn[30:])


def test_classes_that_are_asked_stand_for_those_that_are_not():
    torch.manual_seed(0)
    adversary = SelectiveAdversary(("features",), {"features": 4, "logits": 40})
    for network in adversary.by_class.parameters():  # all alike
        network.data.copy_(next(adversary.by_class.parameters()).data)
    rows = [{"features": torch.randn(30, 4), "logits": torch.zeros(30, 40)} for _ in range(2)]
    source, target = (Activations(row, ("features",)) for row in rows)
    expected = domain_cross_entropy(*(adversary.by_class(row["features"]) for row in rows))
    torch.testing.assert_close(adversary(source, target), expected)


def test_a_target_of_two_classes_is_recognised_by_default(digits):
    some = digits.y < 2
    clf = SANClassifier(max_epochs=15, random_state=0)
    clf.fit(digits.X, digits.y, X_target=digits.X[some])
    assert clf.score(digits.X[some], digits.y[some]) > 0.7
