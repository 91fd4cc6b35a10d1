"""Adversaries of the methods: they learn at full strength, and stay as they are in turn."""

import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

from skda.adaptation import (
    ADDAClassifier,
    CDANClassifier,
    CoGANClassifier,
    DAANClassifier,
    DANNClassifier,
    DomainConfusionClassifier,
    JANClassifier,
    LabelEfficientClassifier,
    MCDClassifier,
    SANClassifier,
    WDGRLClassifier,
)
from skda.base import DeepAdaptationClassifier
from skda.losses import coral
from skda.nn import DomainAdversary, joint

TURN_BY_TURN = [WDGRLClassifier, MCDClassifier, ADDAClassifier, CoGANClassifier]


class Turns(Callback):
    """The adversary's gradients: in every step of its own, and after the network's backward."""

    def on_train_begin(self, net, **kwargs):
        self.of_its_own, self.after_the_network = [], []
        optimizer = getattr(net, "adversary_optimizer_", None)
        if optimizer is not None:
            optimizer.register_step_pre_hook(lambda *args: self.of_its_own.append(_gradients(net)))

    def on_grad_computed(self, net, **kwargs):
        self.after_the_network.append(_gradients(net))


def _gradients(net):
    gradients = [parameter.grad for _, parameter in net.adversary_parameters()]
    return [gradient.clone() for gradient in gradients if gradient is not None]


def _fit(cls, few, **params):
    defaults = {"max_epochs": 1, "batch_size": 50, "random_state": 0}
    clf = cls(callbacks=[("turns", Turns())], **{**defaults, **params})
    clf.fit(few["X"][:100], few["y"][:100], X_target=few["X_target"][:100])
    return clf, dict(clf.net_.callbacks_)["turns"]


@pytest.mark.parametrize("cls", TURN_BY_TURN)
def test_the_turn_of_the_network_gives_the_adversary_no_gradient(cls, few):
    _, turns = _fit(cls, few, trade_off_schedule="constant")
    own, after = turns.of_its_own[-1], turns.after_the_network[-1]
    assert len(own) == len(after) > 0
    assert all(torch.equal(mine, same) for mine, same in zip(own, after, strict=True))


@pytest.mark.parametrize("cls", TURN_BY_TURN)
def test_the_adversary_can_learn_after_every_turn(cls, few):
    clf, _ = _fit(cls, few)
    assert all(parameter.requires_grad for _, parameter in clf.net_.adversary_parameters())


# MCD, MDD and DALN weigh their adversaries by definition.
@pytest.mark.parametrize(
    "cls, params",
    [
        (DANNClassifier, {}),
        (CDANClassifier, {}),
        (DAANClassifier, {}),
        (SANClassifier, {}),
        (JANClassifier, {"adversarial": True}),
        (DomainConfusionClassifier, {}),
        (LabelEfficientClassifier, {}),
        (WDGRLClassifier, {}),
        (ADDAClassifier, {}),
        (CoGANClassifier, {}),
        (DeepAdaptationClassifier, {"alignment": "dann"}),
        (DeepAdaptationClassifier, {"alignment": [("dann", ("features",), 1.0)]}),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
@pytest.mark.parametrize("at_first", [0.01, 0.0])
def test_the_gradient_of_the_adversary_does_not_depend_on_the_trade_off(cls, params, at_first, few):
    gradients = []
    for schedule in ("constant", lambda progress: at_first):
        # Statistics that domains share take in the target by the trade-off.
        params = {"batch_norm": "domain", **params}
        _, turns = _fit(cls, few, trade_off_schedule=schedule, **params)
        steps = turns.of_its_own or turns.after_the_network
        gradients.append(steps[0])
    strong, weak = gradients
    assert len(strong) == len(weak) > 0 and max(g.abs().max() for g in strong) > 0
    for first, second in zip(strong, weak, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("weight", [0.1, 3.0])
def test_an_adversary_in_a_list_learns_at_full_strength_whatever_its_weight(weight, few):
    gradients = []
    for value in (1.0, weight):
        alignment = [("dann", ("features",), value), (coral, ("logits",), 1.0)]
        _, turns = _fit(DeepAdaptationClassifier, few, alignment=alignment)
        gradients.append(turns.after_the_network[0])
    for first, second in zip(*gradients, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-5, atol=1e-9)


@joint
class WithOpponent(nn.Module):
    """A pair of losses, of the features and of an opponent."""

    adversarial = False

    def __init__(self, layers, widths):
        super().__init__()
        self.adversary = DomainAdversary(widths["features"])

    def forward(self, source, target):
        detached = (domain["features"].detach() for domain in (source, target))
        return coral(source["features"], target["features"]), self.adversary(*detached)


@pytest.mark.parametrize("trade_off", [0.01, 5.0])
def test_the_loss_of_an_opponent_is_added_as_it_is(trade_off, few):
    gradients = []
    for value in (1.0, trade_off):
        _, turns = _fit(
            DeepAdaptationClassifier, few, alignment=WithOpponent, trade_off=value, max_epochs=1
        )
        gradients.append(turns.after_the_network[0])
    assert len(gradients[0]) > 0
    for first, second in zip(*gradients, strict=True):
        torch.testing.assert_close(first, second, rtol=1e-5, atol=1e-9)
