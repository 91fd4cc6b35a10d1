"""The shallow DANN: one hidden layer, a domain unit, and a step for every source row."""

from functools import partial
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from skda._random import drawing
from skda._torch import as_tensor
from skda.adaptation.adversarial._row_descent import RowDescent, RowPairs, Rows
from skda.base import DeepAdaptationClassifier
from skda.losses import domain_cross_entropy
from skda.nn import MLP, DomainAdversary, widths_of
from skda.training import AdaptationNet, augment_of, augment_rows


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
        As in :class:`~skda.training.AdaptationNet`.
    """

    def get_iterator(self, dataset, training=False):
        """Return pairs of rows for training, batches of consecutive rows otherwise."""
        if not training:
            return super().get_iterator(dataset)
        random_state = self.get_params_for("iterator_train").get("random_state", 0)
        if self.augment is not None:
            pairs = _AugmentedPairs(partial(self._domains, dataset), random_state)
        else:
            pairs = RowPairs(*self._domains(dataset), random_state)
        return self.note_batches(pairs)

    def _domains(self, dataset):
        """Return the rows of the source, and a list of those of every target that is needed."""
        source, *targets = map(self._inputs, range(len(dataset.domains)), dataset.domains)
        if not self._needs_target(dataset):
            targets = []
        labels = dataset.target_labels or [np.full(len(rows), -100) for rows in targets]
        if dataset.weights is None:
            return Rows(source, dataset.y), list(map(Rows, targets, labels))
        of_source = dataset.source_weights()
        if dataset.target_labels is None:
            of_targets = [torch.ones(len(rows)) for rows in targets]  # of no label
        else:
            of_targets = dataset.weights[len(of_source) :].split(list(map(len, labels)))
        return Rows(source, dataset.y, of_source), list(map(Rows, targets, labels, of_targets))

    def _inputs(self, domain, rows):
        """Return the rows of a domain as the hidden layer gets them."""
        rows = rows[:]  # of a file on disk too
        name = "target" if domain else "source"
        if (augment := augment_of(self.augment, name)) is not None:
            rows = augment_rows(augment, as_tensor(rows).clone(), name)
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
            As in :class:`~skda.training.AdaptationNet`, with means over the epoch.
        """
        module, adversary = self.module_, self._adversary()
        (hidden,) = (part for part in module.backbone.modules() if isinstance(part, nn.Linear))
        linear = [hidden, module.head, *([adversary.discriminator] if adversary else ())]
        layers = [(_to_array(layer.weight), _to_array(layer.bias)) for layer in linear]
        lr = float(self.optimizer_.param_groups[0]["lr"])
        descent = RowDescent(layers, lr, float(self.trade_off))
        logits, labels, weights = [], [], []
        for rows in batch[0]:
            logits.append(descent.step(rows))
            labels.append([row[2] for row in rows])
            if len(rows[0]) > 3:
                weights.append([row[3] for row in rows])
        self._set_weights(linear, descent.layers(), lr * len(labels))

        # Of shape (rows of a step, steps, outputs).
        logits = torch.from_numpy(np.stack(logits, axis=1))
        logits, domain_logits = logits.tensor_split([module.head.out_features], dim=2)
        labels = torch.tensor(labels).T
        is_known = labels >= 0
        self._weights = torch.tensor(weights).T[is_known] if weights else None
        loss = classification_loss = self.get_classification_loss(
            logits[is_known], labels[is_known]
        )
        step = {"classification_loss": classification_loss, "trade_off": self.trade_off}
        if adversary is not None:
            source_logits, target_logits = domain_logits
            adversary.accuracy.add(source_logits, target_logits)
            self._predicted.add(logits[1].argmax(dim=1))
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


class _AugmentedPairs(RowPairs):
    """Pairs of rows that are augmented anew for every epoch, all rows of a domain at once."""

    def __init__(self, make_domains, random_state):
        source, targets = make_domains()
        super().__init__(source, targets, random_state)
        self._make_domains = make_domains

    def __iter__(self):
        with drawing():
            self.source, self.targets = self._make_domains()
        yield from super().__iter__()


def _to_array(parameter):
    return parameter.detach().cpu().numpy().T.copy()


