"""RTN: classifiers of source and target that differ by a residual."""

from collections.abc import Callable
from numbers import Real

from torch import nn

from skda._sklearn_compat import Interval
from skda.base import DeepAdaptationClassifier


def _make_residual(n_classes):
    """Return two layers that add nothing at first: both classifiers start as one."""
    last = nn.Linear(n_classes, n_classes)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(n_classes, n_classes), nn.ReLU(), last)


class RTNClassifier(DeepAdaptationClassifier):
    r"""Residual transfer network.

    The classifier of the source is that of the target plus a small residual network, so that
    classes may look a little different in the two domains; labels train the first, low entropy of
    the predictions the second, and the fusion (outer product) of features and predictions is
    aligned by a maximum mean discrepancy [1]_::

        f_s = f_t + residual(f_t)
        loss = CE(f_s(G(x_s)), y) + trade_off * (MMD^2(G (x) f_t of source, of target)
                                                 + entropy_weight * H(softmax(f_t(G(x_t)))))

    see :func:`skda.losses.tensor_mmd`. Predictions are those of the target's classifier.

    Unlike [1]_, where both the discrepancy and the entropy weigh 0.3, they weigh 1 and 0.1; the
    trade-off grows during training, probabilities stand for the predictions in the fusion, several
    kernels are mixed, Adam trains, features are the module's, without a bottleneck, and batch norms
    keep statistics per domain. ``trade_off=0.3, entropy_weight=1.0`` are the weights of [1]_.

    Parameters
    ----------
    layers : tuple of str, default=("features", "logits")
        The two layers whose outer product is aligned; of ``"logits"`` it takes the
        probabilities.

    trade_off : float, default=1.0
        Weight of the alignment. With 0 the network learns from the source alone, bit for bit as
        without target data, and only the statistics of its batch norms come from the target.

    trade_off_schedule : {"progressive", "constant"} or callable, default="progressive"
        Factor of `trade_off` as a function of training progress in [0, 1]: ``"progressive"``
        grows from 0 to 1, see :func:`skda.training.progressive`.

    entropy_weight : float, default=0.1
        Weight of the entropy, relative to the discrepancy.

    See Also
    --------
    JANClassifier : Aligns the joint distribution of the layers.

    References
    ----------
    .. [1] M. Long, H. Zhu, J. Wang, M. I. Jordan. Unsupervised Domain Adaptation with Residual
       Transfer Networks. NIPS 2016, section 3.

    Examples
    --------
    >>> from skda.adaptation import RTNClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> digits = load_shifted_digits(random_state=0)
    >>> clf = RTNClassifier(max_epochs=5, random_state=0)
    >>> clf = clf.fit(digits.X, digits.y, X_target=digits.X_target)
    >>> clf.predict(digits.X_target).shape
    (899,)
    """

    layers: tuple[str, ...] = ("features", "logits")
    trade_off_schedule: str | Callable = "progressive"
    entropy_weight: float = 0.1

    _parameter_constraints = {
        "entropy_weight": [Interval(Real, 0, None, closed="left")],
    }

    @property
    def alignment(self):
        """Both losses, each with its layers and its weight."""
        return [("tensor_mmd", tuple(self.layers), 1.0), ("entropy", (), self.entropy_weight)]

    def make_module(self, training, **params):
        module = super().make_module(training, **params)
        if training.dataset.targets and self.trade_off:
            module.source_residual = _make_residual(training.widths["logits"])
        return module
