"""The skorch net of the shallow DANN: one hidden layer, and a step for every source row."""

import numpy as np
import torch
from scipy.linalg import get_blas_funcs
from scipy.sparse import csr_array
from scipy.special import expit
from torch import nn

from skda.losses import domain_cross_entropy
from skda.nn import DomainAdversary
from skda.training._batches import as_tensor
from skda.training._net import AdaptationNet

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
        self._add_outer = get_blas_funcs("ger", [weights])

    def step(self, rows):
        """Take a step.

        Parameters
        ----------
        rows : sequence of (columns, values, label)
            A source row, and a target row if there is a domain unit. Either all values and None
            for the columns, or the non-zero values and the columns that hold them; and a class
            number, negative for an unlabeled target row.

        Returns
        -------
        logits : ndarray of shape (n_rows, n_classes + 1) or (n_rows, n_classes)
            Before the step: of the classes, and of the target domain.
        """
        weights, outputs, n_classes = self.weights, self.outputs, self.widths[0]
        hidden, errors = self._hidden[: len(rows)], self._errors[: len(rows)]
        units = hidden[:, :-1]
        for (columns, values, _), sums in zip(rows, units, strict=True):
            np.dot(values, weights if columns is None else weights[columns], out=sums)
        units += self.biases
        expit(units, out=units)
        logits = hidden @ outputs

        for (_, _, label), scores, error in zip(rows, logits, errors, strict=True):
            if label < 0:
                error[:n_classes] = 0
                continue
            # ufunc.reduce has half the overhead of the methods.
            scores = scores[:n_classes]
            probabilities = np.exp(scores - np.maximum.reduce(scores))
            probabilities /= np.add.reduce(probabilities)
            probabilities[label] -= 1
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
        for (columns, values, _), change in zip(rows, changes, strict=True):
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


class _Rows:
    """Rows of one domain as :class:`RowDescent` wants them."""

    def __init__(self, rows, labels):
        self.values, self.labels = rows, labels.tolist()
        self.sparse = None
        if np.count_nonzero(rows) < _DENSE * rows.size:
            self.sparse = csr_array(rows)
            self.values = None

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, number):
        if self.sparse is None:
            return None, self.values[number], self.labels[number]
        part = slice(*self.sparse.indptr[number : number + 2])
        return self.sparse.indices[part], self.sparse.data[part], self.labels[number]


class RowPairs:
    """The rows of an epoch: every source row once, each with a random target row.

    Parameters
    ----------
    source : _Rows
        The source.

    targets : sequence of _Rows
        The target domains, from each of which as many rows are drawn; none for the source alone.

    random_state : int
        Seed.
    """

    def __init__(self, source, targets, random_state):
        self.source, self.targets = source, targets
        # The order of the source does not depend on whether there is a target.
        seeds = np.random.SeedSequence(random_state).spawn(2)
        self.orders, self.draws = map(np.random.default_rng, seeds)

    def __len__(self):
        return 1

    def __iter__(self):
        """Yield the epoch, as a single batch for skorch, and the labels of its source rows."""
        order = self.orders.permutation(len(self.source))
        yield self._pairs(order), torch.tensor(self.source.labels)[torch.from_numpy(order)]

    def _pairs(self, order):
        if not self.targets:
            yield from ((self.source[number],) for number in order)
            return
        domains = self.draws.integers(len(self.targets), size=len(order))
        numbers = self.draws.integers(np.array([len(rows) for rows in self.targets])[domains])
        for number, domain, drawn in zip(order, domains, numbers, strict=True):
            yield self.source[number], self.targets[domain][drawn]


