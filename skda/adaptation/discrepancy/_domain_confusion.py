"""Domain confusion: features that leave a domain classifier undecided."""

from numbers import Real
from typing import ClassVar

import torch
from torch import nn
from torch.func import functional_call

from skda._sklearn_compat import Interval
from skda.base import DeepAdaptationClassifier
from skda.losses import (
    class_soft_labels,
    domain_confusion,
    domain_cross_entropy,
    soft_label_cross_entropy,
)
from skda.nn import DomainAccuracy, DomainDiscriminator


class DomainConfusion(nn.Module):
    """Confusion of a domain classifier, and soft labels of target rows.

    The domain classifier and the features learn by losses of their own, each with the other as it
    is: no gradient of the one's loss reaches the other.

    Parameters
    ----------
    layers : sequence of str
        The layers to confuse; there is a domain classifier for each.

    widths : dict of str to int
        Width of every layer.

    soft_label_weight : float, default=0.0
        Weight of the soft labels, relative to that of the confusion.

    temperature : float, default=2.0
        Of the soft labels.

    hidden_layer_sizes : tuple of int, default=(100, 100)
        Hidden layers of every domain classifier.
    """

    joint = True

    def __init__(
        self,
        layers,
        widths,
        *,
        soft_label_weight=0.0,
        temperature=2.0,
        hidden_layer_sizes=(100, 100),
    ):
        super().__init__()
        # A name like "conv1.0" cannot name a submodule, hence a list.
        self.classifiers = nn.ModuleList(
            DomainDiscriminator(widths[layer], hidden_layer_sizes=hidden_layer_sizes)
            for layer in layers
        )
        self.accuracy = DomainAccuracy()
        self.n_classes = widths["logits"]
        self.soft_label_weight, self.temperature = soft_label_weight, temperature
        self.register_buffer("soft_labels", None, persistent=False)
        self._seen = []

    def forward(self, source, target):
        """Return the loss of the features, and that of the domain classifiers."""
        confusion = opponent = 0.0
        for layer, classifier in zip(source.layers, self.classifiers, strict=True):
            features = torch.cat([source[layer], target[layer]]).flatten(1)
            fixed = {name: value.detach() for name, value in classifier.named_parameters()}
            confusion = confusion + domain_confusion(
                functional_call(classifier, fixed, (features,))
            )
            sizes = [len(source[layer]), len(target[layer])]
            logits = classifier(features.detach()).split(sizes)
            self.accuracy.add(*logits)
            opponent = opponent + domain_cross_entropy(*logits)
        if self.soft_label_weight and target.labels is not None:
            self._seen.append((source["logits"].detach(), source.labels))
            if self.soft_labels is not None:
                confusion = confusion + self.soft_label_weight * soft_label_cross_entropy(
                    target["logits"], self.soft_labels, target.labels, self.temperature
                )
        return confusion, opponent

    def end_epoch(self):
        """Take the mean predictions of the epoch's source rows, by class, for soft labels."""
        if not self._seen:
            return
        logits, labels = (torch.cat(rows) for rows in zip(*self._seen, strict=True))
        self._seen.clear()
        self.soft_labels = class_soft_labels(logits, labels, self.n_classes, self.temperature)


class DomainConfusionClassifier(DeepAdaptationClassifier):
    r"""Simultaneous transfer across domains and tasks.

    A domain classifier D learns to tell the domains apart, and the features learn to leave it
    undecided: the cross-entropy of its output against the uniform distribution becomes small.
    Labelled target rows (`y_target`), if there are any, are also to be predicted as softly as the
    source rows of their class are on average, so that classes without any learn from the
    likeness of classes [1]_::

        loss = CE(source and labelled target) + trade_off * (confusion(D(G(x)))
                                                 + soft_label_weight * CE(soft labels, x_t))

    see :func:`skda.losses.domain_confusion` and :func:`skda.losses.soft_label_cross_entropy`.

    Unlike [1]_, D has hidden layers, since a linear one cannot tell apart domains that batch norms
    normalise each by itself (``alignment__hidden_layer_sizes=()`` makes it linear); D and the
    features learn in the same step instead of in turns, each with the other fixed; soft labels
    are those of the last epoch, and absent in the first; Adam trains, and batch norms keep
    statistics per domain. The weights of [1]_, 0.01 for the confusion and 0.1 for the soft
    labels, are for a pretrained network at a small learning rate.

    Parameters
    ----------
    soft_label_weight : float, default=0.1
        Weight of the soft labels, relative to that of the confusion.

    temperature : float, default=2.0
        Of the soft labels: the higher, the softer.

    **prefixed_params : keywords
        ``module__*``, ``optimizer__*``, ``alignment__hidden_layer_sizes`` (of the domain
        classifier, (100, 100) by default),
        ``criterion__*`` (of :class:`torch.nn.CrossEntropyLoss`), ``callbacks__*``,
        ``iterator_train__*`` (of :class:`skda.training.PairedBatches`), ``iterator_valid__*``
        and ``compile__*``.

    See Also
    --------
    DANNClassifier : Features that make the domain classifier fail, by gradient reversal.

    References
    ----------
    .. [1] E. Tzeng, J. Hoffman, T. Darrell, K. Saenko. Simultaneous Deep Transfer Across Domains
       and Tasks. ICCV 2015, section 3.

    Examples
    --------
    >>> from skda.adaptation import DomainConfusionClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> digits = load_shifted_digits(random_state=0)
    >>> few_labels = digits.y_target.copy()
    >>> few_labels[50:] = -1
    >>> clf = DomainConfusionClassifier(max_epochs=5, random_state=0)
    >>> clf = clf.fit(digits.X, digits.y, X_target=digits.X_target, y_target=few_labels)
    >>> clf.predict(digits.X_target).shape
    (899,)
    """

    alignment: ClassVar[type] = DomainConfusion
    soft_label_weight: float = 0.1
    temperature: float = 2.0

    _parameter_constraints = {
        "soft_label_weight": [Interval(Real, 0, None, closed="left")],
        "temperature": [Interval(Real, 0, None, closed="neither")],
    }

    def make_loss(self, alignment, layers, widths):
        keywords = self.params_for("alignment")
        return DomainConfusion(
            layers,
            widths,
            soft_label_weight=self.soft_label_weight,
            temperature=self.temperature,
            **keywords,
        )
