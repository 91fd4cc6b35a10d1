"""WDGRL: a critic that measures the distance of the domains, which the features make small."""

from collections.abc import Callable
from functools import partial
from numbers import Integral, Real
from typing import ClassVar

import torch
from torch import nn

from skda._sklearn_compat import Interval
from skda.base import DeepAdaptationClassifier, check_keywords
from skda.losses import critic_distance, gradient_penalty
from skda.nn import DomainAccuracy, DomainDiscriminator, one_output_per_row
from skda.training import LimitedAlignmentMixin, TwoPlayerNet

# Smaller than a discriminator: it takes several steps for one of the network.
SmallCritic = partial(DomainDiscriminator, hidden_layer_sizes=(100, 100))


class WassersteinCritics(nn.Module):
    """Critics of chosen layers, whose mean scores differ by the distance of the domains.

    Parameters
    ----------
    critics : list of torch.nn.Module
        One per layer, from features of shape (n, n_features) to scores of shape (n, 1).

    penalty_weight : float
        Weight of the gradient penalty in the critics' own loss.
    """

    joint = True

    def __init__(self, critics, penalty_weight):
        super().__init__()
        self.critics = nn.ModuleList(critics)
        self.penalty_weight = penalty_weight
        self.accuracy = DomainAccuracy()

    def forward(self, source, target):
        """Return the distance of the domains, summed over the layers."""
        distance = 0.0
        for scores in self._scores(source, target):
            middle = sum(part.mean() for part in scores) / 2
            self.accuracy.add(*(middle - part for part in scores))
            distance = distance + critic_distance(*scores)
        return distance

    def adversary_loss(self, source, target):
        """Return minus the distance, plus the penalty for gradients of another norm than 1."""
        loss = -sum(critic_distance(*scores) for scores in self._scores(source, target))
        if self.penalty_weight:
            loss = loss + self.penalty_weight * sum(
                gradient_penalty(*layer) for layer in self._layers(source, target)
            )
        return loss

    def _layers(self, source, target):
        for critic, layer in zip(self.critics, source.layers, strict=True):
            yield critic, source[layer].flatten(1), target[layer].flatten(1)

    def _scores(self, source, target):
        for critic, *features in self._layers(source, target):
            scores = one_output_per_row("critic", critic, torch.cat(features))
            yield scores.split([len(part) for part in features])


class WDGRLNet(LimitedAlignmentMixin, TwoPlayerNet):
    """A net of two players whose trade-off weighs distances, which have no upper bound."""

    usual_trade_off = 0.1
    gradient_limit = 0.5


