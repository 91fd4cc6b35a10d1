"""Gradient descent row by row: what trains the shallow DANN."""

from typing import Any

import numpy as np
import torch
from scipy.linalg import get_blas_funcs
from scipy.sparse import csr_array
from scipy.special import expit

from skda.training import draw_by_weights

# From this share of non-zero values on, gathering columns costs more than it saves.
_DENSE = 0.1


class RowDescent:
    r"""Gradient descent with one hidden layer of sigmoid units, a step for a pair of rows.

    The weights of the hidden layer and of the classes descend, and the hidden layer at the same
    time ascends `trade_off` times the cross-entropy that the domain unit descends.

    Parameters
    ----------
    layers : sequence of (ndarray of shape (n_in, n_out), ndarray of shape (n_out,))
        Weights and biases of the hidden layer, of the classes and, if there is one, of the domain
        unit.

    lr : float
        Learning rate.

    trade_off : float
        Weight of the domain unit.

    References
    ----------
    Y. Ganin et al. Domain-Adversarial Training of Neural Networks. JMLR 17(59), 2016, Algorithm 1.
    """

    def __init__(self, layers, lr, trade_off):
        (weights, biases), *outputs = layers
        self.weights, self.biases = weights.copy(), biases.copy()
        # All that looks at the hidden units is one matrix, with the biases in its last row.
        self.outputs = np.vstack([np.hstack(parts) for parts in zip(*outputs, strict=True)])
        self.widths = [len(biases) for _, biases in outputs]
        self.lr, self.trade_off = lr, trade_off
        self._hidden = np.ones((2, len(self.outputs)), weights.dtype)
        self._errors = np.zeros((2, self.outputs.shape[1]), weights.dtype)
        self._signs = np.ones_like(self._errors[0])
        self._signs[self.widths[0] :] = -1
        self._add_outer: Any = get_blas_funcs("ger", [weights])

    def step(self, rows):
        """Take a step.

        Parameters
        ----------
        rows : sequence of (columns, values, label) or (columns, values, label, weight)
            A source row, and a target row if there is a domain unit. Either all values and None
            for the columns, or the non-zero values and the columns that hold them; a class
            number, negative for an unlabeled target row; and how much that class counts.

        Returns
        -------
        logits : ndarray of shape (n_rows, n_classes + 1) or (n_rows, n_classes)
            Before the step: of the classes, and of the target domain.
        """
        weights, outputs, n_classes = self.weights, self.outputs, self.widths[0]
        hidden, errors = self._hidden[: len(rows)], self._errors[: len(rows)]
        units = hidden[:, :-1]
        for row, sums in zip(rows, units, strict=True):
            np.dot(row[1], weights if row[0] is None else weights[row[0]], out=sums)
        units += self.biases
        expit(units, out=units)
        logits = hidden @ outputs

        for row, scores, error in zip(rows, logits, errors, strict=True):
            label = row[2]
            if label < 0:
                error[:n_classes] = 0
                continue
            # ufunc.reduce has half the overhead of the methods.
            scores = scores[:n_classes]
            probabilities = np.exp(scores - np.maximum.reduce(scores))
            probabilities /= np.add.reduce(probabilities)
            probabilities[label] -= 1
            if len(row) > 3:
                probabilities *= row[3]
            error[:n_classes] = probabilities
        if len(self.widths) > 1:
            domain_errors = expit(logits[:, n_classes])
            domain_errors[1] -= 1
            errors[:, n_classes] = self.trade_off * domain_errors

        changes = (errors * self._signs) @ outputs[:-1].T  # reversed for the domain unit
        changes *= units
        changes *= 1 - units
        changes *= -self.lr
        outputs -= hidden.T @ (self.lr * errors)
        self.biases += np.add.reduce(changes)
        for row, change in zip(rows, changes, strict=True):
            columns, values = row[:2]
            if columns is None:
                self._add_outer(1, change, values, a=weights.T, overwrite_a=True)  # in place
            else:
                weights[columns] += values[:, None] * change
        return logits

    def layers(self):
        """Return the layers as they are now.

        Returns
        -------
        layers : list of (ndarray of shape (n_in, n_out), ndarray of shape (n_out,))
            As in the constructor.
        """
        parts = np.split(self.outputs, np.cumsum(self.widths)[:-1], axis=1)
        return [(self.weights, self.biases), *((part[:-1], part[-1]) for part in parts)]


class Rows:
    """Rows of one domain as :class:`RowDescent` wants them."""

    def __init__(self, rows, labels, weights=None):
        self.values: Any = rows
        self.labels = labels.tolist()
        self.weights = None if weights is None else weights.tolist()
        self.sparse = None
        if np.count_nonzero(rows) < _DENSE * rows.size:
            self.sparse = csr_array(rows)
            self.values = None

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, number):
        if self.sparse is None:
            row = None, self.values[number], self.labels[number]
        else:
            part = slice(*self.sparse.indptr[number : number + 2])
            row = self.sparse.indices[part], self.sparse.data[part], self.labels[number]
        return row if self.weights is None else (*row, self.weights[number])


class RowPairs:
    """The rows of an epoch: every source row once, each with a random target row.

    Parameters
    ----------
    source : Rows
        The source.

    targets : sequence of Rows
        The target domains, from each of which as many rows are drawn; none for the source alone.

    random_state : int
        Seed.
    """

    def __init__(self, source, targets, random_state):
        self.source, self.targets = source, targets
        self.source_weights: Any = None  # of its rows, where not all come once
        # The order of the source does not depend on whether there is a target.
        seeds = np.random.SeedSequence(random_state).spawn(2)
        self.orders, self.draws = map(np.random.default_rng, seeds)

    def __len__(self):
        return 1

    def __iter__(self):
        """Yield the epoch, as a single batch for skorch, and the labels of its source rows."""
        order, labels = self.orders.permutation(len(self.source)), torch.tensor(self.source.labels)
        if self.source_weights is not None:
            generator = torch.Generator().manual_seed(int(self.orders.integers(2**62)))
            shape = len(order), 1
            order = draw_by_weights(labels.numpy(), self.source_weights, shape, generator)
            order = order[:, 0].numpy()
        yield self._pairs(order), labels[torch.from_numpy(order)]

    def _pairs(self, order):
        if not self.targets:
            yield from ((self.source[number],) for number in order)
            return
        domains = self.draws.integers(len(self.targets), size=len(order))
        numbers = self.draws.integers(np.array([len(rows) for rows in self.targets])[domains])
        for number, domain, drawn in zip(order, domains, numbers, strict=True):
            yield self.source[number], self.targets[domain][drawn]
