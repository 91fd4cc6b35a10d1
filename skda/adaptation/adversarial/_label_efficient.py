"""Label-efficient transfer to other classes: like domains, and rows close to class means."""

from collections.abc import Callable
from numbers import Real
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.func import functional_call

from skda._sklearn_compat import Interval, StrOptions
from skda.backbones import list_blocks
from skda.base import DeepAdaptationClassifier
from skda.domains import UNLABELED, list_target_classes
from skda.estimators import ClassificationTask
from skda.losses import domain_cross_entropy
from skda.nn import MLP, widths_of

# Of a class that is not predicted. Scorers refuse infinite scores; its softmax is exactly zero.
_NO_CLASS = -1e9


class MultiLayerDiscriminator(nn.Module):
    """Discriminators of domains, each of which also gets what the one before it has made out.

    Parameters
    ----------
    widths : list of int
        Width of every layer, in the order of depth.

    hidden_layer_sizes : tuple of int
        Hidden layers of every discriminator, at least one.
    """

    def __init__(self, widths, hidden_layer_sizes):
        super().__init__()
        hidden_layer_sizes = widths_of("alignment__hidden_layer_sizes", hidden_layer_sizes)
        if not hidden_layer_sizes:
            raise ValueError(
                "alignment__hidden_layer_sizes is empty; a discriminator needs a hidden layer, "
                "whose output goes to the next one."
            )
        code = hidden_layer_sizes[-1]
        self.hidden = nn.ModuleList(
            MLP(
                width + (code if depth else 0),
                hidden_layer_sizes=hidden_layer_sizes,
                batch_norm=False,
            )
            for depth, width in enumerate(widths)
        )
        self.output = nn.ModuleList(nn.Linear(code, 1) for _ in widths)

    def forward(self, layers):
        """Return the logits of the target domain, of shape (n_layers, n, 1)."""
        codes, logits = [], []
        for features, hidden, output in zip(layers, self.hidden, self.output, strict=True):
            codes.append(hidden(torch.cat([features, *codes[-1:]], dim=1)))
            logits.append(output(codes[-1]))
        return torch.stack(logits)


class Prototypes(nn.Module):
    """Mean features by class, over the last epoch.

    Parameters
    ----------
    n_classes : int
        How many classes there are.

    temperature : float
        Of the similarities.
    """

    def __init__(self, n_classes, temperature):
        super().__init__()
        self.n_classes, self.temperature = n_classes, temperature
        # Of the classes that have rows, and where every class is among them.
        self.register_buffer("means", None, persistent=False)
        self.register_buffer("positions", None, persistent=False)
        self._sums = None

    def add(self, features, labels):
        """Count rows of this epoch in, those without a label excepted."""
        known = labels != UNLABELED
        members = F.one_hot(torch.where(known, labels, 0), self.n_classes) * known[:, None]
        with_count = torch.cat([features.detach(), torch.ones_like(features[:, :1])], dim=1)
        sums = members.to(features.dtype).T @ with_count
        self._sums = sums if self._sums is None else self._sums.add_(sums)

    def end_epoch(self):
        """Take the means of the epoch's rows."""
        if self._sums is None:
            return
        sums, counts = self._sums[:, :-1], self._sums[:, -1]
        seen = counts > 0
        if seen.any():
            self.means = sums[seen] / counts[seen, None]
            self.positions = torch.where(seen, seen.cumsum(dim=0) - 1, UNLABELED)
        self._sums = None

    def similarities(self, features):
        """Return cosine similarities over the temperature, of shape (n, n_prototypes)."""
        return F.normalize(features) @ F.normalize(self.means).T / self.temperature

    def entropy(self, features, labels):
        """Return the mean entropy of the softmax of an unlabeled row's similarities."""
        log_probabilities = F.log_softmax(self.similarities(features), dim=1)
        entropies = -(log_probabilities.exp() * log_probabilities).sum(dim=1)
        unlabeled = labels == UNLABELED
        return (entropies * unlabeled).sum() / unlabeled.sum().clamp(min=1)

    def cross_entropy(self, features, labels):
        """Return the mean cross-entropy of this softmax for a labelled row."""
        positions = torch.where(labels == UNLABELED, labels, self.positions[labels.clamp(min=0)])
        losses = F.cross_entropy(
            self.similarities(features), positions, ignore_index=UNLABELED, reduction="sum"
        )
        return losses / (positions != UNLABELED).sum().clamp(min=1)


