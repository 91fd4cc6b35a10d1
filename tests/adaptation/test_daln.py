"""DALN: the head plays against the features."""

import numpy as np
import pytest
import torch

from skda.adaptation import DALNClassifier
from skda.adaptation.adversarial._daln import HeadCriticNet, criticize
from skda.losses import nuclear_wasserstein
from skda.nn import MLP, JointAlignment
from skda.training import AdaptationModule, DomainDataset

STEP = {
    "max_epochs": 1,
    "batch_size": 200,
    "trade_off_schedule": "constant",
    "optimizer": "sgd",
    "lr": 1e-2,
}


def _fit(few, **params):
    clf = DALNClassifier(**{"max_epochs": 2, "random_state": 0, **params})
    return clf.fit(few["X"], few["y"], X_target=few["X_target"])


@pytest.fixture
def net():
    """A net in the middle of training, in float64, and the activations of a batch."""
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(13, 5, generator=generator)
    module = AdaptationModule(
        MLP(5, hidden_layer_sizes=(4,), batch_norm=False), torch.nn.Linear(4, 3), n_targets=1
    )
    net = HeadCriticNet(module, alignment=JointAlignment(criticize, ()), trade_off=0.3, verbose=0)
    net.fit(DomainDataset(X[:9].numpy(), np.arange(9) % 3, (X[9:].numpy(),)), None, epochs=1)
    net.module_.double().train()
    net.current_trade_off = 0.3
    with net.module_.rows.of((9, 4)):
        logits, activations = net.infer(X.double())
        yield net, {**activations, "logits": logits}


def _gradients(loss, net):
    backbone, head = net.module_.backbone.parameters(), net.module_.head.parameters()
    return torch.autograd.grad(loss, [*backbone, *head], retain_graph=True)


def test_loss_is_minus_the_discrepancy_of_the_predictions(net):
    net, activations = net
    loss, _ = net.get_alignment_loss(activations, torch.arange(9) % 3)
    logits = activations["logits"]
    torch.testing.assert_close(loss, -nuclear_wasserstein(logits[:9], logits[9:]))


def test_the_head_ascends_the_discrepancy_and_the_backbone_descends_it(net):
    net, activations = net
    _, weighted = net.get_alignment_loss(activations, torch.arange(9) % 3)
    logits = activations["logits"]
    expected = _gradients(0.3 * nuclear_wasserstein(logits[:9], logits[9:]), net)
    signs = [1, 1, -1, -1]  # weight and bias, of the backbone and of the head
    for given, plain, sign in zip(_gradients(weighted, net), expected, signs, strict=True):
        assert plain.any()
        torch.testing.assert_close(given, sign * plain)


def test_a_step_moves_backbone_and_head(few):
    little, much = (_fit(few, trade_off=trade_off, **STEP) for trade_off in (1e-12, 1.0))
    for part in ("backbone", "head"):
        first, second = (getattr(clf.net_.module_, part).parameters() for clf in (little, much))
        assert not torch.allclose(next(first), next(second), atol=1e-6)


def test_no_parameter_is_optimised_twice(few):
    net = _fit(few).net_
    learned = [p for group in net.optimizer_.param_groups for p in group["params"]]
    assert len(learned) == len(set(learned)) == len(list(net.module_.parameters()))


def test_a_tiny_trade_off_leaves_the_head_to_the_labels(few):
    alone = _fit(few, trade_off=0, **STEP)
    tiny = _fit(few, trade_off=1e-12, **STEP)
    torch.testing.assert_close(alone.net_.module_.head.weight, tiny.net_.module_.head.weight)


def test_history_holds_the_discrepancy_and_the_health(few):
    history = _fit(few).history_
    assert all(-1 <= loss <= 1 for loss in history[:, "alignment_loss"])
    for name in ("encoder_gradient_norm", "adversary_gradient_norm", "target_classes"):
        assert all(figure > 0 for figure in history[:, name])


def test_several_targets(few):
    clf = DALNClassifier(max_epochs=2, random_state=0)
    clf.fit(few["X"], few["y"], X_target=(few["X_target"][:70], few["X_target"][70:]))
    assert clf.predict(few["X_target"]).shape == (150,)
