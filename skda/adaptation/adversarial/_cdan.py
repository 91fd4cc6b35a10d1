"""CDAN: a discriminator of domains that sees the predictions along with the features."""

from collections.abc import Callable
from functools import partial
from numbers import Real
from typing import ClassVar

from torch import nn

from skda._sklearn_compat import Interval
from skda.base import DeepAdaptationClassifier
from skda.nn import ConditionalDomainAdversary, DomainDiscriminator, with_spectral_penalty


class CDANClassifier(DeepAdaptationClassifier):
    r"""Conditional domain-adversarial network.

    The discriminator D sees the outer product of features and predicted probabilities, so that
    features are to be alike class by class, not only as a whole [1]_::

        min_{G, F} max_D  CE(F(G(x_s)), y) + trade_off * (mean w_s log(1 - D(G(x_s) (x) p_s))
                                                          + mean w_t log D(G(x_t) (x) p_t)) / 2

    where rows with certain predictions weigh more (CDAN+E). Where the outer product would be
    wider than 4096, random maps of features and predictions are multiplied instead, see
    :class:`skda.nn.MultilinearMap`. The gradient of the discriminator is reversed as in DANN, and
    reaches G and F by the features, by the predictions and, which makes these certain, by the
    weights.

    Unlike [1]_, Adam trains instead of SGD with momentum, batch norms keep statistics per domain,
    the domain loss is the average over both domains instead of their sum, features are the
    module's, without a bottleneck, and the discriminator is smaller and has no dropout. The
    authors' code keeps the gradient out of the predictions in the map, though not out of the
    weights.

    Parameters
    ----------
    layers : tuple of str, default=("features",)
        What the discriminator sees together with the predictions; several layers side by side.

    trade_off_schedule : {"progressive", "constant"} or callable, default="progressive"
        Factor of `trade_off` as a function of training progress in [0, 1]: ``"progressive"``
        grows from 0 to 1, see :func:`skda.training.progressive`.

    discriminator : torch.nn.Module, class or factory, default=None
        From maps of shape (n, width) to logits of shape (n, 1). An instance is copied; a class or
        factory is called with the width of the map and the ``discriminator__*`` keywords. None is
        :class:`skda.nn.DomainDiscriminator`, with
        ``discriminator__hidden_layer_sizes=(500, 500)`` and ``discriminator__dropout=0``.

    entropy_weighting : bool, default=True
        Whether rows with certain predictions count more (CDAN+E).

    spectral_weight : float, default=0.0
        Weight, relative to the adversary's, of batch spectral penalization
        (:func:`skda.losses.batch_spectral_penalty`); its authors use 1e-4.

    **prefixed_params : keywords
        ``module__*``, ``optimizer__*``, ``discriminator__*``, ``alignment__max_width`` and
        ``alignment__random_width`` (of :class:`skda.nn.MultilinearMap`), ``criterion__*`` (of
        :class:`torch.nn.CrossEntropyLoss`), ``callbacks__*``, ``iterator_train__*``
        (of :class:`skda.training.PairedBatches`), ``iterator_valid__*`` and ``compile__*``.

    See Also
    --------
    DANNClassifier : A discriminator that sees the features alone.
    DAANClassifier : Discriminators of classes beside one of all features.

    References
    ----------
    .. [1] M. Long, Z. Cao, J. Wang, M. I. Jordan. Conditional Adversarial Domain Adaptation.
       NeurIPS 2018, section 3.

    Examples
    --------
    >>> from skda.adaptation import CDANClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> digits = load_shifted_digits(random_state=0)
    >>> clf = CDANClassifier(max_epochs=5, random_state=0)
    >>> clf = clf.fit(digits.X, digits.y, X_target=digits.X_target)
    >>> clf.predict(digits.X_target).shape
    (899,)
    """

    alignment: ClassVar[type] = ConditionalDomainAdversary
    trade_off_schedule: str | Callable = "progressive"
    discriminator: nn.Module | Callable | None = None
    entropy_weighting: bool = True
    spectral_weight: float = 0.0

    keyword_prefixes = ("module", "discriminator", "alignment")

    _parameter_constraints = {
        "discriminator": [nn.Module, callable, None],
        "entropy_weighting": ["boolean"],
        "spectral_weight": [Interval(Real, 0, None, closed="left")],
    }

    def make_alignment(self, layers, widths):
        return with_spectral_penalty(super().make_alignment(layers, widths), self.spectral_weight)

    def make_loss(self, alignment, layers, widths):
        return ConditionalDomainAdversary(
            layers,
            widths,
            partial(self.make_part, "discriminator", self.discriminator or DomainDiscriminator),
            entropy_weighting=self.entropy_weighting,
            **self.params_for("alignment"),
        )