class LabelEfficientTransfer(nn.Module):
    """Domain transfer at several layers, and semantic transfer at the features.

    The discriminators and the features learn by losses of their own, each with the other as it
    is: no gradient of the one's loss reaches the other.

    Parameters
    ----------
    layers : sequence of str
        Where the domains are told apart, in the order of depth.

    widths : dict of str to int
        Width of every layer.

    domain_weight : float
        Weight of the domain transfer.

    semantic_weight : float
        Weight of the semantic transfer.

    temperature : float
        Of the similarities to prototypes.

    hidden_layer_sizes : tuple of int, default=(100, 100)
        Hidden layers of every discriminator.
    """

    joint = True

    def __init__(
        self,
        layers,
        widths,
        *,
        domain_weight,
        semantic_weight,
        temperature,
        hidden_layer_sizes=(100, 100),
    ):
        super().__init__()
        self.domain_weight, self.semantic_weight = domain_weight, semantic_weight
        self.discriminator = MultiLayerDiscriminator(
            [widths[layer] for layer in layers], hidden_layer_sizes
        )
        self.source_prototypes = Prototypes(widths["logits"], temperature)
        self.target_prototypes = Prototypes(widths["logits"], temperature)

    def forward(self, source, target):
        """Return the loss of the features, and that of the discriminators."""
        loss, opponent = source["features"].new_zeros(()), 0.0
        if self.domain_weight:
            mapping, opponent = self._domain_losses(source, target)
            loss = loss + self.domain_weight * mapping
        if self.semantic_weight:
            loss = loss + self.semantic_weight * self._semantic_loss(source, target)
        return loss, opponent

    def _domain_losses(self, source, target):
        rows = [
            [domain[layer].flatten(1) for layer in source.layers] for domain in (source, target)
        ]
        fixed = {name: value.detach() for name, value in self.discriminator.named_parameters()}
        # Inverted labels: softplus(z) is the cross-entropy of target rows against the source.
        mapping = F.softplus(functional_call(self.discriminator, fixed, (rows[1],))).mean()
        both = [torch.cat(pair).detach() for pair in zip(*rows, strict=True)]
        sizes = [len(domain[0]) for domain in rows]
        return mapping, domain_cross_entropy(*self.discriminator(both).split(sizes, dim=1))

    def _semantic_loss(self, source, target):
        features, labels = target["features"], target.labels
        self.source_prototypes.add(source["features"], source.labels)
        if labels is None:
            labels = torch.full((len(features),), UNLABELED, device=features.device)
        else:
            self.target_prototypes.add(features, labels)
        loss = features.new_zeros(())
        if self.source_prototypes.means is not None:
            loss = loss + self.source_prototypes.entropy(features, labels)
        if self.target_prototypes.means is not None:
            loss = loss + self.target_prototypes.entropy(features, labels)
            loss = loss + self.target_prototypes.cross_entropy(features, labels)
        return loss


class OtherClassesTask(ClassificationTask):
    """Labels that may be of other classes in the target, which predictions then choose from.

    Attributes
    ----------
    target_classes : ndarray of shape (n_target_classes,)
        The classes that predictions choose from.
    """

    def encode(self, y, X):
        """Return class numbers of the source."""
        codes = super().encode(y, X)
        self.target_classes = self.source_classes = self.classes
        return codes

    def encode_target(self, y_target, targets):
        """Return class numbers of target rows, among the classes of both domains."""
        source_classes = self.source_classes
        target_classes = list_target_classes(y_target, source_classes)
        if not np.isin(target_classes, source_classes).all():
            if len(target_classes) == 1:
                raise ValueError(
                    f"y_target holds one class, {target_classes.tolist()[0]!r}, and y does not "
                    "have it, so that it would be every prediction; label rows of at least two "
                    "classes."
                )
            self.classes = np.union1d(source_classes, target_classes)
            self.target_classes = self.classes[np.isin(self.classes, target_classes)]
        return super().encode_target(y_target, targets)

    def recode(self, codes):
        """Return class numbers of the source among the classes of both domains."""
        return np.searchsorted(self.classes, self.source_classes)[codes]

    def fitted_attributes(self):
        """Return ``classes_`` and ``target_classes_``."""
        return {**super().fitted_attributes(), "target_classes_": self.target_classes}

    def outputs(self, outputs):
        """Return logits, those of classes that are not predicted far below all others."""
        others = torch.from_numpy(~np.isin(self.classes, self.target_classes))
        return outputs.masked_fill(others, _NO_CLASS)

    def fold_head(self, head):
        """Let the head itself give what `outputs` makes of it, in place; for an export."""
        others = torch.from_numpy(~np.isin(self.classes, self.target_classes))
        with torch.no_grad():
            head.weight[others] = 0
            head.bias[others] = _NO_CLASS


