"""How many threads torch takes for a network, on a machine that has other things to do too."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from joblib import cpu_count
from torch import nn

# Multiply-adds of an average layer in a step forward and back. Two threads took 1.3 times as long
# as one for .7 million, as long for 4, and .6 times as long for 13 (MLPs, two quiet cores).
_FILL_A_THREAD = 5_000_000
# Such a layer keeps a core for some 35 ms, longer than its turn at it lasts where others wait for
# it: threads no longer wait many turns for each other in every step. Layers of 185 million still
# took 6 times as long beside a dozen processes, those of 13 million 90 times.
_OUTLAST_A_TURN = 500_000_000
# Part of the processors that shorter layers take at most: others are then free as a rule, also
# beside some processes, and nothing waits.
_SHARE_OF_PROCESSORS = 4

_LOCK = threading.Lock()


def _begin_after_fork():
    global _LOCK
    _LOCK = threading.Lock()  # who held it is not there


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_after_fork)


def threads_that_fill(
    work: tuple[int, int] | None, n_rows: int, *, is_training: bool = True
) -> int | None:
    """Return how many threads the operations of a network fill, by its average layer.

    The same number on the same machine, whatever else it does: sums over other numbers of threads
    are rounded otherwise.

    Parameters
    ----------
    work : (int, int) or None
        Multiply-adds of matrix products and convolutions for a row, forward, and how many of these
        there are. None, if that is not known, is no reason to take fewer threads.

    n_rows : int
        How many rows there are in a step.

    is_training : bool, default=True
        Whether gradients are computed too, which is twice the work.

    Returns
    -------
    n_threads : int or None
        None is as many as torch takes.

    Examples
    --------
    >>> from skda._threads import threads_that_fill
    >>> threads_that_fill((20_000, 3), n_rows=128)
    1
    >>> print(threads_that_fill((4_000_000_000, 20), n_rows=8))
    None
    """
    if work is None:
        return None
    multiply_adds, n_products = work
    of_a_layer = multiply_adds / max(n_products, 1) * n_rows
    if not is_training:
        of_a_layer /= 3
    if of_a_layer >= _OUTLAST_A_TURN:
        return None
    return max(1, min(int(of_a_layer / _FILL_A_THREAD), cpu_count() // _SHARE_OF_PROCESSORS))


@contextmanager
def threads_at_most(n_threads: int | None) -> Iterator[None]:
    """Within this context operations that this thread begins take no more threads than these.

    Other threads keep their number, those that begin meanwhile among them.

    Parameters
    ----------
    n_threads : int or None
        None leaves it as it is.

    Examples
    --------
    >>> import torch
    >>> from skda._threads import threads_at_most
    >>> with threads_at_most(1):
    ...     torch.get_num_threads()
    1
    """
    before = torch.get_num_threads()
    if n_threads is None or n_threads >= before or not _can_change():
        yield
        return
    set_own_threads(n_threads)
    try:
        yield
    finally:
        set_own_threads(before)


def set_own_threads(n_threads: int) -> None:
    """Let operations that this thread begins take so many threads.

    OpenMP keeps the number by thread. Torch also notes the last one that anybody set, for threads
    that have not computed yet; a thread that nobody else sees finds it before, and puts it back.

    Parameters
    ----------
    n_threads : int
        At least 1.
    """
    found, is_set = threading.Event(), threading.Event()

    def keep():
        n_for_others = torch.get_num_threads()
        found.set()
        is_set.wait()
        torch.set_num_threads(n_for_others)

    with _LOCK:
        keeper = threading.Thread(target=keep, daemon=True)
        keeper.start()
        found.wait()
        try:
            torch.set_num_threads(n_threads)
        finally:
            is_set.set()
            keeper.join()


def _can_change():
    """Whether torch is built so that its number of threads can change after it has computed."""
    return "backend: OpenMP" in torch.__config__.parallel_info()


@contextmanager
def counted(network: nn.Module) -> Iterator[list[int]]:
    """Count what the layers of a network do within this context.

    Parameters
    ----------
    network : torch.nn.Module
        Layers of it that have matrices of weights are looked at as they are called.

    Yields
    ------
    counts : list of int
        Multiply-adds of all products so far, one entry for each of them.
    """
    counts: list[int] = []

    def count(layer, inputs, output):
        counts.extend(_products_of(layer, inputs, output))

    handles = [part.register_forward_hook(count) for part in network.modules() if _weights(part)]
    try:
        yield counts
    finally:
        for handle in handles:
            handle.remove()


def _weights(layer) -> list[torch.Tensor]:
    if isinstance(layer, nn.Embedding | nn.EmbeddingBag):  # rows are looked up
        return []
    own = layer.parameters(recurse=False)
    return [p for p in own if p.ndim > 1 and not nn.parameter.is_lazy(p)]


def _products_of(layer, inputs, output) -> list[int]:
    """Return the multiply-adds of every product of a layer."""
    sizes = [weight.numel() for weight in _weights(layer)]
    if isinstance(layer, nn.RNNBase):
        # Of the output, which has as many rows: inputs may be given by keyword, unseen here.
        x = output[0].data if isinstance(output[0], nn.utils.rnn.PackedSequence) else output[0]
        n_steps = x.shape[1 if layer.batch_first else 0] if x.ndim == 3 else len(x)
        return [size * (x.numel() // x.shape[-1]) // n_steps for size in sizes] * n_steps
    if isinstance(layer, nn.RNNCellBase):
        state = output[0] if isinstance(output, tuple) else output
        return [size * (state.numel() // state.shape[-1]) for size in sizes]
    first: Any = inputs[0] if inputs else None
    transposed = isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d)
    if isinstance(output, torch.Tensor) and not transposed:
        return [output.numel() // weight.shape[0] * weight.numel() for weight in _weights(layer)]
    if isinstance(first, torch.Tensor) and first.ndim > 1:  # such as attention
        width = first.shape[1 if transposed else -1]
        return [first.numel() // width * size for size in sizes]
    return []
