"""Values as JSON and tensors, and back."""

import json
from collections import Counter, OrderedDict, deque

import numpy as np
import pytest
import torch
from torch import nn

from skda.training._packing import Unpackable, is_packable, pack, unpack


def _round_trip(value):
    tensors = {}
    return unpack(json.loads(json.dumps(pack(value, tensors))), tensors)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0.1 + 0.2,
        float("inf"),
        "a",
        [1, (2, [3])],
        {"a": 1, 2: (None,), (1, 2): "b"},
        {},
        {1, 2},
        frozenset("a"),
        Counter("aab"),
        OrderedDict(b=1, a=2),
        deque([1, 2], maxlen=2),
        torch.float64,
        np.float32(0.1),
        np.int64(3),
    ],
    ids=repr,
)
def test_values_come_back_with_their_type(value):
    back = _round_trip(value)
    assert type(back) is type(value) and back == value
    assert getattr(back, "maxlen", None) == getattr(value, "maxlen", None)


@pytest.mark.parametrize(
    "array", [np.arange(6.0).reshape(2, 3).T, np.array(["a", "bc"]), np.zeros((0, 2)), np.array(3)]
)
def test_arrays_come_back_to_the_bit(array):
    back = _round_trip({"a": [array]})["a"][0]
    assert back.dtype == array.dtype and back.shape == array.shape
    np.testing.assert_array_equal(back, array)


def test_tensors_come_back_without_their_graph():
    weight = torch.ones(2, requires_grad=True)
    back = _round_trip([weight * 3])[0]
    assert torch.equal(back, torch.full((2,), 3.0)) and not back.requires_grad


@pytest.mark.parametrize(
    "make, draw",
    [
        (lambda: torch.Generator().manual_seed(3), lambda g: torch.rand(2, generator=g).tolist()),
        (lambda: np.random.default_rng(3), lambda g: g.random(2).tolist()),
        (lambda: np.random.RandomState(3), lambda g: g.randn(3).tolist()),
    ],
)
def test_generators_go_on(make, draw):
    generator = make()
    draw(generator)
    back = _round_trip(generator)
    assert draw(back) == draw(generator)


@pytest.mark.parametrize(
    "value", [print, object(), [nn.Linear(1, 1)], {"a": nn.Parameter(torch.ones(1))}, 1j]
)
def test_what_cannot_be_stored_is_told_by_its_type(value):
    assert not is_packable(value)
    with pytest.raises(Unpackable):
        pack(value, {})
