"""Gradual unfreezing, epoch by epoch."""

import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

from skda.fine_tuning import FineTuneClassifier
from skda.nn import MLP

BLOCKS = ("hidden1", "hidden2", "hidden3")


class Blocks(Callback):
    """Parameters and statistics of every block: at the start, and after every epoch."""

    def on_train_begin(self, net, **kwargs):
        self.seen, self.modes = [self._look(net)], []

    def on_epoch_end(self, net, **kwargs):
        self.seen.append(self._look(net))

    def on_grad_computed(self, net, **kwargs):
        backbone = net.module_.backbone
        self.modes.append({n for n in BLOCKS if getattr(backbone, n)[1].training})

    @staticmethod
    def _look(net):
        states = {name: getattr(net.module_.backbone, name).state_dict() for name in BLOCKS}
        return {
            name: torch.cat([value.double().flatten() for value in state.values()])
            for name, state in states.items()
        }

    def changed(self):
        return [
            {name for name in BLOCKS if not torch.equal(before[name], after[name])}
            for before, after in zip(self.seen, self.seen[1:], strict=False)
        ]


def _fit(few, **params):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = MLP(64, hidden_layer_sizes=(12, 10, 8), activation=nn.Tanh)
    clf = FineTuneClassifier(
        module=network,
        random_state=0,
        callbacks=[("blocks", Blocks())],
        optimizer__weight_decay=0.1,
        batch_size=200,  # one step an epoch
        **params,
    )
    clf.fit(few["X"], few["y"])
    return dict(clf.net_.callbacks_)["blocks"]


def _from_above(n):
    return set(BLOCKS[len(BLOCKS) - n :])


@pytest.mark.parametrize(
    "params, n_learning",
    [
        ({"freeze": "all", "unfreeze_every": 1}, [0, 1, 2, 3, 3]),
        ({"freeze": "all", "unfreeze_every": 2}, [0, 0, 1, 1, 2, 2, 3, 3]),
        ({"freeze": "all", "unfreeze_every": 3}, [0, 0, 0, 1, 1]),
        ({"n_frozen": 2, "unfreeze_every": 2}, [1, 1, 2, 2, 3, 3]),
        ({"n_frozen": 1, "unfreeze_every": 1}, [2, 3, 3]),
        ({"n_frozen": 2}, [1, 1, 1]),
        ({"unfreeze_every": 1}, [3, 3]),
    ],
    ids=str,
)
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_a_block_begins_to_learn_in_its_epoch_and_not_before(few, params, n_learning, optimizer):
    blocks = _fit(few, optimizer=optimizer, max_epochs=len(n_learning), **params)
    assert blocks.changed() == [_from_above(n) for n in n_learning]
    assert blocks.modes == [_from_above(n) for n in n_learning]


def test_progress_goes_from_0_to_exactly_1_while_blocks_are_unfrozen(few):
    seen = []

    def schedule(progress):
        seen.append(progress)
        return 1.0

    _fit(few, freeze="all", unfreeze_every=1, max_epochs=5, lr_schedule=schedule)
    assert seen == [0, 0.25, 0.5, 0.75, 1]
