"""How a net is left: learning rates, pooled statistics, and whatever an exception interrupts."""

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from skorch.dataset import Dataset
from torch import nn

from skda.fine_tuning import FineTuneClassifier
from skda.losses import coral
from skda.nn import MLP, JointAlignment, LayerwiseAlignment
from skda.training import AdaptationModule, AdaptationNet, DomainDataset, TwoPlayerNet

RNG = np.random.default_rng(0)
X = RNG.standard_normal((48, 5))
Y = (X[:, 0] > 0).astype(np.int64)
TARGETS = RNG.standard_normal((40, 5)) + 1, 2 * RNG.standard_normal((30, 5)) - 3


class Critic(nn.Linear):
    """Distance of the means along a direction."""

    def __init__(self):
        super().__init__(8, 1, bias=False)

    def forward(self, source, target):
        project = super().forward
        return project(source["features"]).mean() - project(target["features"]).mean()

    def adversary_loss(self, source, target):
        return self.weight.square().sum() - self(source, target)


def _data(n_targets=1):
    return DomainDataset(X, Y, TARGETS[:n_targets])


def _net(cls=AdaptationNet, n_targets=1, alignment=None, **params):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = AdaptationModule(
            MLP(5, hidden_layer_sizes=(8,)), nn.Linear(8, 2), n_targets=n_targets
        )
        if alignment is None:
            alignment = JointAlignment(Critic(), ()) if cls is TwoPlayerNet else _coral()
    defaults = {"max_epochs": 2, "batch_size": 16, "lr": 0.01, "verbose": 0}
    return cls(module.double(), alignment=alignment.double(), **{**defaults, **params})


def _coral():
    return LayerwiseAlignment({"features": coral})


def _hold_out(dataset):
    training = DomainDataset(dataset.X[:32], dataset.y[:32], dataset.targets)
    return training, Dataset(dataset.X[32:], dataset.y[32:])


# -- learning rates ---------------------------------------------------------------------------


class Rates(Callback):
    """Notes the learning rates of every step."""

    def __init__(self):
        self.seen = []

    def on_grad_computed(self, net, **kwargs):
        self.seen.append(_rates(net))


def _rates(net):
    return [group["lr"] for group in net._param_groups()]


@pytest.mark.parametrize("schedule", ["annealing", "cosine", lambda progress: 0.5])
@pytest.mark.parametrize("cls", [AdaptationNet, TwoPlayerNet])
def test_learning_rates_are_those_of_the_start_again(cls, schedule):
    params = {"adversary_optimizer__lr": 0.2} if cls is TwoPlayerNet else {}
    net = _net(cls, lr_schedule=schedule, head_lr_multiplier=10.0, **params).initialize()
    before = _rates(net)
    net.partial_fit(_data(), None)
    assert _rates(net) == before


@pytest.mark.parametrize("cls", [AdaptationNet, TwoPlayerNet])
def test_a_second_training_has_the_learning_rates_of_the_first(cls):
    net = _net(cls, callbacks=[("rates", Rates())]).initialize()
    for _ in range(2):
        net.partial_fit(_data(), None)
    seen = dict(net.callbacks_)["rates"].seen
    assert seen[:6] == seen[6:] and seen[0] == [0.01] * len(seen[0])
    assert seen[5] == pytest.approx([0.01 * 11**-0.75] * len(seen[0]))


@pytest.mark.parametrize("schedule", ["annealing", "cosine"])
def test_a_training_that_stops_early_restores_them_too(schedule):
    class Stop(Callback):
        def on_epoch_end(self, net, **kwargs):
            raise KeyboardInterrupt

    net = _net(lr_schedule=schedule, max_epochs=5, callbacks=[Stop()]).fit(_data(), None)
    assert len(net.history) == 1 and _rates(net) == [0.01]


@pytest.mark.parametrize("schedule", ["annealing", "cosine"])
def test_partial_fit_after_fit_learns_at_the_learning_rate_of_the_start(schedule, few):
    clf = FineTuneClassifier(
        lr=0.01,
        lr_schedule=schedule,
        max_epochs=2,
        callbacks=[("rates", Rates())],
        random_state=0,
    ).fit(few["X"], few["y"])
    seen = dict(clf.net_.callbacks_)["rates"].seen
    n_before = len(seen)
    clf.partial_fit(few["X"], few["y"])
    later = seen[n_before:]
    assert seen[n_before - 1][0] < 0.002
    assert later and all(rates == [0.01] for rates in later)


# -- pooled statistics ------------------------------------------------------------------------


class Pooled(Callback):
    """Whether the last statistics are those of the mixture of the targets, epoch by epoch."""

    def __init__(self):
        self.seen = []

    def on_epoch_end(self, net, **kwargs):
        self.seen.append(_is_pooled(net.module_))


def _is_pooled(module):
    (norm,) = module.domain_batch_norms()
    _, *targets, pooled = norm.norms
    means = torch.stack([part.running_mean for part in targets])
    variances = torch.stack([part.running_var for part in targets])
    mean = means.mean(dim=0)
    # Of the mixture: the mean of squares without the square of the mean.
    variance = (variances + means.square()).mean(dim=0) - mean.square()
    assert not torch.allclose(means[0], means[1], atol=0.1)
    return torch.allclose(pooled.running_mean, mean, rtol=1e-10) and torch.allclose(
        pooled.running_var, variance, rtol=1e-10
    )