class ShallowDANNNet(AdaptationNet):
    """A skorch net that trains a network of one hidden layer with a domain unit, row by row.

    An epoch is what skorch takes for a batch. Trade-off and learning rate are the same in every
    step; the optimiser is there for its learning rate, which a callback may change. Training is
    on the CPU. Gradients, in the history and for callbacks, are means over the epoch.

    Parameters
    ----------
    module : AdaptationModule
        With a backbone of one linear layer and sigmoid units.

    alignment : torch.nn.Module, default=None
        Holds a :class:`skda.nn.DomainAdversary` with a linear layer, the domain unit.

    **kwargs : keywords
        As in :class:`AdaptationNet`.
    """

    def get_iterator(self, dataset, training=False):
        """Return pairs of rows for training, batches of consecutive rows otherwise."""
        if not training:
            return super().get_iterator(dataset)
        source, *targets = map(self._inputs, range(len(dataset.domains)), dataset.domains)
        if not self._needs_target(dataset):
            targets = []
        labels = dataset.target_labels or [np.full(len(rows), -100) for rows in targets]
        random_state = self.get_params_for("iterator_train").get("random_state", 0)
        return RowPairs(_Rows(source, dataset.y), list(map(_Rows, targets, labels)), random_state)

    def _inputs(self, domain, rows):
        """Return the rows of a domain as the hidden layer gets them."""
        rows = rows[:]  # of a file on disk too
        if self.module_.standardizer is not None:
            affine = self.module_.standardizer.affines[domain]
            rows = affine(as_tensor(rows).to(self.device)).cpu().numpy()
        return np.asarray(rows)

    def train_step(self, batch, **fit_params):
        """Train on the rows of an epoch, one after the other.

        Parameters
        ----------
        batch : tuple of (iterable, torch.Tensor)
            What :class:`RowPairs` yields.

        **fit_params : dict
            Passed on by skorch; not used.

        Returns
        -------
        step : dict
            As in :class:`AdaptationNet`, with means over the epoch.
        """
        module, adversary = self.module_, self._adversary()
        (hidden,) = (part for part in module.backbone.modules() if isinstance(part, nn.Linear))
        linear = [hidden, module.head, *([adversary.discriminator] if adversary else ())]
        layers = [(_to_array(layer.weight), _to_array(layer.bias)) for layer in linear]
        lr = float(self.optimizer_.param_groups[0]["lr"])
        descent = RowDescent(layers, lr, float(self.trade_off))
        logits, labels = [], []
        for rows in batch[0]:
            logits.append(descent.step(rows))
            labels.append([label for _, _, label in rows])
        self._set_weights(linear, descent.layers(), lr * len(labels))

        # Of shape (rows of a step, steps, outputs).
        logits = torch.from_numpy(np.stack(logits, axis=1))
        logits, domain_logits = logits.tensor_split([module.head.out_features], dim=2)
        labels = torch.tensor(labels).T
        is_known = labels >= 0
        loss = classification_loss = self.criterion_(logits[is_known], labels[is_known])
        step = {"classification_loss": classification_loss, "trade_off": self.trade_off}
        if adversary is not None:
            source_logits, target_logits = domain_logits
            adversary.accuracy.add(source_logits, target_logits)
            self._predicted.append(logits[1].argmax(dim=1))
            step["alignment_loss"] = domain_cross_entropy(source_logits, target_logits)
            loss = loss + step["alignment_loss"]
        return {**step, "y_pred": logits[0], "loss": loss}

    def _adversary(self):
        adversaries = (p for p in self.alignment_.modules() if isinstance(p, DomainAdversary))
        return next(adversaries, None)

    def _set_weights(self, linear, layers, scale):
        """Put weights in place, and where gradients are the mean one of the steps to them."""
        self.optimizer_.zero_grad()
        self.optimizer_.step()  # moves nothing, but a scheduler wants to see it
        with torch.no_grad():
            for layer, arrays in zip(linear, layers, strict=True):
                for parameter, array in zip((layer.weight, layer.bias), arrays, strict=True):
                    new = torch.from_numpy(array.T).to(parameter.device)
                    if scale:
                        parameter.grad = (parameter - new) / scale
                    parameter.copy_(new)


def _to_array(parameter):
    return parameter.detach().cpu().numpy().T.copy()
