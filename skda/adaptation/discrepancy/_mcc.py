"""MCC: predictions of the target that do not confuse classes."""

from typing import ClassVar

from skda.base import DeepAdaptationClassifier


class MCCClassifier(DeepAdaptationClassifier):
    r"""Minimum class confusion.

    No distance between domains: the softened predictions of a batch of target rows are not to
    spread over pairs of classes [1]_::

        loss = CE(F(G(x_s)), y) + trade_off * confusion(F(G(x_t)))

    see :func:`skda.losses.minimum_class_confusion`.

    The loss is that of [1]_, with its weight of 1. Unlike [1]_, the temperature is 1.5, Adam
    trains, the head follows the module without a bottleneck, and batch norms keep statistics per
    domain. The temperature of [1]_, 2.5, suits convolutional networks on images somewhat better,
    and tables much worse.

    Parameters
    ----------
    **prefixed_params : keywords
        ``module__*``, ``optimizer__*``, ``alignment__temperature`` (1.5 by default),
        ``criterion__*`` (of :class:`torch.nn.CrossEntropyLoss`), ``callbacks__*``,
        ``iterator_train__*`` (of :class:`skda.training.PairedBatches`), ``iterator_valid__*``
        and ``compile__*``.

    See Also
    --------
    BNMClassifier : Certain and diverse predictions by the nuclear norm.
    DANNClassifier : Aligns the domains by a discriminator.

    References
    ----------
    .. [1] Y. Jin, X. Wang, M. Long, J. Wang. Minimum Class Confusion for Versatile Domain
       Adaptation. ECCV 2020, section 3.2.

    Examples
    --------
    >>> from skda.adaptation import MCCClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> digits = load_shifted_digits(random_state=0)
    >>> clf = MCCClassifier(max_epochs=5, random_state=0)
    >>> clf = clf.fit(digits.X, digits.y, X_target=digits.X_target)
    >>> clf.predict(digits.X_target).shape
    (899,)
    """

    alignment: ClassVar[str] = "mcc"
    layers: ClassVar[tuple[str, ...]] = ()
