"""JAN: maximum mean discrepancy of the joint distribution of several layers."""

from collections.abc import Callable
from typing import ClassVar

from torch import nn

from skda.base import DeepAdaptationClassifier
from skda.nn import Activations, align_jointly


class AdversarialJointMMD(nn.Module):
    """The joint discrepancy after maps that are trained to make it large.

    Parameters
    ----------
    layers : sequence of str
        The layers.

    widths : dict of str to int
        Width of every layer.

    **keywords : keywords
        Of the joint discrepancy.
    """

    joint = True
    adversarial = True

    def __init__(self, layers, widths, **keywords):
        super().__init__()
        maps = [nn.Linear(widths[layer], widths[layer]) for layer in layers]
        for linear in maps:
            nn.init.eye_(linear.weight)
            nn.init.zeros_(linear.bias)
        # A name like "conv1.0" cannot name a submodule, hence a list.
        self.maps = nn.ModuleList(maps)
        self.keywords = keywords

    def forward(self, source, target):
        """Return minus the discrepancy, which the maps make small and the features large."""
        mapped = []
        for domain in (source, target):
            parts = zip(domain.layers, self.maps, strict=True)
            mapped.append(
                Activations(
                    {layer: linear(domain[layer].flatten(1)) for layer, linear in parts},
                    domain.layers,
                )
            )
        return -align_jointly(*mapped, **self.keywords)


class JANClassifier(DeepAdaptationClassifier):
    r"""Joint adaptation network.

    The joint distribution of several layers, predictions among them, is made alike in both
    domains by a joint maximum mean discrepancy (JMMD) [1]_: kernels of the layers are multiplied
    pair by pair ::

        loss = CE(F(G(x_s)), y) + trade_off * JMMD^2(source, target)

    see :func:`skda.losses.joint_mmd`.

    Unlike [1]_, the discrepancy is estimated over all pairs of a batch instead of in linear time
    (``alignment__estimator="linear"`` does), Adam trains, and features are the module's,
    without a bottleneck.

    Parameters
    ----------
    layers : tuple of str, default=("features", "logits")
        The layers whose joint distribution is aligned; of ``"logits"`` it takes the
        probabilities.

    trade_off : float, default=1.0
        Weight of the alignment. With 0 the network learns from the source alone, bit for bit as
        without target data.

    trade_off_schedule : {"progressive", "constant"} or callable, default="progressive"
        Factor of `trade_off` as a function of training progress in [0, 1]: ``"progressive"``
        grows from 0 to 1, see :func:`skda.training.progressive`.

    batch_norm : {"shared", "domain"}, default="shared"
        Whether the module's batch norms share statistics, in which the target counts as it is
        aligned, or keep some for every domain, the target's of which then serve predictions; see
        :class:`DANClassifier`.

    adversarial : bool, default=False
        Whether linear maps, one per layer, are trained against the network to make the
        discrepancy large (JAN-A).

    **prefixed_params : keywords
        ``module__*``, ``optimizer__*``, ``alignment__*`` (``multipliers`` and
        ``estimator`` of :func:`skda.losses.joint_mmd`),
        ``criterion__*`` (of :class:`torch.nn.CrossEntropyLoss`), ``callbacks__*``,
        ``iterator_train__*`` (of :class:`skda.training.PairedBatches`), ``iterator_valid__*``
        and ``compile__*``.

    See Also
    --------
    DANClassifier : Aligns every layer by itself.
    RTNClassifier : Aligns outer products.

    References
    ----------
    .. [1] M. Long, H. Zhu, J. Wang, M. I. Jordan. Deep Transfer Learning with Joint Adaptation
       Networks. ICML 2017, section 3.

    Examples
    --------
    >>> from skda.adaptation import JANClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> digits = load_shifted_digits(random_state=0)
    >>> clf = JANClassifier(max_epochs=5, random_state=0)
    >>> clf = clf.fit(digits.X, digits.y, X_target=digits.X_target)
    >>> clf.predict(digits.X_target).shape
    (899,)
    """

    alignment: ClassVar[str] = "jmmd"
    layers: tuple[str, ...] = ("features", "logits")
    trade_off_schedule: str | Callable = "progressive"
    batch_norm: str = "shared"
    adversarial: bool = False

    _parameter_constraints = {
        "adversarial": ["boolean"],
    }

    def make_loss(self, alignment, layers, widths):
        alignment = AdversarialJointMMD if self.adversarial else alignment
        return super().make_loss(alignment, layers, widths)
