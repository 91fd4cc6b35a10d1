"""MDD: a second classifier that disagrees with the first one on the target alone."""

from collections.abc import Callable
from numbers import Real
from typing import ClassVar

from torch import nn

from skda._sklearn_compat import Interval
from skda.base import DeepAdaptationClassifier, check_keywords
from skda.losses import margin_disparity
from skda.nn import MLP


class MarginDisparity(nn.Module):
    """Second classifiers that agree with the network on the source, and disagree on the target.

    Parameters
    ----------
    layers : sequence of str
        The layers; there is a second classifier for each.

    widths : dict of str to int
        Width of every layer.

    margin : float, default=4.0
        How much more the agreement on the source counts.

    hidden_layer_sizes : tuple of int or int, default=(100,)
        Hidden layers of every second classifier.
    """

    joint = True
    adversarial = True

    def __init__(self, layers, widths, *, margin=4.0, hidden_layer_sizes=(100,)):
        super().__init__()
        # A name like "conv1.0" cannot name a submodule, hence a list.
        self.heads = nn.ModuleList(
            _make_head(widths[layer], hidden_layer_sizes, widths["logits"]) for layer in layers
        )
        self.margin = margin

    def forward(self, source, target):
        """Return minus the disparity, which the second classifiers make small."""
        classes = [domain["logits"].argmax(dim=1) for domain in (source, target)]
        return -sum(
            margin_disparity(
                head(source[layer].flatten(1)),
                head(target[layer].flatten(1)),
                *classes,
                margin=self.margin,
            )
            for layer, head in zip(source.layers, self.heads, strict=True)
        )


def _make_head(in_features, hidden_layer_sizes, n_classes):
    hidden = MLP(in_features, hidden_layer_sizes=hidden_layer_sizes, batch_norm=False)
    return nn.Sequential(
        hidden, nn.Linear((in_features, *hidden.hidden_layer_sizes)[-1], n_classes)
    )


class MDDClassifier(DeepAdaptationClassifier):
    r"""Margin disparity discrepancy.

    A second classifier F' learns to predict what the classifier F predicts on the source, and
    anything else on the target; the features G learn to leave it no room for that [1]_::

        min_{G, F} max_F'  CE(F(G(x_s)), y)
                           + trade_off * (margin * mean log F'(G(x_s))[h(x_s)]
                                          + mean log(1 - F'(G(x_t))[h(x_t)]))

    where h(x) is the class that F predicts. F learns from the labels alone; see
    :func:`skda.losses.margin_disparity`. The gradient of F' is reversed and scaled by the
    trade-off on its way to the features; F' itself learns at full strength.

    Unlike [1]_, F is linear and F' has a hidden layer of 100 units, where there both have one of
    1024; they follow the module without a bottleneck, Adam trains, and batch norms keep statistics
    per domain.

    Parameters
    ----------
    layers : tuple of str, default=("features",)
        What the second classifier sees; of several layers there is one for each.

    trade_off : float, default=0.1
        Weight of the disparity. With 0 the network learns from the source alone, bit for bit as
        without target data, and only the statistics of its batch norms come from the target.

    trade_off_schedule : {"progressive", "constant"} or callable, default="progressive"
        Factor of `trade_off` as a function of training progress in [0, 1]: ``"progressive"``
        grows from 0 to 1, see :func:`skda.training.progressive`.

    margin : float, default=4.0
        How much more the agreement on the source counts: the exponential of the margin.

    **prefixed_params : keywords
        ``module__*``, ``optimizer__*``, ``alignment__hidden_layer_sizes`` (of the second
        classifier, (100,) by default),
        ``criterion__*`` (of :class:`torch.nn.CrossEntropyLoss`), ``callbacks__*``,
        ``iterator_train__*`` (of :class:`skda.training.PairedBatches`), ``iterator_valid__*``
        and ``compile__*``.

    See Also
    --------
    MCDClassifier : Two classifiers that learn from the labels, and differ on the target.
    DANNClassifier : A discriminator of domains instead of a second classifier.

    References
    ----------
    .. [1] Y. Zhang, T. Liu, M. Long, M. I. Jordan. Bridging Theory and Algorithm for Domain
       Adaptation. ICML 2019, section 5.

    Examples
    --------
    >>> from skda.adaptation import MDDClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> digits = load_shifted_digits(random_state=0)
    >>> clf = MDDClassifier(max_epochs=5, random_state=0)
    >>> clf = clf.fit(digits.X, digits.y, X_target=digits.X_target)
    >>> clf.predict(digits.X_target).shape
    (899,)
    """

    alignment: ClassVar[type] = MarginDisparity
    trade_off: float = 0.1
    trade_off_schedule: str | Callable = "progressive"
    margin: float = 4.0

    _parameter_constraints = {
        "margin": [Interval(Real, 0, None, closed="neither")],
    }

    def make_loss(self, alignment, layers, widths):
        keywords = self.params_for("alignment")
        check_keywords("alignment", alignment, keywords)
        return alignment(layers, widths, margin=self.margin, **keywords)
