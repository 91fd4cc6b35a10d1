"""Stages: what learns in which epoch, from which random numbers, and how far progress is."""

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

from skda.nn import MLP, LayerwiseAlignment
from skda.training import (
    AdaptationModule,
    AdaptationNet,
    DomainDataset,
    Seeds,
    Stage,
    Training,
    list_blocks,
    run_stages,
)
from skda.training._stages import stage_at

RNG = np.random.default_rng(0)
X = RNG.standard_normal((24, 5)).astype(np.float32)
DATA = DomainDataset(X, (X[:, 0] > 0).astype(np.int64), (X + 1,))
STEPS = 3  # an epoch of 24 source rows, 8 a batch
PARTS = ("backbone", "head", "alignment")


class Distance(nn.Module):
    """Distance of the means, with a scale that learns."""

    def __init__(self, width):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, source, target):
        return (self.scale * (source.mean(dim=0) - target.mean(dim=0))).square().sum()


class PartsByEpoch(Callback):
    """The parameters of every part: at the start, and after every epoch."""

    def on_train_begin(self, net, **kwargs):
        self.seen = [self._look(net)]

    def on_epoch_end(self, net, **kwargs):
        self.seen.append(self._look(net))

    @staticmethod
    def _look(net):
        blocks = net.module_.backbone.named_children()
        parts = {"head": net.module_.head, "alignment": net.alignment_, **dict(blocks)}
        return {
            name: nn.utils.parameters_to_vector(part.parameters()).detach().clone()
            for name, part in parts.items()
        }

    def changed(self):
        return [
            {name for name in after if not torch.equal(before[name], after[name])}
            for before, after in zip(self.seen, self.seen[1:], strict=False)
        ]


def _net(stages, n_frozen=0, **params):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        backbone = MLP(5, hidden_layer_sizes=(8, 6), batch_norm=False, activation=nn.Tanh)
        frozen = list_blocks(backbone)[:n_frozen]
        module = AdaptationModule(backbone, nn.Linear(6, 2), n_targets=1, frozen=frozen)
    defaults = {
        "alignment": LayerwiseAlignment({"features": Distance(6)}),
        "stages": stages,
        "optimizer__weight_decay": 0.1,
        "lr": 0.01,
        "batch_size": 8,
        "callbacks": [("parts", PartsByEpoch())],
        "verbose": 0,
    }
    return AdaptationNet(module, **{**defaults, **params})


def _changed(*args, **params):
    """Return what has changed in every epoch."""
    net = _net(*args, **params).fit(DATA, None)
    return dict(net.callbacks_)["parts"].changed()


# -- what learns ------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", [torch.optim.Adam, torch.optim.SGD])
@pytest.mark.parametrize(
    "learns",
    [
        ("backbone",),
        ("head",),
        ("alignment",),
        ("backbone", "head"),
        ("backbone", "alignment"),
        ("head", "alignment"),
        PARTS,
    ],
    ids="+".join,
)
def test_what_a_stage_names_learns_and_nothing_else(learns, optimizer):
    changed = _changed([Stage(name="only", learns=learns)], max_epochs=2, optimizer=optimizer)
    blocks = {"hidden1", "hidden2"} if "backbone" in learns else set()
    assert changed == [blocks | set(learns) - {"backbone"}] * 2


@pytest.mark.parametrize(
    "optimizer, keywords",
    [(torch.optim.Adam, {}), (torch.optim.SGD, {"optimizer__momentum": 0.9})],
)
def test_momentum_of_one_stage_moves_nothing_in_the_next(optimizer, keywords):
    stages = [
        Stage(name="first", learns=("head", "alignment"), max_epochs=2),
        Stage(name="second", learns=("backbone",), max_epochs=1),
        Stage(name="third", learns=("head",)),
    ]
    changed = _changed(stages, max_epochs=5, optimizer=optimizer, **keywords)
    backbone = {"hidden1", "hidden2"}
    assert changed == [{"head", "alignment"}] * 2 + [backbone] + [{"head"}] * 2


