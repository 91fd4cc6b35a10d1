"""Random generators of a training's own: those of the process stay as they are, at every moment."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from threading import RLock, local
from typing import Any

import torch
import torch.nn.functional as F
from torch._C import DispatchKey
from torch.overrides import TorchFunctionMode, _get_current_function_mode_stack
from torch.utils._python_dispatch import TorchDispatchMode, _get_current_dispatch_mode_stack

from skda._drawing_functions import (
    CPU,
    FUNCTIONS_THAT_DRAW,
    FUNCTIONS_WITH_GENERATOR,
    WITHOUT_GENERATOR,
    device_of,
    draws,
    is_on_cpu,
    place_of_generator,
    process_generator,
    with_index,
)
from skda._process import SharedSetting

# One thread at a time lends its own state to a generator of the process, see OwnGenerators.
_LENDING = RLock()
# ``own``: the generators whose modes are suspended in this thread.
_SUSPENDED = local()


def seed_generators(seed: int, device: Any) -> None:
    """Seed the generators in use: this thread's own, or the process's where it has none."""
    if own := current_generators():
        own.seed(seed)
        return
    torch.default_generator.manual_seed(seed)
    device = torch.device(device)
    if device.type not in WITHOUT_GENERATOR:
        library = torch.get_device_module(device)
        with library.device(device) if hasattr(library, "device") else nullcontext():
            library.manual_seed(seed)


def current_generators() -> "OwnGenerators | None":
    """Return the own generators that draws of this thread come from, if there are any.

    By the modes of torch, which autograd takes along to its threads.
    """
    for mode in reversed(_get_current_function_mode_stack()):
        if isinstance(mode, OwnGenerators):
            return mode
    for mode in reversed(_get_current_dispatch_mode_stack()):
        if isinstance(mode, _Redirection):
            return mode.own
    return None


def generators_in_use() -> "OwnGenerators | None":
    """Return the same, also where their modes are suspended."""
    return current_generators() or getattr(_SUSPENDED, "own", None)


@contextmanager
def own_generators(device: Any) -> Iterator["OwnGenerators"]:
    """Within this context all that this thread draws comes from generators of its own.

    Parameters
    ----------
    device : str or torch.device
        Where it computes, beside the CPU.
    """
    own = OwnGenerators(device)
    with _default_generators_of(own.device), own, own.redirection:
        yield own


@contextmanager
def drawing() -> Iterator[None]:
    """Within this context a part of a training draws from its own generators, in every step.

    To be put around what is known to draw: then nothing else of a step needs a mode of torch.
    """
    own = generators_in_use()
    if own is None:
        yield
        return
    n_before = own.n_draws
    with nullcontext() if own.is_on else own:
        yield
    own.n_expected += own.n_draws - n_before


def not_drawing() -> AbstractContextManager[None]:
    """Return a context for what draws nothing: its many small calls need no mode of torch."""
    own = current_generators()
    return nullcontext() if own is None or not own.is_on else own.functions_suspended()


class OwnGenerators(TorchFunctionMode):
    """Generators of one thread's work, by device, and the mode by which functions draw from them.

    A number is what the process's generator of this device would give for the same seed. What
    has an argument for a generator gets one, on the level of single operators, so that torch
    computes all else as it always does: dropout of a recurrent layer on the CPU, say, comes down
    to ``bernoulli_``. Two kinds of mode see to it, which torch keeps by thread:

    - ``redirection`` sees every operator, and is complete: operators that draw have a tag. It
      costs several microseconds for each.
    - The object itself sees calls of functions, and lets those that may draw run under the
      redirection. It costs about one microsecond for each.

    On accelerators some operators draw and have no argument for a generator: fused dropout and
    attention, recurrent layers. There the process's generator of this accelerator has the state
    of the own one for the moment of the call, one thread at a time; a thread of the caller that
    draws there at this very moment would get numbers of the training.

    Parameters
    ----------
    device : str or torch.device
        Where the work is done, beside the CPU.

    Attributes
    ----------
    drawing : frozenset of callable
        The functions that may draw: those of torch, and what a watch has found.

    n_draws, n_attributed, n_expected : int
        How often anything drew, how often of these within a function, and how often where it was
        known before, within :func:`drawing` and by `dropout`.

    n_questions : int
        How often code asked for the state of a generator, as activation checkpoints do.
    """

    def __init__(self, device: Any = "cpu"):
        super().__init__()
        self.device = torch.device(device)
        self.redirection = _Redirection(self)
        self.drawing = FUNCTIONS_THAT_DRAW
        self.n_draws = self.n_attributed = self.n_expected = self.n_questions = 0
        self._n_entered = 0
        self.notes: dict[Any, Any] = {}  # of those who know what draws
        self._watch, self._is_watching, self._n_elsewhere = ExitStack(), False, 0
        self._seed: int | None = None
        self._generators: dict[torch.device, torch.Generator] = {}
        # Of the rows of a batch, while other processes draw for others: see skda.training.
        self.share: Any = None

    def seed(self, seed: int) -> None:
        """Let all generators start from a seed."""
        self._seed = seed
        for generator in self._generators.values():
            generator.manual_seed(seed)

    def of(self, device: torch.device) -> torch.Generator:
        """Return the generator of a device; without a seed it goes on from the process's."""
        return self._of_all(device) if self.share is None else self.share.generator(device)

    def asked_for(self, device: torch.device) -> torch.Generator:
        """Return the generator whose state code asks for, as activation checkpoints do."""
        self.n_questions += 1
        if self.share is not None:
            self.share.note("states")
        return self._of_all(device)

    def _of_all(self, device):
        generator = self._generators.get(device)
        if generator is None:
            generator = torch.Generator(device)
            if self._seed is None:
                generator.set_state(process_generator(device).get_state())
            else:
                generator.manual_seed(self._seed)
            self._generators[device] = generator
        return generator

    def begin_watch(self) -> None:
        """Begin to look for functions that draw."""
        if not self.redirection.is_on:
            self._watch.enter_context(self.redirection)
        self._is_watching, self._n_elsewhere = True, self.n_draws - self.n_attributed

    def end_watch(self) -> bool:
        """Return whether anything has drawn that is in no function."""
        self._is_watching = False
        self._watch.close()
        return self.n_draws - self.n_attributed > self._n_elsewhere

    # -- functions ----------------------------------------------------------------------------

    @property
    def is_on(self) -> bool:
        """Whether functions draw from these generators now."""
        return self._n_entered > 0

    def __enter__(self):
        self._n_entered += 1
        return super().__enter__()

    def __exit__(self, *exception):
        self._n_entered -= 1
        return super().__exit__(*exception)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in self.drawing:
            if func is F.dropout:
                return self.dropout(*args, **(kwargs or {}))
            if func in FUNCTIONS_WITH_GENERATOR and is_on_cpu(args, kwargs or {}):
                return self._with_generator(func, args, kwargs or {})
            return self._redirected(func, args, kwargs or {})
        if self._is_watching:
            return self._watched(func, args, kwargs or {})
        return func(*args, **kwargs) if kwargs else func(*args)

    def dropout(self, input, p=0.5, training=True, inplace=False):
        """Return what :func:`torch.nn.functional.dropout` does.

        Of dense rows on the CPU, as in ATen; by the redirection it takes several times as long.
        """
        is_on_cpu = input.device.type == "cpu"
        plain = type(input) is torch.Tensor and (is_on_cpu or self.share is not None)
        if not (plain and training and 0 < p < 1 and input.numel()):
            return self._redirected(F.dropout, (input, p, training, inplace), {})
        self.n_draws += 1
        self.n_attributed += 1
        generator = self._of_all(CPU if is_on_cpu else with_index(input.device))
        if self.share is not None:
            noise = self.share.draw_noise(input, 1 - p, generator)
        else:
            noise = torch.empty_like(input, requires_grad=False)
            noise.bernoulli_(1 - p, generator=generator)
        noise.div_(1 - p)
        return input.mul_(noise) if inplace else input * noise

    def _with_generator(self, func, args, kwargs):
        """Call a function that takes a generator: the redirection costs 40 microseconds more."""
        if kwargs.get("generator") is None:
            self.n_draws += 1
            self.n_attributed += 1
            kwargs = {**kwargs, "generator": self.of(CPU)}
        return func(*args, **kwargs)

    def _redirected(self, func, args, kwargs):
        n_before = self.n_draws
        if self.redirection.is_on:
            result = func(*args, **kwargs)
        else:
            with self.redirection:
                result = func(*args, **kwargs)
        self.n_attributed += self.n_draws - n_before
        return result

    def _watched(self, func, args, kwargs):
        before = self.n_draws, self.n_questions
        result = func(*args, **kwargs)
        if before != (self.n_draws, self.n_questions):
            self.drawing = self.drawing | {func}
            self.n_attributed += self.n_draws - before[0]
        return result

    # -- operators ----------------------------------------------------------------------------

    def execute(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Run an operator that draws; the redirection is off here, and below it."""
        device = device_of(func, args, kwargs)
        if device.type == "meta":
            return func(*args, **kwargs)
        place = place_of_generator(func)
        if place is not None:
            return self._execute_with_generator(func, args, kwargs, place, device)
        # What is made of other operators: those come here again, one by one.
        keys = [DispatchKey.CompositeImplicitAutograd, DispatchKey.CompositeExplicitAutograd]
        if device.type == "cpu":
            keys.append(DispatchKey.CPU)
        for key in keys:
            if func.has_kernel_for_dispatch_key(key):
                with self.redirection:
                    return func._op_dk(key, *args, **kwargs)
        self.n_draws += 1
        with self.lent([device]):
            return func(*args, **kwargs)

    def _execute_with_generator(self, func, args, kwargs, place, device):
        is_positional = place < len(args)
        if (args[place] if is_positional else kwargs.get("generator")) is None:
            self.n_draws += 1
            generator = self.of(device)
            if is_positional:
                args = (*args[:place], generator, *args[place + 1 :])
            else:
                kwargs = {**kwargs, "generator": generator}
        return func(*args, **kwargs)

    @contextmanager
    def lent(self, devices: Any) -> Iterator[None]:
        """Within this context the process's generators of some devices have the own ones' states.

        For what can draw from no others. No two threads are within it at a time.
        """
        with _LENDING:
            pairs = [(process_generator(device), self.of(device)) for device in devices]
            before = [process.get_state() for process, _ in pairs]
            for process, own in pairs:
                process.set_state(own.get_state())
            try:
                yield
            finally:
                for (process, own), state in zip(pairs, before, strict=True):
                    own.set_state(process.get_state())
                    process.set_state(state)

    @contextmanager
    def lent_throughout(self) -> Iterator[None]:
        """Lend the generators for compiled code, which no mode sees, and which modes disturb."""
        devices = [CPU]
        if self.device.type not in WITHOUT_GENERATOR:
            devices.append(with_index(self.device))
        with self.operators_suspended(), self.functions_suspended(), self.lent(devices):
            yield

    @contextmanager
    def lent_to_recordings(self) -> Iterator[None]:
        """Lend the generators for steps that are recorded, also within :func:`drawing`.

        A CUDA graph draws from the process's generator, with which it is registered.
        """
        with self.lent_throughout():
            before, _SUSPENDED.own = getattr(_SUSPENDED, "own", None), None
            try:
                yield
            finally:
                _SUSPENDED.own = before

    @contextmanager
    def operators_suspended(self) -> Iterator[None]:
        """Within this context functions alone are seen to, unless other modes came on top."""
        if _last(_get_current_dispatch_mode_stack()) is not self.redirection:
            yield
            return
        self.redirection.__exit__(None, None, None)
        try:
            yield
        finally:
            self.redirection.__enter__()

    @contextmanager
    def functions_suspended(self) -> Iterator[None]:
        """Within this context nothing is seen to but what is within :func:`drawing`."""
        if _last(_get_current_function_mode_stack()) is not self:
            yield
            return
        self.__exit__(None, None, None)
        _SUSPENDED.own = self
        try:
            yield
        finally:
            _SUSPENDED.own = None
            self.__enter__()


class _Redirection(TorchDispatchMode):
    """Gives every operator that draws a generator of ``own``."""

    def __init__(self, own):
        super().__init__()
        self.own, self.n_entered = own, 0

    @property
    def is_on(self):
        return self.n_entered > 0

    def __enter__(self):
        self.n_entered += 1
        return super().__enter__()

    def __exit__(self, *exception):
        self.n_entered -= 1
        return super().__exit__(*exception)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if draws(func):
            return self.own.execute(func, args, kwargs or {})
        return func(*args, **kwargs) if kwargs else func(*args)


def _last(stack):
    return stack[-1] if stack else None


class _StandIn:
    """What ``torch.manual_seed``, ``get_rng_state`` and ``fork_rng`` find while anybody trains.

    In a thread with own generators it is the own one, in all others that of the process. Activation
    checkpoints keep the state and bring it back to compute a layer once more: with that of the
    process the second dropout would not be the first.
    """

    def __getattr__(self, name):
        if own := current_generators():
            return getattr(own.asked_for(CPU), name)
        return getattr(torch.default_generator, name)


class _CudaStandIns(tuple):
    """The same for ``torch.cuda.default_generators``; never equal to what it stands for."""

    def __eq__(self, other):
        return isinstance(other, _CudaStandIns)

    def __ne__(self, other):  # a tuple has its own
        return not isinstance(other, _CudaStandIns)

    __hash__ = tuple.__hash__

    def __getitem__(self, index):
        if own := current_generators():
            return own.asked_for(torch.device("cuda", index))
        return super().__getitem__(index)


_OF_CPU = SharedSetting(
    lambda: vars(torch.random)["default_generator"],
    lambda generator: setattr(torch.random, "default_generator", generator),
)
_OF_CUDA = SharedSetting(
    lambda: torch.cuda.default_generators,
    lambda generators: setattr(torch.cuda, "default_generators", generators),
)
_STAND_IN = _StandIn()


@contextmanager
def _default_generators_of(device):
    """Within this context functions of torch that handle states of generators find own ones."""
    cuda = nullcontext()
    if device.type == "cuda":
        torch.cuda.init()
        cuda = _OF_CUDA.held_at(_CudaStandIns(torch.cuda.default_generators))
    with _OF_CPU.held_at(_STAND_IN), cuda:
        yield
