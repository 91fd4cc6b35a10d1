"""DAAN: one discriminator of all features and one per class, weighed by what they find."""

import math
from collections.abc import Callable
from numbers import Real
from typing import ClassVar

import torch
from torch import nn

from skda._sklearn_compat import Interval, StrOptions
from skda.base import DeepAdaptationClassifier, check_keywords
from skda.losses import domain_cross_entropy
from skda.nn import (
    ClasswiseDiscriminator,
    DomainAdversary,
    DomainDiscriminator,
    busiest_classes,
)

# Of an A-distance; both at zero leave the factor undecided instead of undefined.
_LEAST_DISTANCE = 1e-3
LOG_2 = math.log(2)  # the loss of a discriminator that cannot tell the domains apart


def a_distance(error):
    """Return ``2 (1 - 2 error)``, where an error beyond one half is that of swapped domains."""
    error = min(error, 1 - error)
    return max(2 * (1 - 2 * error), _LEAST_DISTANCE)


class DynamicAdversary(nn.Module):
    """Losses of a global discriminator and of one per class, with a factor that balances them.

    Parameters
    ----------
    layers : sequence of str
        The layers, side by side.

    widths : dict of str to int
        Width of every layer, and of ``"logits"``.

    omega : float or "dynamic"
        Weight of the global discriminator.

    hidden_layer_sizes : tuple of int, default=(100, 100)
        Of every discriminator.

    dropout : float, default=0.0
        Of every discriminator.
    """

    joint = True
    adversarial = True

    def __init__(self, layers, widths, *, omega, hidden_layer_sizes=(100, 100), dropout=0.0):
        super().__init__()
        width = sum(widths[layer] for layer in layers)
        sizes = {"hidden_layer_sizes": hidden_layer_sizes, "dropout": dropout}
        self.everything = DomainAdversary(width, DomainDiscriminator(width, **sizes))
        self.by_class = ClasswiseDiscriminator(width, widths["logits"], **sizes)
        self.dynamic = omega == "dynamic"
        self.omega = 0.5 if self.dynamic else float(omega)
        self._counts = None

    def forward(self, source, target):
        """Return the weighted loss of all discriminators."""
        features = [source.side_by_side(), target.side_by_side()]
        # They learn too: without, discriminators would know a domain by how certain it is.
        probabilities = [domain["logits"].softmax(dim=1) for domain in (source, target)]
        sizes = [len(rows) for rows in features]
        classes, coverage = busiest_classes(*probabilities)
        chosen = probabilities if classes is None else [p[:, classes] for p in probabilities]
        logits = self.by_class(torch.cat(features), torch.cat(chosen), classes).split(sizes)
        if self.dynamic and self.training:
            self._count(logits, [p.detach() for p in chosen], classes)
        local = domain_cross_entropy(*logits)
        if classes is not None:
            # The classes that were asked stand for all; one that nothing is predicted to be of
            # cannot tell the domains apart.
            share = len(classes) / self.by_class.n_classes / coverage
            local = LOG_2 + share * (local - LOG_2)
        return self.omega * self.everything(*features) + (1 - self.omega) * local

    def _count(self, logits, probabilities, classes):
        """Add up by domain and class the predicted rows, and those given to the wrong domain."""
        source, target = (z.detach().sign() / 2 for z in logits)
        wrong = [(0.5 + source) * probabilities[0], (0.5 - target) * probabilities[1]]
        counts = torch.stack([rows.sum(dim=0) for rows in (*wrong, *probabilities)])
        if self._counts is None:
            self._counts = counts.new_zeros(len(counts), self.by_class.n_classes)
        self._counts[:, slice(None) if classes is None else classes] += counts

    def end_epoch(self):
        """Set the factor by the errors of the epoch."""
        if self._counts is None:
            return {"omega": self.omega}
        wrong, masses = self._counts.chunk(2)
        errors = (wrong / masses.clamp(min=1e-6)).mean(dim=0)
        self._counts = None
        shares = masses.sum(dim=0) / masses.sum()
        local = sum(
            share * a_distance(error)
            for share, error in zip(shares.tolist(), errors.tolist(), strict=True)
        )
        # Its own count is not taken yet: this module comes before its parts.
        accuracy = self.everything.accuracy.value()
        overall = a_distance(1 - accuracy)
        self.omega = overall / (overall + local)
        return {"omega": self.omega}


