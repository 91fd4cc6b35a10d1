"""What a fitted network makes of rows."""

import warnings
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn.base import TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skda._callers import level_of_user
from skda._torch import as_given, float32_on_cpu
from skda.estimators._parts import EstimatorPart
from skda.exceptions import DivergenceError, IncompleteFitWarning
from skda.rows import collect_rows, is_iterable_data, iterate_chunks

_ROWS_OF_A_CHUNK = 1024  # of data that come in one order
_DIVERGED = (
    "The network has parameters or statistics that are not finite: its training diverged, or its "
    "weights came so. Fit again with a lower lr, or with inputs of a scale of about 1."
)


class ForwardMixin(TransformerMixin, EstimatorPart):
    """Outputs, features and activations of rows."""

    def transform(self, X: Any) -> np.ndarray:
        """Return the features: the output of the module.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or images as in fit
            Rows.

        Returns
        -------
        features : ndarray of shape (n_samples, n_features_out)
            In float32.
        """
        return as_given(self._forward(X, "features"), X)

    def _forward(self, X, layer="logits", finish=torch.Tensor.numpy, domain=None):
        """Return what `finish` makes of outputs or features of rows; no more is kept."""
        if is_iterable_data(X):
            chunks = [
                self._forward(chunk, layer, finish, domain)
                for chunk in iterate_chunks(X, _ROWS_OF_A_CHUNK)
            ]
            if not chunks:
                raise ValueError("X is an iterable with 0 rows; pass at least one.")
            return np.concatenate(chunks)
        rows, parts = self._activations(X, (layer,), domain)
        means = partial(self._outputs, domain=domain) if layer == "logits" else torch.Tensor.float
        with self.net_.own_threads(is_training=False), float32_on_cpu():
            return collect_rows((finish(means(part[layer])) for part in parts), len(rows))

    def _outputs(self, logits, domain):
        return self._task.outputs(self._labelled_logits(logits, domain))

    def _labelled_logits(self, logits, domain):
        """Return logits of rows of a domain by the classifier of that domain; here there is one."""
        return logits

    def _activations(self, X, layers, domain):
        """Return the rows of X, and the activations of one batch of them after the other."""
        check_is_fitted(self)
        if getattr(self, "interruption_", None):  # not in pickles of 0.1.0
            warnings.warn(
                f"The training of this {type(self).__name__} was {self.interruption_}; it "
                "predicts by what its whole epochs taught.",
                IncompleteFitWarning,
                stacklevel=level_of_user(),
            )
        rows = self._validate_X(X, reset=False)
        return rows, self._finite(self.net_.iter_activations(rows, layers, domain))

    def _finite(self, parts):
        """Yield activations, or raise if they are no numbers, which would pass for class 0."""
        # Infinite statistics of a network that went on make finite outputs, the same of all rows.
        may_have_diverged = getattr(self, "on_divergence", "raise") == "ignore"
        if may_have_diverged and not self.net_.is_finite():
            raise DivergenceError(_DIVERGED)
        start = 0
        for part in parts:
            finite = [values.flatten(1).isfinite().all(dim=1) for values in part.values()]
            wrong = ~torch.stack(finite).all(dim=0)
            if wrong.any():
                if not self.net_.is_finite():
                    raise DivergenceError(_DIVERGED)
                raise ValueError(
                    "X: what the network makes of it is not finite, from row "
                    f"{start + int(wrong.nonzero()[0])} on; such large values did not occur in "
                    "fit. Bring X to the scale of the rows of fit, or leave out these rows."
                )
            start += len(wrong)
            yield part

    def activations_of(
        self, X: Any, layers: Sequence[str] = ("features",), domain: Any = None
    ) -> dict[str, torch.Tensor]:
        """Return the activations of rows of a domain, under the statistics of that domain.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or images as in fit
            Rows.

        layers : sequence of str, default=("features",)
            ``"features"``, ``"logits"``, and what `layers` of the estimator names.

        domain : {"source", "target"}, int or None, default=None
            Where the rows come from; a number is that of one of several target domains, None the
            target.

        Returns
        -------
        activations : dict of str to torch.Tensor of shape (n_samples, ...)
            By layer, on the CPU.

        Raises
        ------
        ValueError
            If what the network makes of a row is not finite.

        skda.exceptions.DivergenceError
            If the network itself is not.
        """
        rows, parts = self._activations(X, layers, domain)
        with self.net_.own_threads(is_training=False), float32_on_cpu():
            return collect_rows(parts, len(rows))
