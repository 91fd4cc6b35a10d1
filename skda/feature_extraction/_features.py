"""The part of a network that gives the chosen layers."""

from collections.abc import Mapping
from contextlib import nullcontext
from threading import RLock

import torch
from torch import nn

from skda.backbones import describe_output
from skda.nn import record_activations
from skda.rows import batch_size, forward_batch
from skda.training import AdaptationModule

# Hooks fire for every thread that runs the network, so one thread at a time may have them.
_HOOKS = RLock()


class FeatureModule(nn.Module):
    r"""Pooled activations of the chosen layers of a network, and no more work than they need.

    The first forward runs the whole network and counts how often every layer runs. Later ones stop
    as soon as the last of them has run as often, so a network must run its layers equally often
    for every batch.

    Parameters
    ----------
    module : torch.nn.Module
        The network, in eval mode; of an :class:`skda.training.AdaptationModule` layers are looked
        for in its backbone. It is used, not copied.

    layers : tuple of str
        Paths of submodules, or ``"features"`` for the output of the network. Of a submodule that
        runs several times the last output counts.

    pooling : {"avg", "max", "flatten"} or None
        What becomes of activations with more than 2 dimensions: the average or maximum over
        positions, or all values. Positions are the dimensions after the second, and the second
        one in activations of shape (n, n_tokens, n_channels), which those of 3 dimensions are
        unless the inputs are series. With None there must be none.

    sizes : tuple of int, default=None
        Of a batch, by domain, for an :class:`skda.training.AdaptationModule`: which domain its
        rows are of. None is the target.

    Examples
    --------
    >>> import torch
    >>> from skda.feature_extraction._features import FeatureModule
    >>> from skda.nn import ConvNet
    >>> module = ConvNet(3, (16, 16)).eval()
    >>> features = FeatureModule(module, ("conv1", "features"), "avg")
    >>> [tuple(x.shape) for x in features(torch.zeros(5, 3, 16, 16))]
    [(5, 32), (5, 100)]
    """

    def __init__(self, module, layers, pooling, sizes=None):
        super().__init__()
        self.module, self.layers, self.pooling = module, tuple(layers), pooling
        self.sizes, self._n_runs = sizes, None

    def forward(self, x):
        """Return the features of every layer.

        Parameters
        ----------
        x : torch.Tensor of shape (n, ...), or dict of tensors
            Inputs of the network. Where an ``attention_mask`` is zero, tokens are not pooled.

        Returns
        -------
        features : tuple of torch.Tensor of shape (n, n_features)
            In float32, one per layer.

        Raises
        ------
        ValueError
            If the network has no such layer, or if a layer does not give one row per sample.
        """
        adapted = isinstance(self.module, AdaptationModule)
        inside = [layer for layer in self.layers if layer != "features"]
        # Exporters lose their way when a module is left half-way, and drop unused parts themselves.
        may_stop = "features" not in self.layers and not torch.compiler.is_compiling()
        outputs = _Outputs(self.pooling, self._n_runs if may_stop else None, x)
        # Predictions of an estimator run its network too. Always in this order.
        with self.module.rows.lock if adapted else nullcontext(), _HOOKS:
            handles = record_activations(
                self.module.backbone if adapted else self.module, inside, outputs
            )
            try:
                output = self._run(x) if adapted else forward_batch(self.module, x)
                outputs["features"] = output[1]["features"] if adapted else output
                self._n_runs = {layer: outputs.n_runs.get(layer, 0) for layer in inside}
            except _Complete:
                pass
            finally:
                for handle in handles:
                    handle.remove()
                if adapted:  # what its own hooks recorded before a stop
                    self.module._recorded.clear()
        for layer in self.layers:
            self._check(layer, outputs.get(layer), batch_size(x))
        return tuple(outputs[layer] for layer in self.layers)

    def _run(self, x):
        """Run an adapted network; here, for the lock keeps others from changing the domain."""
        sizes = self.module.rows.sizes if self.sizes is None else self.sizes
        with self.module.rows.of(sizes):
            return self.module(x)

    def _check(self, layer, output, n_rows):
        shape = getattr(output, "shape", ())
        if len(shape) == 2 and shape[0] == n_rows:
            return
        advice = "choose another layer"
        if len(shape) > 2 and self.pooling is None:
            advice += ", or pooling='avg', 'max' or 'flatten'"
        raise ValueError(
            f"layers: {layer!r} must give one row of activations per sample, got "
            f"{describe_output(output)}; {advice}."
        )


class _Complete(BaseException):
    """Every layer has run. No Exception: a network may catch those."""


class _Outputs(dict):
    """Outputs of layers, pooled when they come: a later layer may overwrite them in place."""

    def __init__(self, pooling, expected_runs=None, inputs=None):
        self.pooling, self.expected_runs, self.n_runs = pooling, expected_runs, {}
        self.mask = inputs.get("attention_mask") if isinstance(inputs, Mapping) else None
        self.of_series = isinstance(inputs, torch.Tensor) and inputs.ndim == 3

    def __setitem__(self, layer, output):
        if isinstance(output, torch.Tensor) and output.ndim >= 2:
            output = self._pool(output.float())
        super().__setitem__(layer, output)
        self.n_runs[layer] = self.n_runs.get(layer, 0) + 1
        if self.n_runs == self.expected_runs:
            raise _Complete

    def _pool(self, x):
        if x.ndim == 2 or self.pooling is None:
            return x.clone()
        if self.pooling == "flatten":
            return x.flatten(1).clone()
        has_tokens = x.ndim == 3 and not self.of_series
        if has_tokens and self.mask is not None and self.mask.shape == x.shape[:2]:
            return self._pool_tokens(x, self.mask.bool().unsqueeze(2))
        x = x.transpose(1, 2) if has_tokens else x.flatten(2)
        return x.mean(dim=2) if self.pooling == "avg" else x.amax(dim=2)

    def _pool_tokens(self, x, is_token):
        """Pool over tokens alone: padding depends on what other rows are in the batch."""
        if self.pooling == "max":
            return x.masked_fill(~is_token, -torch.inf).amax(dim=1)
        return (x * is_token).sum(dim=1) / is_token.sum(dim=1).clamp(min=1)
