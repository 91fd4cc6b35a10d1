"""DANN: a discriminator of domains that the features learn to defeat."""

from collections.abc import Callable
from numbers import Real
from typing import ClassVar

import torch
from torch import nn

from skda._alignments import with_spectral_penalty
from skda._sklearn_compat import Interval, StrOptions
from skda.adaptation.adversarial._shallow import (
    check_shallow_params,
    make_domain_unit,
    make_shallow_network,
)
from skda.base import DeepAdaptationClassifier, estimator
from skda.nn import DomainAdversary, DomainDiscriminator
from skda.training._shallow_dann import ShallowDANNNet


@estimator
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

    That is the deep solver. The shallow one is algorithm 1 of [1]_, for tables: G is a layer of
    sigmoid units, F a linear map, D a single logistic unit, and every step of gradient descent is
    that of one source row and one random target row. The trade-off is fixed, multiplies the sum
    over both domains, and scales D's learning too; lr is fixed as well, in the experiments of [1]_
    at 1e-3 for word counts and 0.05 for two columns. A target row with a known label trains the
    classifier too, when it is drawn. Rows that are mostly zeros cost the time of their other
    values only. Training is on the CPU. Unlike in [1]_, source rows are shuffled in every epoch,
    and early stopping looks at their loss instead of their error.

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

    solver : {"deep", "shallow"}, default="deep"
        Which algorithm of [1]_ trains. ``"shallow"`` knows the parameters `trade_off`,
        `standardize`, `lr`, `max_epochs`, `early_stopping`, `validation_fraction`,
        `n_iter_no_change`, `device`, `callbacks`, `verbose`, `random_state` and
        ``module__hidden_layer_sizes=(64,)``, a tuple of one width; all others must keep their
        defaults.

    **prefixed_params : keywords
        ``module__*``, ``optimizer__*``, ``discriminator__*``, ``criterion__*`` (of
        :class:`torch.nn.CrossEntropyLoss`), ``callbacks__*``, ``iterator_train__*``
        (of :class:`skda.training.PairedBatches`), ``iterator_valid__*`` and ``compile__*``.

    See Also
    --------
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
    solver: str = "deep"

    _prefixes = ("module", "discriminator", *DeepAdaptationClassifier._net_prefixes)

    _parameter_constraints = {
        **DeepAdaptationClassifier._parameter_constraints,
        "discriminator": [nn.Module, callable, None],
        "spectral_weight": [Interval(Real, 0, None, closed="left")],
        "solver": [StrOptions({"deep", "shallow"})],
    }

    @property
    def _net_class(self):
        return ShallowDANNNet if self.solver == "shallow" else super()._net_class

    def _check_param_names(self):
        super()._check_param_names()
        if self.solver == "shallow":
            check_shallow_params(self)

    def _make_module(self, dataset, start):
        if self.solver == "deep":
            return super()._make_module(dataset, start)
        return make_shallow_network(
            self.input_shape_,
            len(self.classes_),
            **self._params_for("module"),
            **self._module_params(dataset),
        )

    def _make_net(self, dataset, start):
        net = super()._make_net(dataset, start)
        if self.solver == "shallow":
            net.set_params(
                optimizer=torch.optim.SGD, lr_schedule="constant", trade_off_schedule="constant"
            )
        return net

    def _make_alignment(self, widths):
        return with_spectral_penalty(super()._make_alignment(widths), self.spectral_weight)

    def _make_loss(self, alignment, width):
        if self.solver == "shallow":
            return DomainAdversary(width, make_domain_unit(width))
        discriminator = self.discriminator or DomainDiscriminator
        return DomainAdversary(width, self._make_part("discriminator", discriminator, width))
