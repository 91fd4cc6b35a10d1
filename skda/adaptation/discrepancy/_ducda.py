"""DUCDA: covariances of attention maps and of logits."""

from numbers import Real
from typing import ClassVar

from torch import nn

from skda._sklearn_compat import Interval, StrOptions
from skda.base import ALIGNMENTS, DeepAdaptationClassifier
from skda.losses import coral
from skda.nn import JointAlignment, LayerwiseAlignment, WeightedAlignments
from skda.training import OWN_LAYERS


def _is_convolutional(module):
    kinds = [type(part) for part in module.modules()]
    return nn.Conv2d in kinds and nn.Linear not in kinds


class DUCDAClassifier(DeepAdaptationClassifier):
    r"""Deep unsupervised convolutional domain adaptation.

    Where a convolutional layer looks, its attention map, is to vary alike in both domains, and so
    are the logits, both by correlation alignment [1]_::

        loss = CE(F(G(x_s)), y) + trade_off * (CORAL(logits)
                                               + sum_l conv_weight * CORAL(attention_l))

    see :func:`skda.losses.attention_coral`.

    An attention map is the sum of squares over channels, to unit norm per image; [1]_ leaves
    power, norm and weights open. Unlike [1]_, Adam trains, and batch norms keep statistics per
    domain. On tables there is no convolution, and this is Deep CORAL.

    Parameters
    ----------
    conv_layers : tuple of str or "auto", default="auto"
        Submodules of the module with activations of shape (n, n_channels, height, width).
        ``"auto"`` takes its outermost parts that end in such activations.

    conv_weight : float, default=1.0
        Weight of every attention map, relative to that of the logits.

    trade_off : float, default=30.0
        Weight of the alignment. With 0 the network learns from the source alone, bit for bit as
        without target data, and only the statistics of its batch norms come from the target.

    See Also
    --------
    DeepCORALClassifier : Aligns logits alone.

    References
    ----------
    .. [1] J. Zhuo, S. Wang, W. Zhang, Q. Huang. Deep Unsupervised Convolutional Domain
       Adaptation. ACM Multimedia 2017, section 3.

    Examples
    --------
    >>> from skda.adaptation import DUCDAClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> digits = load_shifted_digits(random_state=0)
    >>> clf = DUCDAClassifier(max_epochs=5, random_state=0)
    >>> clf = clf.fit(digits.X, digits.y, X_target=digits.X_target)
    >>> clf.predict(digits.X_target).shape
    (899,)
    """

    conv_layers: tuple[str, ...] | str = "auto"
    conv_weight: float = 1.0
    trade_off: float = 30.0
    layers: ClassVar[tuple[str, ...]] = ("logits",)
    alignment: ClassVar[str] = "attention_coral"

    idle_hooks: ClassVar[tuple[str, ...]] = ("make_loss",)

    _parameter_constraints = {
        "conv_layers": [tuple, list, StrOptions({"auto"})],
        "conv_weight": [Interval(Real, 0, None, closed="left")],
    }

    def name_layers(self, training):
        conv_layers = self.conv_layers
        if conv_layers == "auto":
            parts = training.backbone.named_children()
            conv_layers = [name for name, part in parts if _is_convolutional(part)]
        return [*conv_layers, *self.layers]

    def make_alignment(self, layers, widths):
        logits = LayerwiseAlignment({"logits": coral})
        conv_layers = [layer for layer in layers if layer not in OWN_LAYERS]
        if not conv_layers:
            return logits
        attention = JointAlignment(ALIGNMENTS["attention_coral"], conv_layers)
        return WeightedAlignments([attention, logits], [self.conv_weight, 1.0])
