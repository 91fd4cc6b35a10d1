"""Devices, random generators and types of tensors."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from sklearn import get_config

from skda._drawing_functions import WITHOUT_GENERATOR
from skda._process import SharedSetting
from skda._random import own_generators
from skda._random import seed_generators as seed_generators  # used with local_torch_state


def resolve_device(device):
    """Return the device that ``device`` stands for.

    Parameters
    ----------
    device : str or torch.device
        ``"auto"`` is the accelerator that torch finds on this machine, and the CPU if there is
        none.

    Returns
    -------
    device : str or torch.device
        A device that can be used.

    Raises
    ------
    ValueError
        If torch cannot use it here.
    """
    if device == "auto":
        return _accelerator() or "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f"device={device!r} cannot be used here: {error} Use 'auto', 'cpu', or a "
            "device that torch finds on this machine."
        ) from error
    return device


def _accelerator():
    """Return the kind of accelerator of this machine, or None."""
    if torch.cuda.is_available():
        return "cuda"
    if not hasattr(torch, "accelerator"):  # before torch 2.6
        return "mps" if torch.backends.mps.is_available() else None
    if not torch.accelerator.is_available():
        return None
    found = torch.accelerator.current_accelerator()
    return None if found is None else found.type


def get_generator_state(device):
    """Return where the generators in use stand: that of the CPU, and that of the device."""
    device = torch.device(device)
    states = {"cpu": torch.get_rng_state()}
    if device.type not in WITHOUT_GENERATOR:
        states[device.type] = torch.get_device_module(device).get_rng_state(device)
    return states


def set_generator_state(device, states):
    """Let the generators in use go on from where :func:`get_generator_state` found them."""
    device = torch.device(device)
    torch.set_rng_state(states["cpu"])
    if device.type in states and device.type not in WITHOUT_GENERATOR:
        torch.get_device_module(device).set_rng_state(states[device.type], device)


# Of weights and inputs, whatever the caller's default; golden values are computed in float64.
_FLOAT = torch.float32


def as_trained(module):
    """Return a network, in place, with weights of the type that training has."""
    return module.to(_FLOAT)


_DEFAULT_TYPE = SharedSetting(torch.get_default_dtype, torch.set_default_dtype)


@contextmanager
def float32_on_cpu():
    """Make tensors as torch does by itself, whatever defaults and modes the caller has set.

    The default type is that of the process: where the caller has another, a thread of his finds
    float32 while this lasts.
    """
    with _DEFAULT_TYPE.held_at(_FLOAT):
        # As a mode it is asked at every call of torch, so only where the caller has set another.
        # A tensor knows it; ``torch.get_default_device`` overlooks a mode before torch 2.5.
        is_cpu = torch.empty(0).device.type == "cpu"
        with nullcontext() if is_cpu else torch.device("cpu"):
            yield


def _read_cudnn():
    return torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark


def _write_cudnn(values):
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = values


# A thread that needs reproducible results gets them, whatever others do meanwhile.
_CUDNN = SharedSetting(_read_cudnn, _write_cudnn, rank=lambda values: values[0])


@contextmanager
def local_torch_state(device, *, draws=True, deterministic=True) -> Iterator[Any]:
    """Let training and inference find torch as it is by itself, and leave it as it was.

    Random numbers come from generators of this thread's own, unless nothing `draws`; gradients are
    on, tensors are in float32 and on the CPU unless something else is said; on CUDA convolutions
    are reproducible, or, unless all is `deterministic`, by what cuDNN finds the fastest algorithm.
    """
    is_cuda = torch.device(device).type == "cuda"
    with (
        torch.inference_mode(False),
        torch.enable_grad(),
        float32_on_cpu(),
        _CUDNN.held_at((deterministic, not deterministic)) if is_cuda else nullcontext(),
        own_generators(device) if draws else nullcontext() as own,
    ):
        yield own


def as_given(values: Any, X: Any) -> Any:
    """Return an array as what scikit-learn's array API dispatch has X as: a tensor beside it."""
    if not isinstance(X, torch.Tensor) or not get_config()["array_api_dispatch"]:
        return values
    if values.dtype.kind not in "biuf":  # no tensor holds strings
        return values
    return torch.as_tensor(values, device=X.device)


def as_tensor(rows):
    """A tensor of `rows`, copied if they are read-only or run backwards."""
    if isinstance(rows, torch.Tensor):
        return rows
    rows = np.asarray(rows)
    as_they_are = rows.flags.writeable and min(rows.strides, default=0) >= 0
    return torch.from_numpy(rows if as_they_are else rows.copy())


def at_least_float32(features):
    """Half-precision features in float32: covariances and kernels overflow below it."""
    return features.float() if features.element_size() < 4 else features


class StepValues:
    """Numbers of every step of an epoch.

    On the CPU as numbers: a small tensor that outlives its step lies among large ones that do not,
    and keeps glibc from using that memory again as a whole (13 MB a step were lost at 8,192 rows of
    256 columns). Elsewhere as tensors, since to look at them is to wait for the device.
    """

    # Where values go while steps are recorded, which are replayed without Python.
    tables: Any = None

    def __init__(self):
        self._kept, self._like = [], None

    def __len__(self):
        return sum(map(len, self._kept)) if self._is_elsewhere() else len(self._kept)

    def _is_elsewhere(self):
        return self._like is not None and self._like.device.type != "cpu"

    def add(self, values):
        """Remember the values of a tensor."""
        values = values.detach().reshape(-1)
        if self.tables is not None:
            self.tables.add(values)
            return
        if self._like is None:
            self._like = values.new_empty(0)
        if values.device.type == "cpu":
            self._kept += values.tolist()
        else:
            self._kept.append(values)

    def values(self):
        """Return all values since the last `clear`, one after the other; at least one."""
        assert self._like is not None
        return torch.cat(self._kept) if self._is_elsewhere() else self._like.new_tensor(self._kept)

    def clear(self):
        """Forget them."""
        self._kept, self._like = [], None

    @contextmanager
    def going_into(self, tables: "StepTables") -> Iterator[None]:
        """Within this context values go into tables; afterwards those of all steps are here."""
        self.tables = tables
        try:
            yield
        finally:
            del self.tables
            self.clear()
            if len(tables):
                self.add(tables.values())


class StepTables:
    """Memory for numbers of every step, at the row of the step's number, which is a tensor too.

    Parameters
    ----------
    row : torch.Tensor of int64 of shape (1,)
        The number of the step.

    n_steps : int
        How many there are.
    """

    def __init__(self, row, n_steps):
        self._row, self._n_steps = row, n_steps
        # For what is added first in every step, for what is added second, and so on.
        self._tables, self._position = [], 0

    def __len__(self):
        return len(self._tables)

    def begin_step(self):
        """Tell that what is added next is the first of a step."""
        self._position = 0

    def add(self, values):
        """Remember the values of a tensor."""
        if self._position == len(self._tables):
            self._tables.append(values.new_zeros(self._n_steps, len(values)))
        self._tables[self._position].index_copy_(0, self._row, values[None])
        self._position += 1

    def values(self):
        """Return the values of all steps, one after the other; at least one."""
        return torch.cat(self._tables, dim=1).flatten()
