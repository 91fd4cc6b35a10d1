"""WDGRL: steps of the critic, then one of the network."""

import pytest
import torch
from devices import on_cpu
from torch import nn

from skda.adaptation import WDGRLClassifier
from skda.adaptation.adversarial._wdgrl import WassersteinCritics
from skda.losses import critic_distance, gradient_penalty
from skda.nn import Activations


def _fit(few, **params):
    clf = WDGRLClassifier(**{"max_epochs": 2, "random_state": 0, **params})
    return clf.fit(few["X"], few["y"], X_target=few["X_target"])


def _weights(clf):
    return torch.cat([p.flatten() for p in on_cpu(clf.net_.module_.parameters())])


def _domains(width=3):
    generator = torch.Generator().manual_seed(0)
    return [
        Activations({"features": torch.randn(n, width, generator=generator) + shift}, ("features",))
        for n, shift in ((12, 0), (8, 1))
    ]


def test_the_network_sees_the_distance_and_the_critic_the_penalty_too():
    critic = nn.Linear(3, 1)
    critics = WassersteinCritics([critic], penalty_weight=10.0)
    source, target = _domains()
    distance = critic_distance(critic(source["features"]), critic(target["features"]))
    torch.testing.assert_close(critics(source, target), distance)
    # Of a linear critic it does not depend on where it is evaluated.
    penalty = gradient_penalty(critic, source["features"], target["features"])
    torch.testing.assert_close(critics.adversary_loss(source, target), -distance + 10 * penalty)


def test_domain_accuracy_is_on_which_side_of_the_middle_rows_are():
    critic = nn.Linear(1, 1)
    nn.init.ones_(critic.weight)
    critics = WassersteinCritics([critic], penalty_weight=0.0)
    source = Activations({"features": torch.tensor([[5.0], [6.0], [1.0]])}, ("features",))
    target = Activations({"features": torch.tensor([[0.0], [0.0], [0.0]])}, ("features",))
    critics(source, target)
    assert critics.accuracy.end_epoch()["domain_accuracy"] == pytest.approx((2 / 3 + 1) / 2)


def test_one_step_of_both_players(few):
    network, critic = nn.Sequential(nn.Linear(64, 8), nn.ReLU()), nn.Linear(8, 1)
    clf = WDGRLClassifier(
        module=network,
        critic=critic,
        n_critic=3,
        penalty_weight=0.0,
        trade_off=0.5,
        trade_off_schedule="constant",
        optimizer="sgd",
        lr=0.1,
        lr_schedule="constant",
        head_lr_multiplier=1.0,
        critic_optimizer__lr=0.01,
        max_epochs=1,
        batch_size=200,
        random_state=0,
    )
    X, X_target = (torch.tensor(few[name]).float() for name in ("X", "X_target"))
    features, moved = network(X), network(X_target)
    optimizer = torch.optim.Adam(critic.parameters(), lr=0.01)
    clf.fit(few["X"], few["y"], X_target=few["X_target"])
    for _ in range(3):
        optimizer.zero_grad()
        (critic(moved.detach()).mean() - critic(features.detach()).mean()).backward()
        optimizer.step()
    mine = clf.net_.alignment_.loss.critics[0]
    torch.testing.assert_close(mine.weight, critic.weight, atol=1e-5, rtol=1e-4)

    # The head starts as that of a network that is trained on the source alone.
    start = WDGRLClassifier(**{**clf.get_params(), "lr": 1e-12, "trade_off": 0})
    head = start.fit(few["X"], few["y"], X_target=few["X_target"]).net_.module_.head
    y = torch.tensor(few["y"])
    loss = nn.functional.cross_entropy(head(features), y)
    distance = 0.5 * (critic(features).mean() - critic(moved).mean())
    (taught,) = torch.autograd.grad(loss, features, retain_graph=True)
    pulled = torch.autograd.grad(distance, (features, moved), retain_graph=True)
    # Half of the pull of the labels, but no less than that of the usual trade-off.
    limit = max(0.5 * taught.norm() / torch.cat(pulled).norm(), 0.1 / 0.5)
    assert limit < 0.9  # or the step would not show it
    loss = loss + limit * distance
    gradient = torch.autograd.grad(loss, network[0].weight)[0]
    new = clf.net_.module_.backbone[0].weight
    torch.testing.assert_close(new, network[0].weight - 0.1 * gradient, atol=1e-5, rtol=1e-4)


def test_the_penalty_has_no_part_in_the_step_of_the_network(few):
    fixed = {"critic_optimizer__lr": 0.0}
    without, with_ = (_fit(few, penalty_weight=weight, **fixed) for weight in (0.0, 100.0))
    assert torch.equal(_weights(without), _weights(with_))


def test_more_steps_of_the_critic_change_the_network(few):
    once, often = (_fit(few, n_critic=n) for n in (1, 5))
    assert not torch.allclose(_weights(once), _weights(often), atol=1e-4)


def test_the_distance_falls(digits):
    distances = []
    for trade_off in (1e-9, 1.0):
        clf = WDGRLClassifier(trade_off=trade_off, max_epochs=10, random_state=0)
        clf.fit(digits.X, digits.y, X_target=digits.X_target)
        distances.append(clf.history_[-1, "alignment_loss"])
    assert 0 < distances[1] < 0.5 * distances[0]


def test_history_holds_losses_and_health(few):
    history = _fit(few).history_
    for name in ("adversary_loss", "alignment_loss", "domain_accuracy", "adversary_gradient_norm"):
        assert len(history[:, name]) == 2


def test_a_critic_must_return_one_score_per_row(few):
    with pytest.raises(ValueError, match=r"critic: Linear must return one"):
        _fit(few, critic=nn.Linear(64, 2))


def test_keywords_reach_critic_and_its_optimizer(few):
    clf = _fit(few, critic__hidden_layer_sizes=(7,), critic_optimizer__lr=0.25)
    assert clf.net_.alignment_.loss.critics[0][1].in_features == 7
    assert clf.net_.adversary_optimizer_.param_groups[0]["lr"] == 0.25
    with pytest.raises(TypeError, match="critic_optimizer__rate"):
        _fit(few, critic_optimizer__rate=0.25)
