"""What of torch draws random numbers: functions, operators, and the generators they draw from."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

# As they are called in any of the places below.
_NAMES = """
    alpha_dropout alpha_dropout_ bernoulli bernoulli_ binomial cauchy_ dropout dropout_ dropout1d
    dropout2d dropout3d exponential_ feature_alpha_dropout feature_alpha_dropout_ feature_dropout
    feature_dropout_ fractional_max_pool2d fractional_max_pool2d_with_indices fractional_max_pool3d
    fractional_max_pool3d_with_indices geometric_ gru gumbel_softmax log_normal_ lstm
    multi_head_attention_forward multinomial native_dropout normal normal_ pca_lowrank poisson
    rand rand_like randint randint_like randn randn_like random_ randperm rnn_relu rnn_tanh rrelu
    rrelu_ rrelu_with_noise rrelu_with_noise_ scaled_dot_product_attention svd_lowrank uniform_
    _fractional_max_pool2d _fractional_max_pool3d _fused_dropout _sample_dirichlet _standard_gamma
    kaiming_normal_ kaiming_uniform_ orthogonal_ sparse_ trunc_normal_ xavier_normal_
    xavier_uniform_
""".split()
_TORCH: Any = torch
_SPACES = (torch, torch.Tensor, F, _TORCH._C._nn, _TORCH._VF, _TORCH._lowrank, nn.init)

FUNCTIONS_THAT_DRAW = frozenset(
    getattr(space, name) for space in _SPACES for name in _NAMES if hasattr(space, name)
)
# Of these the ones that take the keyword `generator`, in all releases of torch.
FUNCTIONS_WITH_GENERATOR = frozenset(
    [torch.rand, torch.randn, torch.randint, torch.randperm, torch.bernoulli, torch.normal]
    + [getattr(torch.Tensor, name) for name in ("uniform_", "normal_", "bernoulli_", "random_")]
)

# Beside the CPU's, which is always there.
WITHOUT_GENERATOR = ("cpu", "meta")
CPU = torch.device("cpu")
_KEYWORD_ALONE = 10**6
_PLAIN = (torch.Tensor, nn.Parameter)

# By operator, as far as they have been met.
_TAGGED: dict[Any, bool] = {}
_PLACES: dict[Any, int | None] = {}


def draws(operator):
    """Whether an operator may draw: torch has a tag for it."""
    if operator not in _TAGGED:
        tags = getattr(operator, "tags", ())
        _TAGGED[operator] = torch.Tag.nondeterministic_seeded in tags
    return _TAGGED[operator]


def place_of_generator(func):
    """Return the position of the argument, a large number if it goes by name, None without one."""
    if func not in _PLACES:
        _PLACES[func] = None
        for position, argument in enumerate(func._schema.arguments):
            if "Generator" in str(argument.type):
                _PLACES[func] = _KEYWORD_ALONE if argument.kwarg_only else position
    return _PLACES[func]


def device_of(func, args, kwargs):
    """Return the device on which an operator draws: the one that is named, or its tensors'."""
    device = kwargs.get("device")
    if device is None:
        for value in (*args, *kwargs.values()):
            for entry in value if isinstance(value, list | tuple) else (value,):
                if isinstance(entry, torch.Tensor):
                    return entry.device
    return CPU if device is None else with_index(torch.device(device))


def is_on_cpu(args, kwargs):
    """Whether a function of random numbers makes a plain tensor on the CPU, or fills one."""
    device = kwargs.get("device")
    if device is None and args and isinstance(args[0], torch.Tensor):
        device = args[0].device if type(args[0]) in _PLAIN else "meta"
    return device is None or torch.device(device).type == "cpu"


def with_index(device):
    if device.type in WITHOUT_GENERATOR or device.index is not None:
        return device
    current = getattr(torch.get_device_module(device), "current_device", int)
    return torch.device(device.type, current())


def process_generator(device):
    """Return the generator that all draws of this process on a device come from by themselves."""
    if device.type == "cpu":
        return torch.default_generator
    if device.type == "cuda":
        torch.cuda.init()
        return tuple.__getitem__(torch.cuda.default_generators, device.index)
    return _LibraryGenerator(device)


class _LibraryGenerator:
    """The generator of a device whose library has functions for it, and no object."""

    def __init__(self, device):
        self._library, self._index = torch.get_device_module(device), device.index

    def get_state(self):
        return self._library.get_rng_state(self._index)

    def set_state(self, state):
        self._library.set_rng_state(state, self._index)
