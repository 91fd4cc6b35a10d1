"""DAN: maximum mean discrepancy at several layers."""

from collections.abc import Callable
from typing import ClassVar

from skda.base import DeepAdaptationClassifier


class DANClassifier(DeepAdaptationClassifier):
    r"""Deep adaptation network.

    At one or several layers l the activations of both domains are made alike by a maximum mean
    discrepancy with several kernels (MK-MMD) [1]_::

        loss = CE(F(G(x_s)), y) + trade_off * sum_l MMD^2(source_l, target_l)

    with Gaussian kernels around the median distance of the rows of a batch, a median per layer,
    see :func:`skda.losses.mmd`.

    The method of [1]_ to the letter has 33 kernels whose weights are learned by a quadratic
    program, and estimates MMD in linear time::

        DANClassifier(
            alignment__kernel_weights="learned",
            alignment__multipliers=skda.losses.DAN_MULTIPLIERS,
            alignment__estimator="linear",
        )

    By default five kernels have equal weights, MMD is estimated over all pairs of a batch, the
    trade-off grows as in DANN, and Adam trains. Only the logits are aligned, for which the
    default networks are small enough; of a network as deep as that of [1]_ name its last layers
    too. The more layers, the more it costs if classes are rarer or more frequent in the target
    than in the source.

    Parameters
    ----------
    layers : tuple of str, default=("logits",)
        Where the domains are aligned: ``"features"`` (the output of the module), ``"logits"``, or
        paths of submodules of the module; the losses of several layers are added, each with a
        bandwidth of its own.

    trade_off : float, default=1.0
        Weight of the alignment. With 0 the network learns from the source alone, bit for bit as
        without target data.

    trade_off_schedule : {"progressive", "constant"} or callable, default="progressive"
        Factor of `trade_off` as a function of training progress in [0, 1]: ``"progressive"``
        grows from 0 to 1, see :func:`skda.training.progressive`.

    batch_norm : {"shared", "domain"}, default="shared"
        Whether the module's batch norms share statistics, in which the target counts as it is
        aligned, see :class:`skda.base.DeepAdaptationClassifier`, or keep some for every domain,
        the target's of which then serve predictions. Under statistics of its own a domain already
        has the mean and variance of the other, whichever classes its rows are of; the discrepancy
        aligns more with shared ones.

    **prefixed_params : keywords
        ``module__*``, ``optimizer__*``, ``alignment__*`` (of
        :class:`skda.nn.MultiKernelMMD`),
        ``criterion__*`` (of :class:`torch.nn.CrossEntropyLoss`), ``callbacks__*``,
        ``iterator_train__*`` (of :class:`skda.training.PairedBatches`), ``iterator_valid__*``
        and ``compile__*``.

    Attributes
    ----------
    kernel_weights_ : dict of str to tuple of float
        The weights of the kernels by layer; empty without a target or a trade-off.

    See Also
    --------
    DeepCORALClassifier : Aligns covariances.
    DANNClassifier : Aligns by a discriminator of domains.

    References
    ----------
    .. [1] M. Long, Y. Cao, J. Wang, M. I. Jordan. Learning Transferable Features with Deep
       Adaptation Networks. ICML 2015, section 3.

    Examples
    --------
    >>> from skda.adaptation import DANClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> digits = load_shifted_digits(random_state=0)
    >>> clf = DANClassifier(max_epochs=10, random_state=0)
    >>> clf = clf.fit(digits.X, digits.y, X_target=digits.X_target)
    >>> alone = DANClassifier(trade_off=0, max_epochs=10, random_state=0)
    >>> alone = alone.fit(digits.X, digits.y, X_target=digits.X_target)
    >>> X_test, y_test = digits.X_target, digits.y_target
    >>> clf.score(X_test, y_test) > alone.score(X_test, y_test)
    True
    """

    alignment: ClassVar[str] = "mmd"
    layers: tuple[str, ...] = ("logits",)
    # Clusters of classes form first; aligned at once, some would be matched to wrong ones.
    trade_off_schedule: str | Callable = "progressive"
    batch_norm: str = "shared"

    def finish_fit(self, training):
        super().finish_fit(training)
        losses = getattr(self.net_.alignment_, "losses", {})
        self.kernel_weights_ = {layer: loss.weights for layer, loss in losses.items()}
