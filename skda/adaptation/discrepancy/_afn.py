"""AFN: features whose norms grow in both domains."""

from typing import ClassVar

from skda.base import DeepAdaptationClassifier


class AFNClassifier(DeepAdaptationClassifier):
    r"""Stepwise adaptive feature norm (SAFN).

    Features of the target tend to be shorter than those of the source, and short ones transfer
    badly; so the norms of both are made to grow, by one step r in every training step [1]_::

        loss = CE(F(G(x_s)), y)
               + trade_off * sum over domains of mean (||f|| - (stop_gradient(||f||) + r))^2

    see :func:`skda.losses.adaptive_feature_norm`.

    The loss and its weight are those of [1]_. Unlike [1]_, features are the module's, without a
    bottleneck and its norm-preserving dropout, Adam trains, and batch norms keep statistics per
    domain. ``alignment_loss`` in the history is constant by construction: look at the norms of
    ``transform``.

    Parameters
    ----------
    trade_off : float, default=0.05
        Weight of the alignment. With 0 the network learns from the source alone, bit for bit as
        without target data, and only the statistics of its batch norms come from the target.

    **prefixed_params : keywords
        ``module__*``, ``optimizer__*``, ``alignment__*`` (``step``, the r),
        ``criterion__*`` (of :class:`torch.nn.CrossEntropyLoss`), ``callbacks__*``,
        ``iterator_train__*`` (of :class:`skda.training.PairedBatches`), ``iterator_valid__*``
        and ``compile__*``.

    See Also
    --------
    MCCClassifier : Predictions that do not confuse classes.

    References
    ----------
    .. [1] R. Xu, G. Li, J. Yang, L. Lin. Larger Norm More Transferable: An Adaptive Feature Norm
       Approach for Unsupervised Domain Adaptation. ICCV 2019, section 3.4.

    Examples
    --------
    >>> from skda.adaptation import AFNClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> digits = load_shifted_digits(random_state=0)
    >>> clf = AFNClassifier(max_epochs=5, random_state=0)
    >>> clf = clf.fit(digits.X, digits.y, X_target=digits.X_target)
    >>> clf.predict(digits.X_target).shape
    (899,)
    """

    alignment: ClassVar[str] = "afn"
    trade_off: float = 0.05