@pytest.mark.parametrize("max_epochs", [1, 3])
@pytest.mark.parametrize("cls", [AdaptationNet, TwoPlayerNet])
def test_statistics_of_several_targets_are_pooled_after_every_epoch(cls, max_epochs):
    net = _net(cls, n_targets=2, max_epochs=max_epochs, callbacks=[("pooled", Pooled())])
    net.fit(_data(2), None)
    assert dict(net.callbacks_)["pooled"].seen == [True] * max_epochs
    assert _is_pooled(net.module_)


def test_estimated_statistics_of_several_targets_are_pooled():
    net = _net(n_targets=2, trade_off=0).fit(_data(2), None)
    assert _is_pooled(net.module_)


def test_statistics_are_pooled_after_every_training():
    net = _net(n_targets=2, max_epochs=1).fit(_data(2), None)
    for _ in range(2):
        net.partial_fit(_data(2), None)
        assert _is_pooled(net.module_)


# -- exceptions -------------------------------------------------------------------------------


class Broken(Exception):
    """What a user's code raises."""


class FailingLoss(nn.Module):
    """A loss that fails the second time."""

    def __init__(self):
        super().__init__()
        self.n_calls = 0

    def forward(self, source, target):
        self.n_calls += 1
        if self.n_calls == 2:
            raise Broken
        return coral(source, target)


class FailsOnce(JointAlignment):
    """A game in which the network's first turn fails."""

    failed = False

    def forward(self, source, target):
        if not self.failed:
            self.failed = True
            raise Broken
        return super().forward(source, target)


class Failing(Callback):
    """Fails at the second batch, of training or of validation."""

    def __init__(self, hook, of_training):
        self.hook, self.of_training, self.n_calls = hook, of_training, 0

    def _fail(self, hook, training):
        if hook != self.hook or training != self.of_training:
            return
        self.n_calls += 1
        if self.n_calls == 2:
            raise Broken

    def on_batch_begin(self, net, training=True, **kwargs):
        self._fail("on_batch_begin", training)

    def on_batch_end(self, net, training=True, **kwargs):
        self._fail("on_batch_end", training)

    def on_grad_computed(self, net, training=True, **kwargs):
        self._fail("on_grad_computed", training)


FAILURES = {
    "loss": lambda: {"alignment": LayerwiseAlignment({"features": FailingLoss()})},
    "schedule": lambda: {"trade_off_schedule": lambda progress: 1 / 0 if progress > 0.1 else 1.0},
    **{
        f"{hook} of {'training' if of_training else 'validation'}": (
            lambda hook=hook, of_training=of_training: {"callbacks": [Failing(hook, of_training)]}
        )
        for hook, of_training in (
            ("on_batch_begin", True),
            ("on_batch_end", True),
            ("on_grad_computed", True),
            ("on_batch_begin", False),
            ("on_batch_end", False),
        )
    },
}


@pytest.mark.parametrize("n_targets", [1, 2])
@pytest.mark.parametrize("failure", FAILURES)
def test_a_net_that_failed_in_an_epoch_takes_rows_for_those_of_the_target(failure, n_targets):
    net = _net(n_targets=n_targets, train_split=_hold_out, **FAILURES[failure]())
    with pytest.raises((Broken, ZeroDivisionError)):
        net.fit(_data(n_targets), None)
    assert net.module_.rows.sizes is None
    rows = TARGETS[0]
    assert len(rows) != sum(net.get_iterator(_data(n_targets), training=True).sizes)
    module = net.module_.eval()
    norm = module.domain_batch_norms()[0].norms[-1]
    with torch.no_grad():
        hidden = norm(module.backbone.hidden1[0](torch.from_numpy(rows))).relu()
        expected = module.head(hidden).softmax(dim=1).numpy()
    np.testing.assert_allclose(net.predict_proba(rows), expected, rtol=1e-10)


def test_rows_are_those_of_the_target_again_after_a_failure_under_other_statistics():
    net = _net().fit(_data(), None)
    expected = net.predict_proba(X)
    with pytest.raises(Broken), net.source_statistics():
        raise Broken
    assert net.module_.rows.sizes is None
    np.testing.assert_array_equal(net.predict_proba(X), expected)


def test_a_forward_that_fails_leaves_no_sizes():
    net = _net().fit(_data(), None)
    with pytest.raises(RuntimeError):
        net.infer(torch.zeros(6, 3, dtype=torch.float64), sizes=(4, 2))
    assert net.module_.rows.sizes is None


def test_an_adversary_learns_again_after_a_failure():
    critic = Critic()
    net = _net(TwoPlayerNet, alignment=FailsOnce(critic, ()))
    with pytest.raises(Broken):
        net.fit(_data(), None)
    assert critic.weight.requires_grad
    before = critic.weight.detach().clone()
    net.fit(_data(), None)
    assert not torch.equal(critic.weight, before)
