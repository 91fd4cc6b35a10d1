import random
from collections import deque
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from skda._torch import StepValues
from skda.training._python_state import PythonState

LIMITS = {"low": 0.5}
FACTOR = 2.0


class Part(nn.Module):
    """A module that keeps a little of everything."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(2, 1)
        self.register_buffer("mean", torch.zeros(2))
        self.n_calls, self.seen, self.last = 0, [1], deque([1, 2], maxlen=2)
        self.helper = type("Helper", (), {})()
        self.helper.rate = 0.1
        self.draws, self.random = np.random.default_rng(0), random.Random(0)
        self.average = torch.zeros(3)
        self.values = StepValues()

    def forward(self, x):
        """Read globals."""
        return FACTOR * LIMITS["low"] * self.layer(x)


def _closure():
    n_calls = 0

    def count():
        nonlocal n_calls
        n_calls += 1

    return count


def _set(name, value):
    return lambda part: setattr(part, name, value)


COUNT = _closure()
CHANGES = {
    "a number": lambda part: _set("n_calls", 1)(part),
    "a list that grows": lambda part: part.seen.append(2),
    "a list of the same length": lambda part: part.seen.__setitem__(0, 2),
    "a full deque": lambda part: part.last.append(3),
    "a helper": lambda part: setattr(part.helper, "rate", 0.2),
    "a new attribute": _set("more", 1),
    "a tensor in the place of another": lambda part: setattr(part, "average", 0.9 * part.average),
    "a buffer in the place of another": lambda part: setattr(part, "mean", part.mean + 1),
    "the memory of a parameter": lambda part: setattr(
        part.layer.weight, "data", part.layer.weight.data.clone()
    ),
    "what learns": lambda part: part.layer.bias.requires_grad_(False),
    "a mode": lambda part: part.layer.eval(),
    "a generator": lambda part: part.draws.random(),
    "a generator of Python": lambda part: part.random.random(),
    "the generator of Python": lambda part: random.random(),
    "the generator of NumPy": lambda part: np.random.rand(),  # noqa: NPY002
    "a global container": lambda part: LIMITS.update(low=0.25 + LIMITS["low"]),
    "a global number": lambda part: globals().update(FACTOR=FACTOR + 1),
    "what a hook refers to": lambda part: COUNT(),
    "a hook": lambda part: part.register_forward_hook(lambda *_: None),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_found(change):
    part = Part()
    part.layer.register_forward_hook(partial(COUNT))
    state = PythonState([part])
    assert state.find_change() is None
    CHANGES[change](part)
    assert state.find_change() is not None


def test_values_within_tensors_do_not_count():
    part = Part()
    optimizer = torch.optim.Adam(part.layer.parameters(), fused=True)
    part(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    state = PythonState([part, optimizer.param_groups, optimizer.state])
    optimizer.zero_grad()
    part(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    part.average += 1
    part.mean.mul_(2)
    part.values.add(torch.ones(1))
    assert state.find_change() is None


def test_settings_of_an_optimizer_and_of_a_net_count():
    layer = nn.Linear(2, 1)
    optimizer = torch.optim.Adam(layer.parameters())
    settings = {"n_steps": 2, "_step": 1}
    state = PythonState([optimizer.param_groups], settings)
    settings["_step"] = 2
    assert state.find_change() is None
    settings["n_steps"] = 3
    assert state.find_change() == "n_steps of the net"
    settings["n_steps"] = 2
    optimizer.param_groups[0]["weight_decay"] = 0.1
    assert "weight_decay" in str(state.find_change())
