"""What runs a network: torch itself, compiled torch, OpenVINO or ONNX Runtime."""

import os
from collections.abc import Callable
from importlib.util import find_spec
from threading import Lock
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from skda.feature_extraction._builders import BUILDERS, LIBRARIES, autocast
from skda.feature_extraction._precision import (
    PRECISIONS,
    fits_float16,
    half_precision,
    relative_drift,
    wider_precision,
)

ENGINES = ("auto", "eager", "compile", "openvino", "onnxruntime")

CPU_ENGINES = ("openvino", "onnxruntime")
_AUTO_ON_CPU = ("openvino", "onnxruntime", "eager")

# Converting a network takes seconds. Below this number of operations per row it hardly ever pays.
MIN_FLOPS = 2e7

# Largest difference from eager float32 that a converted network may show, in units of the norm.
_TOLERANCES = {"float32": 1e-4, "bfloat16": 0.2, "float16": 0.05}


def _make(name, precision, make):
    return make()


class _FlopCount(TorchDispatchMode):
    """Operations of what this thread computes; torch's counter hooks into those of all threads."""

    def __init__(self):
        super().__init__()
        self.n_flops = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        output = func(*args, **(kwargs or {}))
        count = flop_registry.get(func._overloadpacket)
        if count is not None:
            self.n_flops += count(*args, **(kwargs or {}), out_val=output)
        return output


def make_engine(
    feature_module,
    example,
    *,
    engine="auto",
    precision="auto",
    device: Any = "cpu",
    share: Callable = _make,
):
    """Return what computes the features of batches.

    Parameters
    ----------
    feature_module : FeatureModule
        The network, in eval mode and on `device`. Engines of torch use its weights where they
        are; the others copy them.

    example : torch.Tensor of shape (n, ...)
        Some rows of input, which the network runs on.

    engine : {"auto", "eager", "compile", "openvino", "onnxruntime"}, default="auto"
        - ``"eager"``: torch, with channels last.
        - ``"compile"``: :func:`torch.compile`; needs a C++ compiler, and half a minute or more
          for a network. It computes batches of one size: smaller ones are filled up.
        - ``"openvino"``, ``"onnxruntime"``: that library, on the CPU. Converting takes seconds.
        - ``"auto"``: on the CPU the first of openvino, onnxruntime and eager that is installed
          and can run the network, as that is their order in speed; eager for networks of less
          than 20 million operations per row, which do not repay the conversion; eager on other
          devices.

    precision : {"auto", "float32", "bfloat16", "float16"}, default="auto"
        Of the network; pooling and features are float32. ``"auto"`` takes a half precision for
        networks that are not small where it is faster: float16 on CUDA devices (from compute
        capability 7.0 on) if it holds what the network computes of the example, and else
        bfloat16; bfloat16 on CPUs with AMX unless the engine is onnxruntime. On CPUs with
        AVX512_BF16 but without AMX it is slower than float32, which is what is taken there.
        OpenVINO runs only what the CPU has; onnxruntime only float32.

    device : str or torch.device, default="cpu"
        Where it runs.

    share : callable, default: none is shared
        From the name of an engine, a precision and a function that converts the network to what
        that function returns, which may be from an earlier call. Asked for engines that do not
        need the network once it is converted.

    Returns
    -------
    engine : Engine
        ``engine(batch)`` returns a tuple of float32 tensors, one per layer.

    Raises
    ------
    ValueError
        If a parameter or a combination is not possible, or if the engine cannot run the network.

    ImportError
        If the library of the engine is not installed.
    """
    for name, value, known in (("engine", engine, ENGINES), ("precision", precision, PRECISIONS)):
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}; got {value!r}.")
    made = Engine(feature_module, example, engine, precision, device, share)
    made.build()
    return made


