"""What a net makes of rows outside of training, under the statistics of the domain they are of."""

import contextlib
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn.utils import ClassifierTags
from skorch.dataset import Dataset
from torch import nn

from skda.nn import DomainRows
from skda.rows import as_batch, batch_size, collect_rows, map_batch
from skda.training._parts import NetPart, to_device, unpack_data
from skda.training._statistics import set_population_statistics

# Of fewer rows a matrix product is rounded otherwise: a row's prediction would depend on how many
# are predicted with it.
_ROWS_OF_A_KERNEL = 16
_AUTOCAST = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def accuracy(
    logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the share of rows whose largest logit is that of their class.

    Weights of rows, of shape (n_rows,), have a mean of 1 over all of the batches that there are.

    Parameters
    ----------
    logits : torch.Tensor of shape (n, n_classes)
        Of the rows of a batch.

    labels : torch.Tensor of shape (n,)
        Class numbers.

    weights : torch.Tensor of shape (n,), default=None
        Of the rows, with a mean of 1 over all of the batches that there are.

    Returns
    -------
    accuracy : torch.Tensor
        A scalar.
    """
    is_right = (logits.argmax(dim=1) == labels).float()
    return (is_right if weights is None else weights * is_right).mean()


class EvaluationMixin(NetPart):
    """Forward passes: of training batches, of rows of the target, of rows of any domain."""

    _evaluated_sizes = None  # rows outside training are of the target

    def infer(self, x, *, sizes=None, **fit_params):
        """Forward rows, in the net's precision.

        Parameters
        ----------
        x : torch.Tensor or ndarray
            Rows.

        sizes : tuple of int, default=None
            How many of the rows are of each domain, source first; None leaves it at what it is:
            that of a training batch, or rows of the target.

        **fit_params : dict
            Passed on by skorch; not used.

        Returns
        -------
        logits : torch.Tensor of shape (n, n_classes)
            In float32 whatever the precision.

        activations : dict of str to torch.Tensor
            By layer, in float32.
        """
        if sizes is None:
            return self._infer(self.module_, x)
        with self.module_.rows.of(sizes):
            return self._infer(self.module_, x)

    def _infer(self, module, x):
        x = to_device(x, self.device)
        if self._sharing is not None and self._sharing.is_on and self.module_.training:
            return self._sharing.forward(partial(self._forward, module), x)
        return self._forward(module, x)

    def _forward(self, module, x):
        if self.precision == "float32":
            return module(x)
        with torch.autocast(torch.device(self.device).type, dtype=_AUTOCAST[self.precision]):
            logits, activations = module(x)
        return logits.float(), {name: value.float() for name, value in activations.items()}

    def evaluation_step(self, batch, training=False):
        """Forward one batch of target rows, also for a callback in the middle of training."""
        X, y = unpack_data(batch)
        n_rows = batch_size(X)
        if n_rows < _ROWS_OF_A_KERNEL and not training:
            X = map_batch(partial(_repeat_last, n_rows=_ROWS_OF_A_KERNEL), X)
        rows = self.module_.rows
        with rows.lock, rows.of(self._evaluated_sizes):
            logits, activations = super().evaluation_step((X, y), training=training)
        return logits[:n_rows], {name: value[:n_rows] for name, value in activations.items()}

    def validation_step(self, batch, **fit_params):
        """Evaluate one batch of held-out source rows."""
        self._set_training(False)
        X, y = self.split_weights(batch)
        y = to_device(y, self.device)
        with torch.no_grad():
            logits, _ = self.infer(X, **fit_params)
            y_pred = logits = self.module_.labelled_logits(logits, len(y))
            if (rows := self.rows_by_shares(y)) is not None:
                logits, y = logits[rows], y[rows]
                self._weights = None if self._weights is None else self._weights[rows]
            loss = self.get_classification_loss(logits, y)
        name = f"valid_{self.valid_metric.__name__}"
        self.history.record_batch(name, self.get_metric(logits, y).item())
        return {"loss": loss, "y_pred": y_pred}

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict the probabilities of the classes of rows; see :meth:`predict`."""
        cached = vars(self).get("forward_iter")
        if cached is None or isinstance(X, Dataset | torch.Tensor | dict):
            return super().predict_proba(X)
        # skorch's scoring callbacks have it give what it gave of the rows that they score: not
        # of others, such as those of the target.
        del self.forward_iter
        try:
            return super().predict_proba(X)
        finally:
            self.forward_iter = cached

    def predict(self, X: Any) -> np.ndarray:
        """Predict the class of rows of the target domain.

        Parameters
        ----------
        X : ndarray, torch.Tensor or Dataset
            Rows.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Class numbers.
        """
        return self.predict_proba(X).argmax(axis=1)

    def score(self, X: Any, y: Any) -> float:
        """Return the share of rows whose class is predicted.

        Parameters
        ----------
        X : ndarray, torch.Tensor or Dataset
            Rows.

        y : ndarray of shape (n_samples,)
            Their class numbers.

        Returns
        -------
        accuracy : float
            From 0 to 1.
        """
        return float(np.mean(self.predict(X) == y))

    @property
    def classes_(self):
        """Class numbers, which scorers among the callbacks ask for."""
        widths = [getattr(part, "out_features", None) for part in self.module_.head.modules()]
        if not self._tells_classes_apart() or widths[-1] is None:
            raise AttributeError(f"{type(self).__name__} does not know its classes.")
        return np.arange(widths[-1])

    def _tells_classes_apart(self):
        criterion = self.criterion if isinstance(self.criterion, type) else type(self.criterion)
        return issubclass(criterion, nn.CrossEntropyLoss)

    def __sklearn_tags__(self):
        tags: Any = super().__sklearn_tags__()
        if self._tells_classes_apart():
            tags.estimator_type, tags.classifier_tags = "classifier", ClassifierTags()
        return tags

    @contextlib.contextmanager
    def statistics_of(self, domain):
        """Within this context rows are normalised as rows of a domain; other threads wait.

        Parameters
        ----------
        domain : {"source", "target"} or int
            A number is that of one of several target domains; ``"target"`` is the mixture of all.

        Yields
        ------
        None
            While the statistics are those of the domain.
        """
        sizes = _sizes_of(domain)
        with self.module_.rows.of(sizes):
            before, self._evaluated_sizes = self._evaluated_sizes, sizes
            try:
                yield
            finally:
                self._evaluated_sizes = before

    def source_statistics(self):
        """Within this context rows are normalised as rows of the source, not of the target.

        To look at the features of source rows; predictions of an estimator are for the target.

        Returns
        -------
        context : context manager
            That of :meth:`statistics_of`.
        """
        return self.statistics_of("source")

    def iter_activations(
        self,
        rows: Any,
        layers: Sequence[str] = ("features",),
        domain: Any = None,
        device: Any = "cpu",
    ) -> Iterator[dict[str, torch.Tensor]]:
        """Yield the activations of rows batch by batch; see :meth:`activations_of`.

        Parameters
        ----------
        rows : array-like of shape (n, ...)
            As in :meth:`activations_of`.

        layers : sequence of str, default=("features",)
            As in :meth:`activations_of`.

        domain : {"source", "target"}, int or None, default=None
            As in :meth:`activations_of`.

        device : str or torch.device, default="cpu"
            Where activations go.

        Yields
        ------
        activations : dict of str to torch.Tensor of shape (n, ...)
            By layer.
        """
        batches = self.forward_iter(Dataset(rows, length=len(rows)), device=device)
        while True:
            # Not around the loop: between two batches other threads may run the network.
            with contextlib.nullcontext() if domain is None else self.statistics_of(domain):
                batch = next(batches, None)
            if batch is None:
                return
            yield {layer: batch[1][layer] for layer in layers}

    def activations_of(
        self, rows: Any, layers: Sequence[str] = ("features",), domain: Any = None
    ) -> dict[str, torch.Tensor]:
        """Return the activations of rows of a domain, under the statistics of that domain.

        Parameters
        ----------
        rows : array-like of shape (n, ...)
            Rows, as the module takes them.

        layers : sequence of str, default=("features",)
            Some of ``module_.layers``.

        domain : {"source", "target"}, int or None, default=None
            Where the rows come from; a number is that of one of several target domains. None is
            the target, or the domain of the :meth:`statistics_of` around the call.

        Returns
        -------
        activations : dict of str to torch.Tensor of shape (n, ...)
            By layer, on the CPU.
        """
        return collect_rows(self.iter_activations(rows, layers, domain), len(rows))

    def estimate_target_statistics(self, targets):
        """Set the batch norms' target statistics to those of the target rows under this network.

        Needed where training saw no target rows. The statistics are exact: mean and biased
        variance over all rows of a domain, measured with the layers below already adapted, and
        with dropout off. A domain with up to ``iterator_valid__batch_size`` rows takes one
        forward; one of n batches about n for every batch norm, each only as far as that layer.

        Parameters
        ----------
        targets : sequence of arrays
            The rows of every target domain.
        """
        module = self.module_
        size = self.iterator_valid__batch_size
        self._set_training(False)
        for number, rows in enumerate(targets):

            def forward(part, rows=rows):
                # Not the compiled network, which would pass over hooks.
                self._infer(module.forward, as_batch(rows[part]))

            with torch.no_grad(), module.rows.of(DomainRows.target_alone(number)):
                set_population_statistics(
                    [norm.norms[number + 1] for norm in module.domain_batch_norms()],
                    forward,
                    [slice(start, start + size) for start in range(0, len(rows), size)],
                )
        self._pool_target_statistics()

    def _pool_target_statistics(self):
        if self.module_.n_targets > 1:
            for norm in self.module_.domain_batch_norms():
                norm.pool_targets()


def _repeat_last(rows, n_rows):
    return torch.cat([rows, rows[-1:].expand(n_rows - len(rows), *rows.shape[1:])])


def _sizes_of(domain):
    if domain == "target":
        return None  # of several targets the mixture
    return DomainRows.SOURCE_ALONE if domain == "source" else DomainRows.target_alone(domain)