class WDGRLClassifier(DeepAdaptationClassifier):
    r"""Wasserstein distance guided representation learning.

    A critic f scores features, and its steps make the scores of source and target rows as
    different as gradients of norm 1 allow: their mean difference is then the Wasserstein-1
    distance of the domains, which the features learn to make small [1]_::

        min_{G, F}  CE(F(G(x_s)), y)
                    + trade_off * max_f (mean f(G(x_s)) - mean f(G(x_t)) - penalty_weight * penalty)

    In every step of training the critic first ascends `n_critic` times, with the features as they
    are, on distance minus penalty; then the network descends once, with the critic as it is, on
    its loss, in which the penalty has no part. See :func:`skda.losses.critic_distance` and
    :func:`skda.losses.gradient_penalty`.

    Unlike [1]_, the trade-off grows, up to 0.1 (there 1 for reviews and, with 10 steps of the
    critic, 0.1 for photographs); both learning rates begin at 1e-3 and fall (there 1e-4, and of the
    critic 1e-3 for photographs, constant); and weights are not decayed (there 1e-4 or 1e-5, here
    ``optimizer__weight_decay``). As in the authors' program, all `n_critic` steps see the rows of
    one batch. With a trade-off above 0.1 the distance, which has no upper bound, does not pull at
    the features more than half as strongly as the labels do, unless one of 0.1 would: its gradient
    there is cut. Of 157 photographs, with a trade-off of 10, the network learned 56.1 % without
    that limit, and learns all with it.

    Parameters
    ----------
    layers : tuple of str, default=("features",)
        Where the distance is measured, at each layer by a critic of its own.

    trade_off : float, default=0.1
        Weight of the distance. With 0 the network learns from the source alone, bit for bit as
        without target data.

    trade_off_schedule : {"progressive", "constant"} or callable, default="progressive"
        Factor of `trade_off` as a function of training progress in [0, 1]: ``"progressive"``
        grows from 0 to 1, see :func:`skda.training.progressive`.

    batch_norm : {"shared", "domain"}, default="shared"
        Whether the module's batch norms share statistics, in which the target counts as it is
        aligned, or keep some for every domain, the target's of which then serve predictions; see
        :class:`DANClassifier`.

    critic : torch.nn.Module, class or factory, default=None
        From features of shape (n, n_features) to scores of shape (n, 1), every row by itself: it
        must have no batch norm. An instance is copied, one copy per layer; a class or factory is
        called with the width of the layer and the ``critic__*`` keywords. None is a
        :class:`skda.nn.DomainDiscriminator`, with ``critic__hidden_layer_sizes=(100, 100)`` and
        ``critic__dropout=0``.

    n_critic : int, default=5
        Steps of the critic for one of the network.

    penalty_weight : float, default=10.0
        Weight of the gradient penalty.

    **prefixed_params : keywords
        ``module__*``, ``optimizer__*``, ``critic__*``, ``critic_optimizer__*`` (of
        :class:`torch.optim.Adam`; `lr` is the estimator's unless given), ``criterion__*`` (of
        :class:`torch.nn.CrossEntropyLoss`), ``callbacks__*``, ``iterator_train__*``
        (of :class:`skda.training.PairedBatches`), ``iterator_valid__*`` and ``compile__*``.

    Attributes
    ----------
    history_ : skorch.history.History
        One entry per epoch, with ``train_loss``, ``classification_loss``, ``alignment_loss`` (the
        distance), ``adversary_loss`` (of the critic's last steps), ``trade_off``,
        ``domain_accuracy`` (on which side of the middle between the domains' mean scores rows
        are), gradient norms and the ``valid_*`` figures.

    See Also
    --------
    DANNClassifier : A discriminator instead of a critic, in the same step as the network.
    DeepJDOTClassifier : Optimal transport of the rows of a batch.

    References
    ----------
    .. [1] J. Shen, Y. Qu, W. Zhang, Y. Yu. Wasserstein Distance Guided Representation Learning
       for Domain Adaptation. AAAI 2018, section 3 and algorithm 1.

    Examples
    --------
    >>> from skda.adaptation import WDGRLClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> digits = load_shifted_digits(random_state=0)
    >>> clf = WDGRLClassifier(max_epochs=3, random_state=0)
    >>> clf = clf.fit(digits.X, digits.y, X_target=digits.X_target)
    >>> clf.predict(digits.X_target).shape
    (899,)
    """

    alignment: ClassVar[type] = WassersteinCritics
    trade_off: float = 0.1
    trade_off_schedule: str | Callable = "progressive"
    batch_norm: str = "shared"
    critic: nn.Module | Callable | None = None
    n_critic: int = 5
    penalty_weight: float = 10.0

    net_class = WDGRLNet
    keyword_prefixes = ("module", "critic", "critic_optimizer")

    _parameter_constraints = {
        "critic": [nn.Module, callable, None],
        "n_critic": [Interval(Integral, 1, None, closed="left")],
        "penalty_weight": [Interval(Real, 0, None, closed="left")],
    }

    def net_params(self, training):
        keywords = self.params_for("critic_optimizer")
        check_keywords("critic_optimizer", torch.optim.Adam, keywords)
        params = {**super().net_params(training), "n_adversary_steps": self.n_critic}
        if params["alignment"] is not None:
            for name, value in keywords.items():
                params[f"adversary_optimizer__{name}"] = value
        return params

    def make_loss(self, alignment, layers, widths):
        critic = self.critic or SmallCritic
        return WassersteinCritics(
            [self.make_part("critic", critic, widths[layer]) for layer in layers],
            self.penalty_weight,
        )
