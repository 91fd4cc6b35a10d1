"""Whether the rows of a batch that a network is trained on reach each other."""

import copy
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from skda._random import own_generators
from skda.rows import batch_size, map_batch
from skda.training._drawing import is_known_part

# Rows that are looked at, in halves: layers may need two.
_N_ROWS = 4
# Of the norm of all values. A mean over two rows in place of four makes ten times that and more.
_TOLERANCE = 1e-3


class RowIndependence:
    """A look at a network before it is trained, for layers that compute something of all rows.

    Batch norms are no such layers here: who shares a batch sees to them. What cannot be told, of
    networks that draw random numbers or cannot be copied, is taken for independent.

    Parameters
    ----------
    module : AdaptationModule
        Whose copy is looked at: nothing becomes of the module itself.
    """

    def __init__(self, module: nn.Module):
        self._copy: Any = None
        try:
            self._copy = copy.deepcopy(module)
        except (RuntimeError, TypeError):  # such as of weights that are computed from others
            return
        for part in self._copy.train().modules():
            # Without dropout, and with batch norms that do what they do to every row.
            part.training = not (is_known_part(part) or isinstance(part, _BatchNorm | _DropoutNd))

    def holds_for(self, X: Any) -> bool:
        """Tell whether rows have the same values among others; X are rows of the source first."""
        if self._copy is None or batch_size(X) < _N_ROWS:
            return True
        half = _N_ROWS // 2
        try:
            together, *halves = (
                self._outputs(map_batch(lambda x, rows=rows: x[rows], X))
                for rows in (slice(_N_ROWS), slice(half), slice(half, _N_ROWS))
            )
        except (_Draws, RuntimeError, TypeError, ValueError):  # such as of so few rows
            return True
        apart = [torch.cat(parts) for parts in zip(*halves, strict=True)]
        return all(
            one.shape == other.shape and bool((one - other).norm() <= _TOLERANCE * one.norm())
            for one, other in zip(together, apart, strict=True)
        )

    def _outputs(self, X):
        """Return logits and activations of a network that has seen no other rows."""
        module = copy.deepcopy(self._copy)
        device = next((p.device for p in module.parameters()), torch.device("cpu"))
        with (
            torch.no_grad(),
            own_generators(device) as own,
            module.rows.of(module.rows.SOURCE_ALONE),
        ):
            logits, activations = module(X)
        if own.n_draws:
            raise _Draws
        return [logits.double(), *(value.double() for value in activations.values())]


class _Draws(Exception):
    """Layers draw random numbers: no two passes give the same."""