class DAANClassifier(DeepAdaptationClassifier):
    r"""Dynamic adversarial adaptation network.

    Beside the discriminator of DANN there is one for every class, which sees the features times
    the predicted probability of its class, and a factor omega in [0, 1] says which of the two
    kinds counts how much [1]_::

        loss = CE(F(G(x_s)), y) - trade_off * (omega * CE(D(G(x)), domain)
                                               + (1 - omega) * mean_c CE(D_c(p_c G(x)), domain))

    After every epoch omega is ``d / (d + mean_c d_c)``, with the A-distances ``2 (1 - 2 error)`` of
    the global discriminator, d, and of those of the classes, d_c: the kind that still finds a
    difference gets the weight. It starts at 1/2. With omega 1 this is DANN.

    The published sources disagree on which side is called omega; here it is the global weight.
    Unlike [1]_, the losses of the classes are averaged instead of added up, with which many
    classes outweigh the global discriminator; distances come from the share of misclassified rows
    instead of the loss, which at chance gives a negative distance, and classes are weighted in
    them by how often they are predicted; Adam trains, and batch norms keep statistics per domain.
    Of more than 32 classes a step asks the discriminators of the 32 that its rows are most
    predicted to be of; they stand for all by their share of the predictions.

    Parameters
    ----------
    layers : tuple of str, default=("features",)
        What the discriminators see; several layers side by side.

    trade_off_schedule : {"progressive", "constant"} or callable, default="progressive"
        Factor of `trade_off` as a function of training progress in [0, 1]: ``"progressive"``
        grows from 0 to 1, see :func:`skda.training.progressive`.

    omega : {"dynamic"} or float in [0, 1], default="dynamic"
        Weight of the global discriminator; a number keeps it fixed.

    **prefixed_params : keywords
        ``module__*``, ``optimizer__*``, ``discriminator__hidden_layer_sizes`` ((100, 100) by
        default) and ``discriminator__dropout`` (of all discriminators), ``criterion__*`` (of
        :class:`torch.nn.CrossEntropyLoss`), ``callbacks__*``, ``iterator_train__*``
        (of :class:`skda.training.PairedBatches`), ``iterator_valid__*`` and ``compile__*``.

    Attributes
    ----------
    omega_ : float
        The factor at the end of training; ``history_[:, "omega"]`` has that of every epoch. NaN
        without a target or a trade-off.

    See Also
    --------
    DANNClassifier : The global discriminator alone.
    CDANClassifier : One discriminator that sees features and predictions.

    References
    ----------
    .. [1] C. Yu, J. Wang, Y. Chen, M. Huang. Transfer Learning with Dynamic Adversarial Adaptation
       Network. ICDM 2019, section III.

    Examples
    --------
    >>> from skda.adaptation import DAANClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> digits = load_shifted_digits(random_state=0)
    >>> clf = DAANClassifier(max_epochs=5, random_state=0)
    >>> clf = clf.fit(digits.X, digits.y, X_target=digits.X_target)
    >>> 0 < clf.omega_ < 1
    True
    """

    alignment: ClassVar[type] = DynamicAdversary
    trade_off_schedule: str | Callable = "progressive"
    omega: str | float = "dynamic"

    keyword_prefixes = ("module", "discriminator")

    _parameter_constraints = {
        "omega": [StrOptions({"dynamic"}), Interval(Real, 0, 1, closed="both")],
    }

    def make_loss(self, alignment, layers, widths):
        keywords = self.params_for("discriminator")
        check_keywords("discriminator", DomainDiscriminator, keywords)
        return DynamicAdversary(layers, widths, omega=self.omega, **keywords)

    def finish_fit(self, training):
        super().finish_fit(training)
        self.omega_ = getattr(getattr(self.net_.alignment_, "loss", None), "omega", float("nan"))
