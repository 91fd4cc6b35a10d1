"""A recorder of steps for the CPU, which replays operators as a CUDA graph replays kernels."""

from contextlib import nullcontext

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten


class Tape(TorchDispatchMode):
    """Takes a step, and again by its operators alone: no Python of the step runs.

    As in a CUDA graph every operator finds its arguments in the memory that they had, and leaves
    its results in the memory that they had. What waits for the device is an error.
    """

    def __init__(self):
        super().__init__()
        self.n_recorded = self.n_replayed = 0
        self._entries = []

    def epoch(self):
        return nullcontext()

    def record(self, step):
        self._entries = []
        with self:
            step()
        self.n_recorded += 1
        return self._replay

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if "_local_scalar_dense" in func._schema.name:
            raise RuntimeError("operation not permitted when stream is capturing")
        results = func(*args, **kwargs)
        before = {_memory(t) for t in _tensors((args, kwargs))}
        fresh = [t if _memory(t) not in before else None for t in _tensors(results)]
        self._entries.append((func, args, kwargs, fresh))
        return results

    def _replay(self):
        self.n_replayed += 1
        with torch.no_grad():
            for func, args, kwargs, fresh in self._entries:
                results = _tensors(func(*args, **kwargs))
                for result, place in zip(results, fresh, strict=True):
                    if place is not None:
                        place.copy_(result)


def _tensors(values):
    return [value for value in tree_flatten(values)[0] if isinstance(value, torch.Tensor)]


def _memory(tensor):
    return tensor.untyped_storage().data_ptr()
