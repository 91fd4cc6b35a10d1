"""What a fitted network makes of rows."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from skda._torch import as_given, float32_on_cpu
from skda.estimators._parts import EstimatorPart
from skda.exceptions import DivergenceError, IncompleteFitWarning
from skda.rows import is_iterable_data, iterate_chunks

_ROWS_OF_A_CHUNK = 1024  # of data that come in one order
_STACK_OF_PREDICT = 4


class ForwardMixin(EstimatorPart):
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
        _, features = self._forward(X)
        return as_given(features.numpy(), X)

    def _forward(self, X):
        """Return outputs and features of rows of the target domain, on the CPU."""
        if is_iterable_data(X):
            chunks = [self._forward(chunk) for chunk in iterate_chunks(X, _ROWS_OF_A_CHUNK)]
            if not chunks:
                raise ValueError("X is an iterable with 0 rows; pass at least one.")
            outputs, features = map(torch.cat, zip(*chunks, strict=True))
            return outputs, features
        activations = self.activations_of(X, ("logits", "features"))
        outputs, features = activations["logits"], activations["features"]
        self._check_finite(outputs, X)
        return self._task.outputs(outputs), features

    def _check_finite(self, outputs, X):
        """Raise if the network makes of rows what is no number, which would pass for class 0."""
        wrong = ~outputs.flatten(1).isfinite().all(dim=1)
        if not wrong.any():
            return
        if not self.net_.is_finite():
            raise DivergenceError(
                "The network has parameters or statistics that are not finite: its training "
                "diverged, or its weights came so. Fit again with a lower lr, or with inputs of a "
                "scale of about 1."
            )
        first = int(wrong.nonzero()[0])
        raise ValueError(
            f"X: the network's outputs are not finite for {int(wrong.sum())} of {len(wrong)} rows, "
            f"the first of them row {first}; such large values did not occur in fit. Bring X to "
            "the scale of the rows of fit, or leave out these rows."
        )

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
        """
        check_is_fitted(self)
        if getattr(self, "interruption_", None):  # not in pickles of 0.1.0
            warnings.warn(
                f"The training of this {type(self).__name__} was {self.interruption_}; it "
                "predicts by what its whole epochs taught.",
                IncompleteFitWarning,
                stacklevel=_STACK_OF_PREDICT,
            )
        rows = self._validate_X(X, reset=False)
        with float32_on_cpu():
            return self.net_.activations_of(rows, layers, domain)
