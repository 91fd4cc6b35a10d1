"""Class shares of the target domains, by which the source's rows are drawn."""

import math
from typing import Any

import numpy as np
import torch
from skorch.dataset import Dataset

from skda._naming import naming
from skda._random import drawing
from skda.label_shift import check_shares
from skda.training._datasets import take_rows
from skda.training._parts import NetPart
from skda.training._resampling import class_shares, draw_by_weights, weights_for_shares
from skda.training._share_estimates import early_estimate, next_step

_ROUNDING = 1e-9
# Estimates come after every tenth of a training but the last, at least so many epochs apart. Rows
# are held out for the first ones, and learned from after them.
_N_EARLY = 2
_LEAST_APART = 2
_HELD = 0.15
# More rows make estimates dearer, and no better than their assumptions.
_MOST_HELD = 1000
_MOST_OF_TARGET = 500


class SharesMixin(NetPart):
    """A net that draws the source's rows by the class shares of the targets.

    What it has come to stands in the history alone, so that it goes on, and is taken back, with
    the epochs.
    """

    # Of the epoch that runs: shares by target and of the source, whose labels, and which of its
    # rows take part.
    _shares: Any = None
    _source_shares: Any = None
    _labels: Any = None
    _are_drawn: Any = None
    # How sure the estimates are: "exact", "shift" or "none", by target.
    _evidence: Any = None

    def on_epoch_begin(self, net, dataset_train: Any = None, dataset_valid: Any = None, **kwargs):
        """Begin an entry of the history, with the shares of the epoch."""
        super().on_epoch_begin(net, dataset_train, dataset_valid, **kwargs)
        if self.target_shares is None:
            return
        given, labels = self.target_shares, dataset_train.class_numbers
        n_classes = given.shape[1] if isinstance(given, np.ndarray) else self._n_classes(labels)
        self._labels, self._source_shares = labels, class_shares(labels, n_classes)
        self._are_drawn = None
        if isinstance(given, np.ndarray):
            self._shares = given
        else:
            self._shares = self._renewed_shares(dataset_train, dataset_valid)
        if not (isinstance(given, np.ndarray) or callable(given)):
            self.history.record("target_shares_evidence", self._evidence)
        shares = self._shares[0] if len(self._shares) == 1 else self._shares
        self.history.record("target_shares", shares.tolist())

    def draw_source_by_shares(self, iterator: Any) -> None:
        """Let training batches have source rows of the shares of this epoch.

        Parameters
        ----------
        iterator : PairedBatches
            The batches.

        Raises
        ------
        TypeError
            If they know nothing of it.
        """
        if self._shares is None:
            return
        if not hasattr(iterator, "source_weights"):
            raise TypeError(
                "target_shares draws source rows by their classes, which batches of the type "
                f"{type(iterator).__name__} cannot; leave iterator_train as it is, derive it from "
                "skda.training.PairedBatches, or set target_shares=None."
            )
        n_rows = getattr(iterator, "sizes", ())[1:]
        weights = n_rows if len(n_rows) == len(self._shares) else None
        shares = np.average(self._shares, axis=0, weights=weights)
        # The source as it is needs no drawing, and gives the training without target_shares.
        is_source = self._are_drawn is None and self._are_of_source(shares)
        iterator.source_weights = (
            None if is_source else weights_for_shares(self._labels, shares, self._are_drawn)
        )

    def rows_by_shares(self, labels: torch.Tensor) -> torch.Tensor | None:
        """Return the numbers of held-out source rows that make up the shares of the targets.

        Parameters
        ----------
        labels : torch.Tensor of int64 of shape (n,)
            Their classes.

        Returns
        -------
        rows : torch.Tensor of int64 of shape (n,) or None
            Some of them more than once; None for all rows as they are.
        """
        if self._shares is None or self._are_of_source(shares := self._shares.mean(axis=0)):
            return None
        codes, source = labels.cpu().numpy(), self._source_shares
        weights = np.divide(shares, source, out=np.zeros(len(source)), where=source > 0)[codes]
        if not weights.sum() > 0:  # no class of the target is held out
            return None
        return draw_by_weights(codes, weights, (1, len(codes)))[0].to(labels.device)

    @property
    def target_shares_(self) -> np.ndarray:
        """Shares that the network has learned for, of the last epoch or of the best one.

        Of shape (n_classes,), or (n_targets, n_classes) with several targets.
        """
        best = [c.best_epoch_ for _, c in self.callbacks_ if getattr(c, "load_best", False)]
        row = self.history[-1]
        for entry in self.history:
            row = entry if entry["epoch"] in best else row
        return np.array(row["target_shares"])

    def effective_source_classes(self, known: float) -> float:
        """Return the effective number of classes that the last epoch drew.

        Parameters
        ----------
        known : float
            That of the labels.

        Returns
        -------
        n_effective : float
            The same, unless shares of the targets are drawn by.
        """
        if self.target_shares is None:
            return known
        shares = torch.tensor(self.history[-1]["target_shares"]).view(-1, *self._n_shares).mean(0)
        return math.exp(torch.special.entr(shares).sum().item())

    # -- of the targets -------------------------------------------------------------------------

    def _renewed_shares(self, dataset, dataset_valid):
        """Return the shares of an epoch by what those before have come to."""
        n_targets = len(dataset.targets)
        earlier = [row["target_shares"] for row in self.history[:-1] if "target_shares" in row]
        shares = np.tile(self._source_shares, (max(1, n_targets), 1))
        is_known = bool(earlier) and np.shape(np.atleast_2d(earlier[-1])) == shares.shape
        if is_known:
            shares = np.atleast_2d(earlier[-1])
        self._evidence = self._last_evidence() if is_known else None
        self._evidence = self._evidence or ["none"] * len(shares)
        if not n_targets:
            return shares
        if not callable(self.target_shares):
            return self._estimated_shares(dataset, dataset_valid, shares)
        return self._by_target(self._asked_shares, dataset, shares) if is_known else shares

    @staticmethod
    def _by_target(ask, dataset, shares):
        learned = shares.mean(axis=0)
        return np.stack(
            [ask(rows, n, shares[n], learned) for n, rows in enumerate(dataset.targets)]
        )

    def _asked_shares(self, rows, number, shares, learned):
        """Return what a function says of the shares of a target."""
        probabilities = _softmax(self._logits_of(rows, number))
        wanted = (
            f"a function from target_probabilities and source_shares to {len(learned)} numbers of "
            "0 or more with a sum of 1, one per class"
        )
        with drawing():
            shares = self.target_shares(probabilities, learned.copy())
        with naming("target_shares", wanted):
            return check_shares(shares, "target_shares", len(learned))

    def _estimated_shares(self, dataset, dataset_valid, shares):
        """Return shares that are estimated if it is time; hold rows out for the next estimate."""
        n_done, labels = len(self.history) - 1, dataset.class_numbers
        early, late = _times_of_estimates(self.max_epochs)
        if n_done in late:
            return self._by_target(self._late_estimate, dataset, shares)
        if not early or n_done > early[-1]:
            return shares
        held = _held_rows(labels, self._order_seed) if dataset_valid is None else None
        if held is not None and n_done < early[-1]:
            self._are_drawn = _all_but(held, labels)
        if n_done not in early:
            return shares
        return self._by_target(self._early_estimate(dataset, dataset_valid, held), dataset, shares)

    def _early_estimate(self, dataset, dataset_valid, held):
        """Return what estimates the shares of a target with the help of held-out rows."""
        if held is None:
            logits, labels = self._logits_of(dataset_valid.X, "source"), dataset_valid.y
        else:
            logits, labels = self.source_logits(dataset, held), dataset.class_numbers[held]
        domains = ("source", "target") if self._has_own_statistics() else ("source",)

        def estimate(rows, number, shares, learned):
            part = _spread(rows)

            def predict(domain):
                return _softmax(self._logits_of(part, number if domain == "target" else domain))

            renewed, self._evidence[number] = early_estimate(
                predict,
                (_softmax(logits), labels),
                shares,
                self._evidence[number],
                source_shares=self._source_shares,
                learned=learned,
                domains=domains,
            )
            return renewed

        return estimate

    def _late_estimate(self, rows, number, shares, learned):
        """Return the shares of a target after a step, which needs no held-out rows."""
        evidence = self._evidence[number]
        if evidence == "exact":  # no prediction is needed
            return shares
        has_own = self._has_own_statistics()
        logits = self._logits_of(_spread(rows), number if has_own else "source")
        return next_step(
            _softmax(logits),
            shares,
            evidence,
            source_shares=self._source_shares,
            learned=learned,
        )

    def _last_evidence(self):
        name = "target_shares_evidence"
        entries = [row[name] for row in self.history[:-1] if name in row]
        return list(entries[-1]) if entries else None

    def source_logits(self, dataset: Any, numbers: np.ndarray) -> torch.Tensor:
        """Return the logits of source rows under the statistics of the source.

        Parameters
        ----------
        dataset : DomainDataset
            The rows of training.

        numbers : ndarray of int
            Which of the source.

        Returns
        -------
        logits : torch.Tensor of shape (n, n_classes)
            By the network as it is.
        """
        return self._logits_of(take_rows(dataset.X, numbers), "source")

    def _has_own_statistics(self):
        module = self.module_
        return self._evaluated_sizes is None and (
            bool(module.domain_batch_norms()) or module.standardizer is not None
        )

    def _logits_of(self, rows, domain):
        """Return the logits of rows of a domain by the network as it is."""
        domain = domain if self._evaluated_sizes is None else "source"
        with self.statistics_of(domain):
            outputs = self.forward_iter(Dataset(rows, length=len(rows)))
            return torch.cat([logits for logits, _ in outputs])

    # -- of the source --------------------------------------------------------------------------

    def _are_of_source(self, shares):
        return np.allclose(shares, self._source_shares, rtol=0, atol=_ROUNDING)

    @property
    def _n_shares(self):
        return self._source_shares.shape

    @property
    def _order_seed(self):
        return self.get_params_for("iterator_train").get("random_state", 0)

    def _n_classes(self, labels):
        widths = [getattr(part, "out_features", None) for part in self.module_.head.modules()]
        return widths[-1] or int(labels.max()) + 1