class Engine:
    """A network ready to run; see :func:`make_engine`.

    A pickle holds what the engine was made of and nothing compiled: it is made again, with
    ``"auto"`` decided anew, when it is first called.

    Attributes
    ----------
    name : str
        The engine that was chosen.

    precision : str
        The precision that was chosen.

    drift : float
        How far the features of the example are from those of eager float32, in units of their
        norm; 0 in float32.

    notes : list of str
        What was found out about the precision, for who wants to know.
    """

    _run: Any
    precision: str

    def __init__(self, feature_module, example, engine, precision, device, share=_make):
        self.feature_module = feature_module
        with torch.inference_mode(False):
            self._example = example[:2].clone()
        self._request = engine, precision, torch.device(device)
        self._share = share
        self._run = None
        self.drift, self.notes = 0.0, []
        self._has_left_float16 = False
        self._lock, self._process = Lock(), os.getpid()

    def __call__(self, batch):
        """Return the features of a batch.

        Parameters
        ----------
        batch : torch.Tensor of shape (n, ...)
            Inputs of the network in float32, on any device and in any number.

        Returns
        -------
        features : tuple of torch.Tensor of shape (n, n_features)
            In float32, one per layer, on the device of the engine.
        """
        if self._process != os.getpid():  # a fork has neither threads nor holders of locks
            self._lock, self._process, self._run = Lock(), os.getpid(), None
        with self._lock:
            if self._run is None:
                self.build()
            assert self._run is not None
            with torch.inference_mode():
                return self._run(batch)

    @torch.inference_mode(False)  # in which weights would be moved for good
    def build(self):
        """Choose, convert, and compare with eager float32 on the example."""
        engine, precision, device = self._request
        example = self._example.to(device)
        if len(example) == 1:  # exporters take a size of 1 for a constant
            example = torch.cat([example, example])
        with torch.no_grad(), _FlopCount() as count:  # torch 2.4 counts nothing in inference_mode
            expected = self.feature_module(example)
        is_small = count.n_flops < MIN_FLOPS * len(example)
        for self.name, self.precision in engine_choices(
            engine, precision, device, is_small=is_small
        ):
            try:
                run = self._built(example, expected)
                if precision == "auto" and self.precision == "float16":
                    run = self._without_overflow(run, example, expected)
            except ImportError:
                raise
            except Exception as error:  # each exporter has kinds of its own
                if engine == "auto" and self.name != "eager":
                    continue
                raise ValueError(
                    f"engine: {self.name!r} cannot run {type(self.feature_module.module).__name__} "
                    f"in {self.precision}: {error} Use engine='eager' or 'auto'."
                ) from error
            self._run = run
            if self.precision != "float32":
                with torch.inference_mode():
                    self.drift = relative_drift(run(example), expected)
                self.notes.append(
                    f"precision: {self.precision}; features of {len(example)} rows differ from "
                    f"those in float32 by {self.drift:.2g} of their norm."
                )
            return

    def _without_overflow(self, run, example, expected):
        """Return what runs the network, in a wider precision if float16 does not hold it."""
        device = example.device

        def tried():
            with autocast(device, "float16"):
                self.feature_module(example)

        with torch.inference_mode():
            is_close = relative_drift(run(example), expected) <= _TOLERANCES["float16"]
        if is_close and fits_float16(tried):
            return run
        self.precision = wider_precision(device)
        self.notes.append(f"precision: float16 is too narrow here; {self.precision} instead.")
        return self._built(example, expected)

    def leave_float16(self):
        """Run in a wider precision from now on, unless float16 was asked for.

        Returns
        -------
        has_left : bool
            Whether rows whose features are not finite may be in the wider one.
        """
        engine, precision, device = self._request
        with self._lock:
            if precision == "auto" and self.precision == "float16":
                self._request = engine, wider_precision(device), device
                self.notes.append(
                    f"precision: features overflow in float16; {wider_precision(device)} from "
                    "here on."
                )
                self._has_left_float16 = True
                self.build()
            return self._has_left_float16

    def _built(self, example, expected):
        def build():
            run = BUILDERS[self.name](self.feature_module, example, self.precision)
            if self.name != "eager":
                with torch.inference_mode():
                    _check_agreement(run(example), expected, self.precision)
            return run

        if self.name not in CPU_ENGINES:
            return build()
        run = self._share(self.name, self.precision, build)
        with torch.inference_mode():  # what another clone has converted is of these weights
            _check_agreement(run(example), expected, self.precision)
        return run

    def __getstate__(self):
        example = torch.zeros_like(self._example, device="cpu")  # no data in a pickle
        return {"feature_module": self.feature_module, "example": example, "request": self._request}

    def __setstate__(self, state):
        self.__init__(state["feature_module"], state["example"], *state["request"])


def engine_choices(engine, precision, device, *, is_small=False):
    """Return what :func:`make_engine` tries on this machine, without a network.

    Parameters
    ----------
    engine, precision, device
        As there.

    is_small : bool, default=False
        Whether the network is small.

    Returns
    -------
    choices : tuple of (str, str)
        Engines and their precisions, the best one first.

    Raises
    ------
    ValueError
        If the combination is not possible.
    """
    device = torch.device(device)
    names = (engine,)
    if engine == "auto":
        names = ("eager",)
        if device.type == "cpu" and not is_small:
            names = tuple(name for name in _AUTO_ON_CPU if _is_installed(name, precision))
    return tuple((name, _choose_precision(name, precision, device, is_small)) for name in names)


def _is_installed(name, precision):
    if name == "onnxruntime" and precision not in ("auto", "float32"):
        return False
    return all(find_spec(library) for library in LIBRARIES[name])


def _choose_precision(engine, precision, device, is_small):
    """Return the precision to run in, or raise for an impossible combination."""
    if engine in CPU_ENGINES and device.type != "cpu":
        raise ValueError(
            f"engine={engine!r} runs on the CPU, but device is {str(device)!r}; use engine='eager' "
            "or 'compile', or device='cpu'."
        )
    if engine == "onnxruntime":
        if precision not in ("auto", "float32"):
            raise ValueError(
                f"engine='onnxruntime' computes in float32, but precision is {precision!r}; use "
                "another engine, or precision='float32'."
            )
        return "float32"
    if precision == "auto":
        return (None if is_small else half_precision(device)) or "float32"
    return precision


def _check_agreement(got, expected, precision):
    for output, reference in zip(got, expected, strict=True):
        error = torch.linalg.norm(output - reference)
        if not error <= _TOLERANCES[precision] * torch.linalg.norm(reference) + 1e-6:
            raise ValueError("its features are not those of torch.")
