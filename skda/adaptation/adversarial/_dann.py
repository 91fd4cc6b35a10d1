"""DANN: a discriminator of domains that the features learn to defeat."""

from collections.abc import Callable
from numbers import Real
from typing import ClassVar

from torch import nn

from skda._sklearn_compat import Interval
from skda.base import DeepAdaptationClassifier
from skda.nn import DomainAdversary, DomainDiscriminator, with_spectral_penalty


class DANNClassifier(DeepAdaptationClassifier):
    r"""Domain-adversarial neural network.

    A discriminator D learns to tell target features from source features, and the backbone G
    learns features with which it cannot, while they still serve the classifier F [1]_::

        min_{G, F} max_D  CE(F(G(x_s)), y)
                          + trade_off * (mean log(1 - D(G(x_s))) + mean log D(G(x_t))) / 2

    The gradient of the discriminator is reversed and scaled by the trade-off on its way to the
    features (section 4.2); the discriminator itself learns at full strength. The trade-off grows
    and the learning rate falls as in section 5.2.2.

    Unlike [1]_, Adam trains instead of SGD with momentum, batch norms keep statistics per domain,
    and the domain loss is the average over both domains instead of their sum.

    Parameters
    ----------
    layers : tuple of str, default=("features",)
        Where the domains are told apart, each layer by a discriminator of its own.

    trade_off_schedule : {"progressive", "constant"} or callable, default="progressive"
        Factor of `trade_off` as a function of training progress in [0, 1]: ``"progressive"``
        grows from 0 to 1, see :func:`skda.training.progressive`.

    discriminator : torch.nn.Module, class or factory, default=None
        From features of shape (n, n_features) to logits of shape (n, 1). An instance is copied,
        one copy per layer; a class or factory is called with the width of the layer and the
        ``discriminator__*`` keywords. None is :class:`skda.nn.DomainDiscriminator`, with
        ``discriminator__hidden_layer_sizes=(500, 500)`` and ``discriminator__dropout=0``. Small
        ones are faster, and on images more often go astray.

    spectral_weight : float, default=0.0
        Weight, relative to the adversary's, of batch spectral penalization
        (:func:`skda.losses.batch_spectral_penalty`); its authors use 1e-4.

    **prefixed_params : keywords
        ``module__*``, ``optimizer__*``, ``discriminator__*``, ``criterion__*`` (of
        :class:`torch.nn.CrossEntropyLoss`), ``callbacks__*``, ``iterator_train__*``
        (of :class:`skda.training.PairedBatches`), ``iterator_valid__*`` and ``compile__*``.

    See Also
    --------
    ShallowDANNClassifier : One hidden layer that learns row by row, as in the paper's first part.
    DANClassifier : Aligns by maximum mean discrepancy, without a discriminator.
    DeepCORALClassifier : Aligns covariances.

    References
    ----------
    .. [1] Y. Ganin et al. Domain-Adversarial Training of Neural Networks. JMLR 17(59), 2016.

    Examples
    --------
    >>> from skda.adaptation import DANNClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> digits = load_shifted_digits(random_state=0)
    >>> clf = DANNClassifier(max_epochs=10, random_state=0)
    >>> clf = clf.fit(digits.X, digits.y, X_target=digits.X_target)
    >>> alone = DANNClassifier(trade_off=0, max_epochs=10, random_state=0)
    >>> alone = alone.fit(digits.X, digits.y, X_target=digits.X_target)
    >>> X_test, y_test = digits.X_target, digits.y_target
    >>> clf.score(X_test, y_test) > alone.score(X_test, y_test)
    True
    """

    alignment: ClassVar[type] = DomainAdversary
    trade_off_schedule: str | Callable = "progressive"
    discriminator: nn.Module | Callable | None = None
    spectral_weight: float = 0.0

    keyword_prefixes = ("module", "discriminator")

    _parameter_constraints = {
        "discriminator": [nn.Module, callable, None],
        "spectral_weight": [Interval(Real, 0, None, closed="left")],
    }

    def make_alignment(self, layers, widths):
        return with_spectral_penalty(super().make_alignment(layers, widths), self.spectral_weight)

    def make_loss(self, alignment, layers, widths):
        width = widths[layers[0]]
        discriminator = self.discriminator or DomainDiscriminator
        return DomainAdversary(width, self.make_part("discriminator", discriminator, width))
