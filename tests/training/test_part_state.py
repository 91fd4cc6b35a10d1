"""What a part of a training is at a moment, and to put it back."""

import types

import pytest
import torch
from skorch.callbacks import Callback, EarlyStopping, EpochScoring, LRScheduler, ProgressBar
from torch import nn

from skda.training import DomainDataset, PairedBatches
from skda.training._part_state import (
    get_callback_state,
    get_module_state,
    get_order_state,
    set_callback_state,
    set_module_state,
    set_order_state,
)


class _Memory:
    """An object of Python that counts."""

    def __init__(self):
        self.n_seen = 0


class _Part(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.register_buffer("mean", None)
        self.omega, self.seen, self.memory = 0.5, [], _Memory()
        self.loss = torch.sum


def _changed():
    part = _Part()
    part.mean, part.omega = torch.ones(3), 0.7
    part.seen.append(torch.ones(1))
    part.memory.n_seen = 4
    return part


def test_tensors_and_plain_values_come_back_wherever_they_are_kept():
    first, second = _changed(), _Part()
    set_module_state(second, get_module_state(first))
    assert torch.equal(second.layer.weight, first.layer.weight)
    assert torch.equal(second.mean, first.mean)
    assert (second.omega, second.memory.n_seen, len(second.seen)) == (0.7, 4, 1)
    assert second.loss is torch.sum


def test_what_is_shared_with_a_hook_stays_shared():
    part = _Part()
    weight, seen = part.layer.weight, part.seen
    set_module_state(part, get_module_state(_changed()))
    assert part.layer.weight is weight and part.seen is seen and len(seen) == 1


def test_a_parameter_of_another_shape_is_an_error():
    state = get_module_state(_Part())
    state["tensors"]["layer.weight"] = torch.ones(3, 2)
    with pytest.raises(ValueError, match=r"layer.weight.*\(2, 2\), not \(3, 2\)"):
        set_module_state(_Part(), state)


# -- order of rows ----------------------------------------------------------------------------


class _Counting(PairedBatches):
    """Batches that keep a number of their own."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.n_epochs = 0

    def draw_epoch(self):
        self.n_epochs += 1
        return super().draw_epoch()


def _batches(n_targets=1):
    rows = torch.arange(20.0)[:, None].numpy()
    dataset = DomainDataset(rows, torch.zeros(20).long().numpy(), (rows,) * n_targets)
    return _Counting(dataset, batch_size=4)


def test_batches_go_on_in_the_same_order():
    first, second = _batches(), _batches()
    list(first)
    set_order_state(second, get_order_state(first))
    assert second.n_epochs == 1
    assert torch.equal(first.draw_epoch(), second.draw_epoch())


def test_the_order_of_a_new_domain_begins_anew():
    first, second = _batches(), _batches(2)
    list(first)
    set_order_state(second, get_order_state(first))
    assert torch.equal(first.draw_epoch()[:, :4], second.draw_epoch()[:5, :4])
    assert len(second.generators) == 3


# -- callbacks --------------------------------------------------------------------------------


class _Counter(Callback):
    def __init__(self, scale=1, log=print):
        self.scale, self.log = scale, log

    def initialize(self):
        self.seen_ = []
        return self


class _Opaque(Callback):
    def initialize(self):
        self.tracker_ = types.SimpleNamespace()
        return self


class _Described(_Opaque):
    def state_dict(self):
        return {"n": self.tracker_.n}

    def load_state_dict(self, state):
        self.tracker_.n = state["n"]


def test_plain_state_of_a_callback_comes_back():
    first, second = _Counter().initialize(), _Counter().initialize()
    first.seen_.append(3)
    set_callback_state(second, get_callback_state(first, None))
    assert second.seen_ == [3]


def test_state_that_cannot_be_stored_is_an_error_that_says_what_to_write():
    with pytest.raises(TypeError, match=r"_Opaque keeps 'tracker_'.*state_dict\(\)"):
        get_callback_state(_Opaque().initialize(), None)


def test_a_callback_may_say_what_its_state_is():
    first, second = _Described().initialize(), _Described().initialize()
    first.tracker_.n = 5
    set_callback_state(second, get_callback_state(first, None))
    assert second.tracker_.n == 5


@pytest.mark.parametrize(
    "callback",
    [EarlyStopping(), EpochScoring("accuracy"), LRScheduler("StepLR", step_size=1), ProgressBar()],
    ids=lambda callback: type(callback).__name__,
)
def test_callbacks_of_skorch_pass(callback):
    get_callback_state(callback.initialize(), None)
