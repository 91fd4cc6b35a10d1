"""An alignment whose gradient is held down to that of the classification."""

import numpy as np
import pytest
import torch

from skda.adaptation import DSANClassifier
from skda.training import LimitedAlignmentMixin


class Net(LimitedAlignmentMixin):
    gradient_limit = 0.5
    usual_trade_off = 0.001
    trade_off_schedule = "constant"
    _scaler = None

    def __init__(self, trade_off=1.0):
        self.trade_off = self.current_trade_off = trade_off


class Scaler:
    def scale(self, loss):
        return 2.0**10 * loss


@pytest.fixture
def losses():
    """A loss of labels and an alignment, whose gradients at the features are of norm 6 and 2."""
    hidden = torch.ones(1, 4, requires_grad=True)
    features = 1.0 * hidden
    logits = 2 * features
    return 1.5 * logits.sum(), features.sum(), {"features": features, "logits": logits}


def _pull(loss, activations):
    return torch.autograd.grad(loss, activations["features"], retain_graph=True)[0].norm().item()


def test_a_strong_alignment_pulls_as_much_as_is_allowed(losses):
    labels, alignment, activations = losses
    assert (_pull(labels, activations), _pull(alignment, activations)) == (6, 2)
    held = Net().limit_alignment(100 * alignment, labels, activations)
    assert _pull(held, activations) == pytest.approx(3)


def test_a_weak_alignment_stays_as_it_is(losses):
    labels, alignment, activations = losses
    held = Net().limit_alignment(1.4 * alignment, labels, activations)
    assert torch.equal(held, 1.4 * alignment)


@pytest.mark.parametrize("trade_off", [0.001, 0.0001])
def test_the_usual_trade_off_has_no_limit(losses, trade_off):
    labels, alignment, activations = losses
    net = Net(trade_off)
    assert not net.is_limited()
    assert _pull(net.limit_alignment(100 * alignment, labels, activations), activations) == 200


def test_a_strong_alignment_pulls_as_much_as_the_usual_one(losses):
    labels, alignment, activations = losses
    net = Net(trade_off=0.002)  # twice the usual
    held = net.limit_alignment(100 * alignment, labels, activations)
    assert _pull(held, activations) == pytest.approx(100)


def test_a_schedule_of_ones_own_may_go_above_the_usual_trade_off(losses):
    labels, alignment, activations = losses
    net = Net(trade_off=0.001)
    net.trade_off_schedule, net.current_trade_off = lambda progress: 100.0, 1.0
    held = net.limit_alignment(100 * alignment, labels, activations)
    assert _pull(held, activations) == pytest.approx(3)


def test_the_limit_knows_no_scale_of_float16(losses):
    labels, alignment, activations = losses
    net = Net()
    net._scaler = Scaler()
    held = net.limit_alignment(100 * alignment, labels, activations)
    assert _pull(held, activations) == pytest.approx(3)


def test_all_layers_that_the_alignment_reaches_count(losses):
    """Of an alignment of logits, which moves the features too."""
    labels, _, activations = losses
    held = Net().limit_alignment(100 * activations["logits"].sum(), labels, activations)
    # Labels pull by 3 at the logits and by 6 at the features, the alignment by a third less.
    assert _pull(held, activations) == pytest.approx(3)


def test_a_network_that_does_not_learn_has_no_limit(losses):
    labels, alignment, activations = losses
    fixed = {name: layer.detach() for name, layer in activations.items()}
    assert torch.equal(Net().limit_alignment(100 * alignment, labels, fixed), 100 * alignment)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_the_limit_reaches_layers_of_few_bits(few, precision):
    """Losses are computed from copies of activations, of which the head knows nothing."""
    losses = {
        number: fit(few, trade_off=50.0, trade_off_schedule="constant", precision=number)
        for number in ("float32", precision)
    }
    assert losses[precision] == pytest.approx(losses["float32"], rel=0.05)


def test_an_alignment_that_nothing_can_learn_from_is_not_held(few):
    assert np.isfinite(fit(few, trade_off=50.0, n_frozen=2))


def fit(few, **params):
    clf = DSANClassifier(max_epochs=1, random_state=0, **params)
    return clf.fit(few["X"], few["y"], X_target=few["X_target"]).history_[-1]["train_loss"]
