"""SAN: discriminators of the classes, of which those that the target lacks fall silent."""

from collections.abc import Callable
from numbers import Real
from typing import ClassVar

import numpy as np
import torch
from torch import nn

from skda._sklearn_compat import Interval
from skda._torch import StepValues
from skda.base import DeepAdaptationClassifier, check_keywords
from skda.losses import domain_cross_entropy
from skda.nn import (
    ClasswiseDiscriminator,
    DomainAccuracy,
    DomainDiscriminator,
    JointAlignment,
    WeightedAlignments,
    busiest_classes,
    target_entropy,
)


class SelectiveAdversary(nn.Module):
    """Losses of one discriminator per class, by the predictions of rows and of the target.

    Parameters
    ----------
    layers : sequence of str
        The layers, side by side.

    widths : dict of str to int
        Width of every layer, and of ``"logits"``.

    hidden_layer_sizes : tuple of int, default=(100, 100)
        Of every discriminator.

    dropout : float, default=0.0
        Of every discriminator.
    """

    joint = True
    adversarial = True
    class_weights: torch.Tensor

    def __init__(self, layers, widths, **sizes):
        super().__init__()
        n_classes = widths["logits"]
        width = sum(widths[layer] for layer in layers)
        self.by_class = ClasswiseDiscriminator(width, n_classes, **sizes)
        self.accuracy = DomainAccuracy()
        self.register_buffer("class_weights", torch.full((n_classes,), 1 / n_classes))
        self._shares = StepValues()

    def forward(self, source, target):
        """Return the sum of the losses of the discriminators."""
        features = [source.side_by_side(), target.side_by_side()]
        probabilities = [domain["logits"].detach().softmax(dim=1) for domain in (source, target)]
        if not hasattr(self, "_shares"):  # from a pickle of version 0.1.0
            self._shares = StepValues()
        self._shares.add(probabilities[1].mean(dim=0))
        classes, coverage = busiest_classes(
            probabilities[0] * self.class_weights, probabilities[1] * self.class_weights
        )
        class_weights, n_classes = self.class_weights, len(self.class_weights)
        if classes is not None:
            probabilities = [p[:, classes] for p in probabilities]
            class_weights = class_weights[classes]
        sizes = [len(rows) for rows in features]
        logits = self.by_class(torch.cat(features), classes=classes).split(sizes)
        mixed = [(z * p).sum(dim=1) for z, p in zip(logits, probabilities, strict=True)]
        self.accuracy.add(*mixed)
        weights = [p * class_weights * n_classes for p in probabilities]
        # The loss is a mean over columns, of which there are as many as classes that were asked.
        return domain_cross_entropy(*logits, *weights) * (logits[0].shape[1] / coverage)

    def end_epoch(self):
        """Weigh the classes by how often the target was predicted to be of them."""
        if not getattr(self, "_shares", None):
            return
        first, *others = self._shares.values().view(-1, len(self.class_weights)).cpu()
        total = sum(others, first)  # in the order of the steps, as it has always been rounded
        self.class_weights.copy_(total / (1 + len(others)))
        self._shares.clear()


class SANClassifier(DeepAdaptationClassifier):
    r"""Selective adversarial network, for a target that holds only some of the source's classes.

    Every class c has a discriminator D_c, which sees a row as strongly as the row is predicted to
    be of that class, and counts as much as the target is predicted to be of it; so source rows of
    classes that the target lacks are left alone [1]_::

        loss = CE(F(G(x_s)), y) - trade_off * sum_c w_c mean p_c(x) CE(D_c(G(x)), domain)
                                + trade_off * entropy_weight * H(F(G(x_t)))
        w_c  = n_classes * mean p_c(x_t)

    With equal weights w_c of 1 it is the multi-adversarial network (MADA). The entropy of the
    target's predictions makes them certain.

    Unlike [1]_, the weights of the classes are scaled to mean 1, and are those of the last epoch;
    no gradient goes through predictions into the discriminators; Adam trains. Of more than 32
    classes a step asks the discriminators of the 32
    that its rows are most predicted to be of, by w_c; they stand for all by
    their share of the predictions.

    Parameters
    ----------
    layers : tuple of str, default=("features",)
        What the discriminators see; several layers side by side.

    trade_off_schedule : {"progressive", "constant"} or callable, default="progressive"
        Factor of `trade_off` as a function of training progress in [0, 1]: ``"progressive"``
        grows from 0 to 1, see :func:`skda.training.progressive`.

    batch_norm : {"shared", "domain"}, default="shared"
        Whether the module's batch norms share statistics, in which the target counts as it is
        aligned, or keep some for every domain. Statistics of its own are those of the classes that
        a domain holds: of digits that do not differ but for a target of 0 and 1 alone 23 % are
        recognised with them, 84 % with shared ones. For a target with all classes ``"domain"``
        aligns better.

    entropy_weight : float, default=0.1
        Weight of the entropy, relative to the adversary's.

    **prefixed_params : keywords
        ``module__*``, ``optimizer__*``, ``discriminator__hidden_layer_sizes`` ((100, 100) by
        default) and ``discriminator__dropout`` (of all discriminators), ``criterion__*`` (of
        :class:`torch.nn.CrossEntropyLoss`), ``callbacks__*``, ``iterator_train__*``
        (of :class:`skda.training.PairedBatches`), ``iterator_valid__*`` and ``compile__*``.

    Attributes
    ----------
    class_weights_ : ndarray of shape (n_classes,)
        Share of the target that was predicted to be of each class, at the end of training; empty
        without a target or a trade-off.

    See Also
    --------
    DAANClassifier : Discriminators of classes for a target that holds all classes.

    References
    ----------
    .. [1] Z. Cao, M. Long, J. Wang, M. I. Jordan. Partial Transfer Learning with Selective
       Adversarial Networks. CVPR 2018, section 3.

    Examples
    --------
    >>> from skda.adaptation import SANClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> digits = load_shifted_digits(random_state=0)
    >>> some = digits.y_target < 5
    >>> clf = SANClassifier(max_epochs=30, random_state=0)
    >>> clf = clf.fit(digits.X, digits.y, X_target=digits.X_target[some])
    >>> bool(clf.class_weights_[:5].sum() > clf.class_weights_[5:].sum())
    True
    """

    alignment: ClassVar[type] = SelectiveAdversary
    trade_off_schedule: str | Callable = "progressive"
    batch_norm: str = "shared"
    entropy_weight: float = 0.1

    keyword_prefixes = ("module", "discriminator")

    _parameter_constraints = {
        "entropy_weight": [Interval(Real, 0, None, closed="left")],
    }

    def make_alignment(self, layers, widths):
        adversary = super().make_alignment(layers, widths)
        entropy = JointAlignment(target_entropy, ())
        return WeightedAlignments([adversary, entropy], [1.0, self.entropy_weight])

    def make_loss(self, alignment, layers, widths):
        keywords = self.params_for("discriminator")
        check_keywords("discriminator", DomainDiscriminator, keywords)
        return SelectiveAdversary(layers, widths, **keywords)

    def finish_fit(self, training):
        super().finish_fit(training)
        parts = self.net_.alignment_.modules()
        weights = [part.class_weights for part in parts if isinstance(part, SelectiveAdversary)]
        self.class_weights_ = torch.cat(weights).cpu().numpy() if weights else np.empty(0)