class LabelEfficientClassifier(DeepAdaptationClassifier):
    r"""Label-efficient learning of representations for other domains and other classes.

    A few rows of the target are labelled (`y_target`), and their classes may be others than those
    of the source. Beside these labels two things train the network [1]_::

        loss = CE(source and labelled target)
               + trade_off * (domain_weight * domain transfer + semantic_weight * semantic transfer)

    *Domain transfer*: at every layer a discriminator learns to tell the domains apart, and
    target rows learn to look like source rows to it (inverted labels, as in a generative
    adversarial network); a deeper discriminator also gets the code of the one before it.

    *Semantic transfer*: an unlabeled target row is to be similar to one prototype and not to the
    others. Prototypes are the mean features of the classes, those of the source and those of the
    labelled target rows; with v the softmax over prototypes of the similarities, divided by the
    temperature, the entropy H(v) becomes small. Labelled target rows are to be similar to the
    prototype of their class, by cross-entropy.

    If `y_target` holds a class that `y` does not have, predictions choose among the classes of
    `y_target`, else among those of `y`; held-out source rows, on which a search scores by
    default, are then of classes that are not predicted, see
    :class:`skda.model_selection.TargetEntropyScorer`. Without labels of the target this is
    unsupervised adaptation.

    Unlike [1]_, both domains share their encoder, so that it learns from the source meanwhile and
    there is no stage of its own for that; similarities are cosines; prototypes are those of the
    last epoch, and absent in the first; discriminators and features learn in the same step, each
    with the others fixed; losses are averaged over layers; Adam trains, and batch norms keep
    statistics per domain.

    Parameters
    ----------
    layers : tuple of str or "auto", default="auto"
        Where the domains are told apart, in the order of depth: ``"features"``, ``"logits"`` or
        paths of submodules of the module. ``"auto"`` takes the features and the output of the
        block before the last one, see :func:`skda.backbones.list_blocks`.

    trade_off_schedule : {"progressive", "constant"} or callable, default="progressive"
        Factor of `trade_off` as a function of training progress in [0, 1]: ``"progressive"``
        grows from 0 to 1, see :func:`skda.training.progressive`.

    domain_weight : float, default=0.03
        Weight of the domain transfer. Domains of other classes differ for a good reason, and too
        large a weight mixes classes of the target with those of the source; with the same classes
        in both, 1 is not too large.

    semantic_weight : float, default=1.0
        Weight of the semantic transfer.

    temperature : float, default=0.3
        Of the similarities: the lower, the more the nearest prototype counts.

    **prefixed_params : keywords
        ``module__*``, ``optimizer__*``, ``alignment__hidden_layer_sizes`` (of the
        discriminators, (100, 100) by default),
        ``criterion__*`` (of :class:`torch.nn.CrossEntropyLoss`), ``callbacks__*``,
        ``iterator_train__*`` (of :class:`skda.training.PairedBatches`), ``iterator_valid__*``
        and ``compile__*``.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The sorted classes of `y` and `y_target`.

    target_classes_ : ndarray of shape (n_target_classes,)
        The classes that predictions choose from. All others have the probability 0, and -1e9 in
        the place of their logits.

    See Also
    --------
    DANNClassifier : Domains of the same classes.
    DomainConfusionClassifier : Some classes of the source have labels in the target.

    References
    ----------
    .. [1] Z. Luo, Y. Zou, J. Hoffman, L. Fei-Fei. Label Efficient Learning of Transferable
       Representations across Domains and Tasks. NIPS 2017, section 3.

    Examples
    --------
    >>> import numpy as np
    >>> from skda.adaptation import LabelEfficientClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> digits = load_shifted_digits(random_state=0)
    >>> small, large = digits.y < 5, digits.y_target >= 5
    >>> X_target, y_target = digits.X_target[large], digits.y_target[large]
    >>> few_labels = np.where(np.arange(len(y_target)) < 25, y_target, -1)
    >>> clf = LabelEfficientClassifier(max_epochs=5, random_state=0)
    >>> clf = clf.fit(digits.X[small], digits.y[small], X_target=X_target, y_target=few_labels)
    >>> clf.classes_
    array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    >>> clf.target_classes_
    array([5, 6, 7, 8, 9])
    >>> bool(clf.predict(X_target).min() >= 5)
    True
    """

    task_class = OtherClassesTask
    alignment: ClassVar[type] = LabelEfficientTransfer
    layers: tuple[str, ...] | str = "auto"
    trade_off_schedule: str | Callable = "progressive"
    domain_weight: float = 0.03
    semantic_weight: float = 1.0
    temperature: float = 0.3

    _parameter_constraints = {
        "layers": [tuple, list, StrOptions({"auto"})],
        "domain_weight": [Interval(Real, 0, None, closed="left")],
        "semantic_weight": [Interval(Real, 0, None, closed="left")],
        "temperature": [Interval(Real, 0, None, closed="neither")],
    }

    # -- the network --------------------------------------------------------------------------

    def name_layers(self, training):
        if self.layers != "auto":
            return self.layers
        before_last = [block.modules[-1] for block in list_blocks(training.backbone)[-2:-1]]
        return [*before_last, "features"]

    def make_loss(self, alignment, layers, widths):
        keywords = self.params_for("alignment")
        return LabelEfficientTransfer(
            layers,
            widths,
            domain_weight=self.domain_weight,
            semantic_weight=self.semantic_weight,
            temperature=self.temperature,
            **keywords,
        )