class ShallowDANNClassifier(DeepAdaptationClassifier):
    r"""Domain-adversarial neural network of one hidden layer, for tables.

    Algorithm 1 of [1]_: the backbone G is a layer of sigmoid units, the classifier F a linear map,
    the discriminator D a single logistic unit, and every step of gradient descent is that of one
    source row and one random target row ::

        min_{G, F} max_D  CE(F(G(x_s)), y) + trade_off * (log(1 - D(G(x_s))) + log D(G(x_t)))

    The trade-off is fixed, multiplies the sum over both domains, and scales D's learning too; lr is
    fixed as well, in the experiments of [1]_ at 1e-3 for word counts and 0.05 for two columns. A
    target row with a known label trains the classifier too, when it is drawn. Rows that are mostly
    zeros cost the time of their other values only. Training is on the CPU.

    Unlike in [1]_, source rows are shuffled in every epoch, and early stopping looks at their loss
    instead of their error.

    Parameters
    ----------
    **prefixed_params : keywords
        ``module__hidden_layer_sizes``, a tuple of one width, (64,) by default; ``callbacks__*``
        and ``iterator_valid__*``.

    See Also
    --------
    DANNClassifier : The deep network, trained on batches.

    References
    ----------
    .. [1] Y. Ganin et al. Domain-Adversarial Training of Neural Networks. JMLR 17(59), 2016,
       section 4.1.

    Examples
    --------
    >>> from skda.adaptation import ShallowDANNClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> digits = load_shifted_digits(random_state=0)
    >>> clf = ShallowDANNClassifier(lr=0.05, max_epochs=3, random_state=0)
    >>> clf = clf.fit(digits.X, digits.y, X_target=digits.X_target)
    >>> clf.transform(digits.X_target).shape
    (899, 64)
    """

    alignment: ClassVar[type] = DomainAdversary
    row_kinds = ("table",)
    layers: ClassVar[tuple[str, ...]] = ("features",)
    trade_off_schedule: ClassVar[str] = "constant"
    batch_norm: ClassVar[str] = "shared"
    module: ClassVar[None] = None
    weights: ClassVar[str] = "pretrained"
    preprocess: ClassVar[str] = "auto"
    n_frozen: ClassVar[int] = 0
    freeze: ClassVar[str] = "none"
    adapter: ClassVar[None] = None
    optimizer: ClassVar[type] = torch.optim.SGD  # carries the learning rate
    lr_schedule: ClassVar[str] = "constant"
    head_lr_multiplier: ClassVar[float] = 1.0
    batch_size: ClassVar[int] = 2
    gradient_accumulation_steps: ClassVar[int] = 1
    gradient_checkpointing: ClassVar[bool] = False
    deterministic: ClassVar[bool] = True
    precision: ClassVar[str] = "float32"
    compile: ClassVar[bool] = False
    cuda_graphs: ClassVar[bool] = False

    net_class = ShallowDANNNet
    keyword_prefixes = ("module",)
    module_prefixes: ClassVar[tuple[str, ...]] = ()
    net_prefixes = ("callbacks", "iterator_valid")

    def make_backbone(self, training):
        keywords = self.params_for("module")
        if unknown := keywords.keys() - {"hidden_layer_sizes"}:
            raise TypeError(
                f"module__{min(unknown)}: the hidden layer of ShallowDANNClassifier takes no "
                f"parameter {min(unknown)!r}; valid is module__hidden_layer_sizes."
            )
        return _make_sigmoid_layer(self.input_shape_, **keywords)

    def make_module(self, training, **params):
        module = super().make_module(training, **params)
        for layer in (*module.backbone.modules(), module.head):
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)
        return module

    def make_loss(self, alignment, layers, widths):
        unit = nn.Linear(widths[layers[0]], 1)
        nn.init.zeros_(unit.weight)
        nn.init.zeros_(unit.bias)
        return DomainAdversary(widths[layers[0]], unit)


def _make_sigmoid_layer(input_shape, *, hidden_layer_sizes=(64,)):
    """Return a layer of sigmoid units, or raise if there is not one layer."""
    sizes = widths_of("module__hidden_layer_sizes", hidden_layer_sizes)
    if len(sizes) != 1:
        raise ValueError(
            f"module__hidden_layer_sizes={hidden_layer_sizes!r}: ShallowDANNClassifier has one "
            "hidden layer; give one width, such as 64."
        )
    return MLP(input_shape[0], hidden_layer_sizes=sizes, batch_norm=False, activation=nn.Sigmoid)
