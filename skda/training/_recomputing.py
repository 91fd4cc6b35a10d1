"""Blocks that keep no activations for the backward pass, and compute them once more in it."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from skda.backbones import list_blocks


class Recomputed:
    """A forward of which only the inputs are kept; the backward pass runs it once more.

    The second time it finds buffers, sizes of domains and random generators as the first time, and
    leaves them, and the activations that are recorded, as they are when it comes.

    Parameters
    ----------
    forward : callable
        From the inputs to the outputs of `parts`.

    parts : sequence of torch.nn.Module
        What it runs.

    network : AdaptationModule
        The network that they are of.
    """

    def __init__(self, forward: Callable, parts: Any, network: Any):
        self.forward, self.parts, self.network = forward, parts, network

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return the outputs."""
        if not torch.is_grad_enabled():
            return self.forward(*args, **kwargs)
        rows = self.network.rows
        before = _values_of_buffers(self.parts), rows.sizes, rows.target_share
        # Generators are those of the training, see skda._random: their states are kept by torch.
        return checkpoint(
            self.forward,
            *args,
            use_reentrant=False,
            context_fn=lambda: (nullcontext(), self._as_at(*before)),
            **kwargs,
        )

    @contextmanager
    def _as_at(self, buffers, sizes, target_share):
        # Not by DomainRows.of: on CUDA this is another thread than the one that has its lock.
        rows, recorded = self.network.rows, self.network._recorded
        now = _values_of_buffers(self.parts), rows.sizes, rows.target_share, dict(recorded)
        _put_back(buffers)
        rows.sizes, rows.target_share = sizes, target_share
        try:
            yield
        finally:  # torch ends it by an error of its own as soon as it has all it needs
            values, rows.sizes, rows.target_share, activations = now
            _put_back(values)
            recorded.clear()
            recorded.update(activations)


class _Chain:
    """The forward of a :class:`torch.nn.Sequential`, part by part."""

    def __init__(self, steps):
        self.steps = steps

    def __call__(self, x):
        for step in self.steps:
            x = step(x)
        return x


@contextmanager
def recomputed(net: Any) -> Iterator[None]:
    """Within this context the backbone of a net that asks for it keeps inputs of blocks alone.

    Parameters
    ----------
    net : AdaptationNet
        The net that trains; afterwards its network is what it was.
    """
    with ExitStack() as stack:
        if net.gradient_checkpointing:
            for part, forward in _new_forwards(net.module_):
                stack.callback(partial(_set_forward, part, vars(part).get("forward")))
                _set_forward(part, forward)
        yield


def check_recomputing(net: Any) -> None:
    """Raise if a net asks to compute activations once more, and cannot.

    Parameters
    ----------
    net : AdaptationNet
        Initialised.

    Raises
    ------
    ValueError
        If it is compiled, if its steps do not allow for it, or if its backbone has no blocks for
        which that makes sense.
    """
    if not net.gradient_checkpointing:
        return
    if net.compile:
        raise ValueError(
            "gradient_checkpointing=True does not go with compile=True: compiled networks decide "
            "themselves what they compute once more; leave one of them out."
        )
    if not net.recomputes:
        raise ValueError(
            f"gradient_checkpointing=True: {type(net).__name__} uses the network otherwise before "
            "the backward pass than in the forward pass, so that activations cannot be computed "
            "once more; leave it at False, and save memory by batch_size."
        )
    if any(isinstance(part, nn.RReLU) for part in net.module_.backbone.modules()):
        # Torch takes its slopes the second time before they are drawn, and silently so.
        raise ValueError(
            "gradient_checkpointing=True: the slopes of torch.nn.RReLU cannot be computed once "
            "more; leave it at False, or use another activation."
        )
    if not _new_forwards(net.module_):
        raise ValueError(
            f"gradient_checkpointing=True: {type(net.module_.backbone).__name__} has no block of "
            "several layers, as a torch.nn.Sequential or a module with layers of its own is one, "
            "whose activations could be computed once more; leave it at False. "
            "skda.backbones.list_blocks lists the blocks."
        )


def _new_forwards(network):
    """Return the modules that get another forward, and it."""
    backbone = network.backbone
    # The number of the block that a module stands in by itself.
    numbers = {
        module: number
        for number, block in enumerate(list_blocks(backbone))
        for module in block.get_modules(backbone)
    }
    found, in_chains = [], set()
    for module in backbone.modules():
        children = list(module.children())
        is_chain = type(module).forward is nn.Sequential.forward and module not in numbers
        if is_chain and any(child in numbers for child in children):
            in_chains.update(children)
            steps = _steps_of(module, numbers, network)
            if any(isinstance(step, Recomputed) for step in steps):
                found.append((module, _Chain(steps)))
    for module in numbers:
        if module not in in_chains and any(True for _ in module.children()):
            found.append((module, Recomputed(module.forward, [module], network)))
    return found


def _steps_of(chain, numbers, network):
    """Return what a chain calls in turn: the parts of every block as one."""
    runs: list[list[nn.Module]] = []
    for child in chain:  # not children(), which leaves out what comes twice
        number = numbers.get(child)
        if runs and number is not None and numbers.get(runs[-1][-1]) == number:
            runs[-1].append(child)
        else:
            runs.append([child])
    return [_step_of(run, numbers, network) for run in runs]


def _step_of(run, numbers, network):
    # Of a single layer nothing would be saved: it keeps its input itself.
    is_layer = len(run) == 1 and not any(True for _ in run[0].children())
    if is_layer or run[0] not in numbers:
        return _Chain(run)
    return Recomputed(_Chain(run), run, network)


def _set_forward(part, forward):
    if forward is None:
        del part.forward
    else:
        object.__setattr__(part, "forward", forward)


def _values_of_buffers(parts):
    """Return where buffers stand, themselves, and a copy of their values."""
    return [
        (store, name, buffer, None if buffer is None else buffer.detach().clone())
        for part in parts
        for module in part.modules()
        for store in (module._buffers,)
        for name, buffer in store.items()
    ]


def _put_back(values):
    for store, name, buffer, value in values:
        store[name] = buffer
        if buffer is not None:
            buffer.data.copy_(value)  # past autograd, which would take it for a change