def test_a_frozen_block_learns_from_the_stage_on_that_names_it():
    stages = [
        Stage(name="above", max_epochs=1),
        Stage(name="second", learns=(*PARTS, "hidden2.0"), max_epochs=2),
        Stage(name="first", learns=(*PARTS, "hidden2.0", "hidden1.0")),
    ]
    changed = _changed(stages, n_frozen=2, max_epochs=4)
    new = {"head", "alignment"}
    assert changed == [new, new | {"hidden2"}, new | {"hidden2"}, new | {"hidden1", "hidden2"}]


def test_a_frozen_block_that_no_stage_names_never_learns():
    changed = _changed([Stage(name="a", max_epochs=1), Stage(name="b")], n_frozen=1, max_epochs=2)
    assert changed == [{"head", "alignment", "hidden2"}] * 2


def test_a_stage_lasts_as_many_epochs_as_it_says_and_the_last_one_has_no_end():
    stages = [Stage(name="a", max_epochs=2), Stage(name="b", max_epochs=1), Stage(name="c")]
    assert "".join(stage_at(stages, epoch).name for epoch in range(6)) == "aabccc"


def test_the_last_stage_goes_on_beyond_its_epochs():
    stages = [Stage(name="a", max_epochs=1), Stage(name="b", max_epochs=1)]
    assert "".join(stage_at(stages, epoch).name for epoch in range(4)) == "abbb"


# -- progress ---------------------------------------------------------------------------------


def _noted():
    seen = []

    def schedule(progress):
        seen.append(progress)
        return 1 / (1 + progress)

    return schedule, seen


@pytest.mark.parametrize("max_epochs", [2, 5])
def test_progress_goes_from_0_to_exactly_1_over_all_stages_of_a_net(max_epochs):
    (lr_schedule, of_lr), (trade_off_schedule, of_trade_off) = _noted(), _noted()
    stages = [Stage(name="a", learns=("head",), max_epochs=1), Stage(name="b")]
    net = _net(
        stages,
        max_epochs=max_epochs,
        lr_schedule=lr_schedule,
        trade_off_schedule=trade_off_schedule,
    )
    net.fit(DATA, None)
    n_steps = STEPS * max_epochs
    assert of_lr == of_trade_off == [step / (n_steps - 1) for step in range(n_steps)]
    assert of_lr[-1] == 1.0


def test_progress_of_every_net_starts_at_0():
    schedule, seen = _noted()

    def make_net(training):
        return _net((), max_epochs=1, lr_schedule=schedule)

    run_stages([Stage(name=name, make_net=make_net) for name in ("first", "second")], _training())
    assert seen == [0, 0.5, 1] * 2


# -- random numbers ---------------------------------------------------------------------------


class DrawingNet:
    """Stands for a net; draws when it is made, and when it is trained."""

    history = ()

    def __init__(self, n_drawn=0):
        torch.rand(n_drawn)

    def fit(self, rows, y):
        self.drawn = _draw()


def _draw(seed=None):
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    return torch.rand(4, dtype=torch.float64, generator=generator).tolist()


def _training():
    seeds = Seeds(module=11, alignment=12, order=13, training=14, backbone=15)
    return Training(DATA, "cpu", seeds, None)


def _run(*stages):
    """Return what the net of every stage has drawn in training."""
    nets = []

    def keep(make_net):
        def kept(training):
            nets.append(make_net(training))
            return nets[-1]

        return kept

    stages = [
        Stage(name=str(number), make_net=keep(make_net), **params)
        for number, (make_net, params) in enumerate(stages)
    ]
    with torch.random.fork_rng():
        run_stages(stages, _training())
    return [net.drawn for net in nets]


@pytest.mark.parametrize("n_drawn", [0, 3])
def test_training_draws_from_its_seed_whatever_the_net_drew(n_drawn):
    (drawn,) = _run((lambda training: DrawingNet(n_drawn), {}))
    assert drawn == _draw(seed=14)


def test_every_net_starts_from_the_seed_of_training():
    drawn = _run(*((lambda training, n=n: DrawingNet(n), {}) for n in (1, 5)))
    assert drawn == [_draw(seed=14)] * 2


def test_without_a_reseed_random_numbers_go_on():
    first, second = _run(
        (lambda training: DrawingNet(), {}), (lambda training: DrawingNet(), {"reseed": False})
    )
    generator = torch.Generator().manual_seed(14)
    numbers = torch.rand(8, dtype=torch.float64, generator=generator).tolist()
    assert first + second == numbers
