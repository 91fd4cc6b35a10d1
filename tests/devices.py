"""Where tests compute, and the one way by which they look into what lies there."""

import copy
from collections.abc import Mapping

import torch


def on_cpu(value):
    """Return tensors, and what holds tensors, detached and on the CPU; the rest as it is.

    What an estimator has fitted lies on its device, which ``--device`` names, while what a test
    compares it with was made on the CPU. Modules are copied, so that the fitted one stays.
    """
    if isinstance(value, torch.Tensor):
        return value.detach().cpu()
    if isinstance(value, torch.nn.Module):
        return copy.deepcopy(value).cpu()
    if isinstance(value, Mapping):
        return {name: on_cpu(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(on_cpu(item) for item in value)
    if hasattr(value, "__next__"):
        return [on_cpu(item) for item in value]
    return value
