"""Stages that are declared wrongly are errors; what a net kept fixed learns in the one after it."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from skda.backbones import BackboneResolver
from skda.losses import coral
from skda.nn import MLP, LayerwiseAlignment
from skda.training import AdaptationModule, AdaptationNet, DomainDataset, Seeds, Stage, Training
from skda.training import run_stages as run

RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 3)).astype(np.float32)
DATA = DomainDataset(X, (X[:, 0] > 0).astype(np.int64), (X + 1,))


def start(_training=None, **params):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = AdaptationModule(MLP(3, hidden_layer_sizes=(4,)), nn.Linear(4, 2), n_targets=1)
    alignment = LayerwiseAlignment({"features": coral})
    return AdaptationNet(module, alignment=alignment, batch_size=20, verbose=0, **params)


def training():
    resolver = BackboneResolver(None, "pretrained", {})
    return Training(DATA, "cpu", Seeds(0, 1, 2, 3, 4), resolver)


def state(net, part):
    return {name: x.clone() for name, x in getattr(net.module_, part).state_dict().items()}


def successor(training):
    return training.net.successor()


@pytest.mark.parametrize(
    "stages, message",
    [
        ([Stage(name="first")], "stage 'first' has no net to go on with"),
        (
            [
                Stage(name="first", make_net=start, max_epochs=1),
                Stage(name="second", make_dataset=lambda training: DATA),
            ],
            "stage 'second' goes on with the net of the stage before, and so with its rows",
        ),
        (
            [
                Stage(name="first", make_net=start, max_epochs=1, batches="source"),
                Stage(name="second", batches="paired"),
            ],
            "stage 'second' goes on with the net of the stage before",
        ),
        (
            [Stage(name="first", make_net=start, max_epochs=1, learns=("heads",))],
            "learns of stage 'first' holds 'heads', .* 'head'",
        ),
    ],
)
def test_a_stage_that_would_be_passed_over_is_an_error(stages, message):
    with pytest.raises(ValueError, match=message):
        run(stages, training())


def test_batches_and_learns_are_checked_at_once():
    with pytest.raises(ValueError, match="batches of stage 'a' must be"):
        Stage(name="a", batches="pairs")
    with pytest.raises(TypeError, match=r"write \('head',\)"):
        Stage(name="a", learns="head")


def test_what_one_net_kept_fixed_learns_in_its_successor():
    trained, states = training(), []
    stages = [
        Stage(name="head", make_net=start, max_epochs=1, learns=("head",)),
        Stage(
            name="look",
            max_epochs=0,
            run=lambda training: states.append(state(training.net, "backbone")),
        ),
        Stage(name="all", make_net=successor, max_epochs=1),
    ]
    before = start().initialize()
    run(stages, trained)
    before, after_head = state(before, "backbone"), states[0]
    assert all(torch.equal(before[name], after_head[name]) for name in before)  # statistics too
    after = state(trained.net, "backbone")
    assert not torch.equal(after["hidden1.0.weight"], before["hidden1.0.weight"])
    assert [len(history) for history in trained.histories.values()] == [1, 1]


def test_the_head_is_all_that_follows_the_backbone():
    def with_bottleneck(training):
        net = start(training)
        net.module.bottleneck = nn.Linear(4, 4)
        return net

    trained, net = training(), with_bottleneck(training())
    before = net.module.bottleneck.weight.clone()
    stage = Stage(name="body", make_net=lambda _: net, max_epochs=1, learns=("backbone",))
    run([stage], trained)
    assert torch.equal(before, net.module_.bottleneck.weight)
    run([replace(stage, learns=("head",))], trained)
    assert not torch.equal(before, net.module_.bottleneck.weight)


def test_epochs_of_a_stage_are_those_of_its_net():
    trained = training()
    short = Stage(name="short", make_net=partial(start, max_epochs=5), max_epochs=3)
    run([short, Stage(name="long", make_net=successor)], trained)
    assert {name: len(history) for name, history in trained.histories.items()} == {
        "short": 3,
        "long": 5,
    }


def test_a_net_keeps_of_its_stages_no_function():
    trained = training()
    run([Stage(name="only", make_net=start, max_epochs=1)], trained)
    assert trained.net.stages == (Stage(name="only", max_epochs=1),)


def test_a_successor_refuses_what_no_net_knows():
    net = start(max_epochs=1).fit(DATA, None)
    with pytest.raises(ValueError, match="learning_rate"):
        net.successor(learning_rate=1).fit(DATA, None)


@pytest.mark.parametrize(
    "stages, error, message",
    [
        (lambda: [], ValueError, "no stage that has a net"),
        (lambda: None, TypeError, "must return a list of Stage"),
        (lambda: Stage(name="a", make_net=start), TypeError, "must return a list of Stage"),
        (
            lambda: [Stage(name="a", make_net=start), Stage(name="b")],
            ValueError,
            "stage 'b' would never begin",
        ),
        (
            lambda: [Stage(name="a", make_net=start), Stage(name="a", make_net=start)],
            ValueError,
            "two stages are called 'a'",
        ),
        (lambda: [Stage(name="a", max_epochs=-1)], ValueError, "whole number of 0 or more"),
        (lambda: [Stage(name="a", max_epochs=1.5)], ValueError, "whole number of 0 or more"),
        (lambda: [Stage(name="a", batches="target")], ValueError, "batches='target'"),
        (lambda: [Stage(name="a", run=print, max_epochs=3)], ValueError, "in|has run"),
        (lambda: [Stage(name="a", run=print, make_net=start)], ValueError, "has run"),
    ],
)
def test_wrong_lists_of_stages(stages, error, message):
    with pytest.raises(error, match=message):
        run(stages(), training())


def test_a_successor_has_the_optimizer_that_it_is_given():
    net = start(optimizer__weight_decay=0.5).initialize()
    same, other = net.successor(lr=0.1), net.successor(optimizer=torch.optim.SGD)
    assert same.optimizer__weight_decay == 0.5 and same.lr == 0.1
    assert "optimizer__weight_decay" not in other.get_params()
    assert same.module is net.module