def _times_of_estimates(max_epochs):
    """Return after how many epochs early and late estimates come; an epoch follows on each."""
    last = min(math.ceil(0.9 * max_epochs), max_epochs - 1)
    early = [math.ceil(max_epochs * tenth / 10) for tenth in range(1, _N_EARLY + 1)]
    apart = max(_LEAST_APART, math.ceil(max_epochs / 10))
    late = range(early[-1] + apart, last + 1, apart)
    return [n_done for n_done in early if n_done <= last], late


def _softmax(logits):
    return logits.double().softmax(dim=1).cpu().numpy()


def _spread(rows):
    """Return some rows of a target, evenly from all, or all if they are few."""
    n_rows = len(rows)
    numbers = np.linspace(0, n_rows - 1, min(n_rows, _MOST_OF_TARGET))
    return take_rows(rows, np.unique(numbers.round().astype(int)))


def _held_rows(labels, seed):
    """Return the numbers of rows to estimate by: a share of every class, at least one of each."""
    order = np.random.RandomState(seed).permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    codes, counts = labels[order], np.bincount(labels)
    n_held = np.maximum(1, np.round(min(_HELD, _MOST_HELD / len(labels)) * counts))
    places = np.arange(len(labels)) - (counts.cumsum() - counts)[codes]  # within the class
    return np.sort(order[places < n_held[codes]])


def _all_but(held, labels):
    """Return which rows are learned from: not those, but the only one of a class is."""
    counts = np.bincount(labels)
    are_drawn = np.ones(len(labels), dtype=bool)
    are_drawn[held] = counts[labels[held]] == 1
    return are_drawn
