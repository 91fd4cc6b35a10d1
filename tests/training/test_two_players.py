import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

from skda.nn import MLP, JointAlignment
from skda.training import AdaptationModule, DomainDataset, TwoPlayerNet


class Critic(nn.Linear):
    """Distance of the means along a direction; both losses are noted."""

    def __init__(self, width=8):
        super().__init__(width, 1, bias=False)
        self.seen = []

    def forward(self, source, target):
        self.seen.append(("features", source["features"].requires_grad))
        project = super().forward
        return project(source["features"]).mean() - project(target["features"]).mean()

    def adversary_loss(self, source, target):
        loss = self.weight.square().sum() - self(source, target)
        self.seen[-1] = ("adversary", source["features"].requires_grad)
        return loss


@pytest.fixture
def dataset():
    X = np.random.default_rng(0).standard_normal((40, 3)).astype("float32")
    return DomainDataset(X, (X[:, 0] > 0).astype("int64"), (X + 1,))


def _net(dataset, critic=Critic, **params):
    torch.manual_seed(0)
    backbone = MLP(3, hidden_layer_sizes=(8,), batch_norm=False)
    module = AdaptationModule(backbone, nn.Linear(8, 2), n_targets=1)
    params = {"max_epochs": 2, "batch_size": 20, "verbose": 0, **params}
    net = TwoPlayerNet(module, alignment=JointAlignment(critic(), ()), **params)
    return net.fit(dataset, None)


def _weights(module):
    return torch.cat([parameter.detach().flatten() for parameter in module.parameters()])


def test_the_adversary_takes_its_steps_before_the_network(dataset):
    net = _net(dataset, n_adversary_steps=3, max_epochs=1)
    assert net.alignment_.loss.seen == ([("adversary", False)] * 3 + [("features", True)]) * 2


def test_one_step_of_the_adversary_is_that_of_its_optimizer(dataset):
    torch.manual_seed(0)
    backbone = MLP(3, hidden_layer_sizes=(8,), batch_norm=False)
    AdaptationModule(backbone, nn.Linear(8, 2), n_targets=1)
    critic = Critic()
    with torch.no_grad():
        source = backbone(torch.from_numpy(dataset.X))
        target = backbone(torch.from_numpy(dataset.targets[0]))
    gradient = 2 * critic.weight - (source.mean(dim=0) - target.mean(dim=0))
    expected = critic.weight - 0.1 * gradient
    net = _net(
        dataset,
        max_epochs=1,
        batch_size=40,
        lr_schedule="constant",
        adversary_optimizer=torch.optim.SGD,
        adversary_optimizer__lr=0.1,
    )
    assert torch.allclose(net.alignment_.loss.weight, expected, atol=1e-5)


def test_the_network_learns_with_the_adversary_as_it_is(dataset):
    net = _net(dataset, adversary_optimizer__lr=0.0)
    torch.manual_seed(0)
    backbone = MLP(3, hidden_layer_sizes=(8,), batch_norm=False)
    AdaptationModule(backbone, nn.Linear(8, 2), n_targets=1)
    assert torch.equal(net.alignment_.loss.weight, Critic().weight)


class Turns(Callback):
    """The adversary's gradients when it takes its last step, and after the network's backward."""

    def on_train_begin(self, net, **kwargs):
        net.adversary_optimizer_.register_step_pre_hook(
            lambda *args: setattr(self, "of_its_own", self._gradients(net))
        )

    def on_grad_computed(self, net, **kwargs):
        self.after_the_network = self._gradients(net)

    @staticmethod
    def _gradients(net):
        return [parameter.grad.clone() for _, parameter in net.adversary_parameters()]


def test_the_network_gives_the_adversary_no_gradient(dataset):
    turns = dict(_net(dataset, callbacks=[("turns", Turns())]).callbacks_)["turns"]
    for own, after in zip(turns.of_its_own, turns.after_the_network, strict=True):
        assert own.abs().max() > 0 and torch.equal(own, after)


def test_the_gradient_norm_of_the_adversary_is_that_of_its_own_loss(dataset):
    net = _net(dataset, callbacks=[("turns", Turns())])
    (own,) = dict(net.callbacks_)["turns"].of_its_own
    assert net.history[-1, "adversary_gradient_norm"] == pytest.approx(own.norm().item())


def test_the_adversary_cannot_learn_in_the_turn_of_the_network_and_can_afterwards(dataset):
    can_learn = []

    class Noting(Critic):
        def forward(self, source, target):
            can_learn.append(self.weight.requires_grad)
            return super().forward(source, target)

    net = _net(dataset, critic=Noting, n_adversary_steps=2, max_epochs=1)
    assert can_learn == [True, True, False] * 2
    assert net.alignment_.loss.weight.requires_grad


def test_what_of_the_adversary_does_not_learn_stays_so(dataset):
    class WithFixed(Critic):
        def __init__(self):
            super().__init__()
            self.fixed = nn.Parameter(torch.ones(1), requires_grad=False)

    net = _net(dataset, critic=WithFixed)
    assert not net.alignment_.loss.fixed.requires_grad


@pytest.mark.parametrize("n_adversary_steps", [1, 3])
def test_the_adversary_learns_at_full_strength_whatever_the_trade_off(dataset, n_adversary_steps):
    trade_offs = [
        {"trade_off": 1.0},
        {"trade_off": 0.01},
        {"trade_off_schedule": lambda progress: 0.0},
    ]
    first, *others = (
        _net(
            dataset,
            max_epochs=1,
            batch_size=40,  # a single step
            n_adversary_steps=n_adversary_steps,
            adversary_optimizer=torch.optim.SGD,
            adversary_optimizer__lr=0.1,
            **params,
        ).alignment_.loss.weight
        for params in trade_offs
    )
    assert not torch.equal(first, _net(dataset, adversary_optimizer__lr=0.0).alignment_.loss.weight)
    assert all(torch.equal(first, other) for other in others)


def test_the_adversary_changes_the_network(dataset):
    assert not torch.allclose(
        _weights(_net(dataset).module_), _weights(_net(dataset, n_adversary_steps=5).module_)
    )


def test_both_learning_rates_follow_the_schedule(dataset):
    rates = []

    class Net(TwoPlayerNet):
        def train_step_single(self, batch, **fit_params):
            rates.append([group["lr"] for group in self._param_groups()])
            return super().train_step_single(batch, **fit_params)

    module = AdaptationModule(MLP(3, hidden_layer_sizes=(8,)), nn.Linear(8, 2), n_targets=1)
    net = Net(
        module,
        alignment=JointAlignment(Critic(), ()),
        lr=0.1,
        adversary_optimizer__lr=0.2,
        max_epochs=2,
        batch_size=20,
        verbose=0,
    )
    net.fit(dataset, None)
    first, last = np.array(rates[0]), np.array(rates[-1])
    assert first.tolist() == [0.1, 0.2]
    assert last == pytest.approx(first * 11**-0.75)


def test_history_holds_both_losses_and_the_health(dataset):
    history = _net(dataset).history
    for name in ("adversary_loss", "alignment_loss", "adversary_gradient_norm", "target_classes"):
        assert len(history[:, name]) == 2
