"""Deep CORAL: covariances that agree between the domains."""

from typing import ClassVar

from skda.base import DeepAdaptationClassifier


class DeepCORALClassifier(DeepAdaptationClassifier):
    r"""Deep correlation alignment.

    The covariances of the logits (or of other layers, d wide) are made alike in both domains
    [1]_::

        loss = CE(F(G(x_s)), y) + trade_off * ||cov(source) - cov(target)||_F^2 / (4 d^2)

    Unlike [1]_, which balances both terms by hand for every task, the trade-off has one default,
    Adam trains instead of SGD with momentum, and batch norms keep statistics per domain.

    Parameters
    ----------
    layers : tuple of str, default=("logits",)
        Where the domains are aligned: ``"features"`` (the output of the module), ``"logits"``, or
        paths of submodules of the module; the losses of several layers are added.

    trade_off : float, default=30.0
        Weight of the alignment. With 0 the network learns from the source alone, bit for bit as
        without target data, and only the statistics of its batch norms come from the target.

    See Also
    --------
    DANClassifier : Aligns by maximum mean discrepancy.
    DANNClassifier : Aligns by a discriminator of domains.

    References
    ----------
    .. [1] B. Sun, K. Saenko. Deep CORAL: Correlation Alignment for Deep Domain Adaptation. ECCV
       Workshops 2016, section 3.

    Examples
    --------
    >>> from skda.adaptation import DeepCORALClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> digits = load_shifted_digits(random_state=0)
    >>> clf = DeepCORALClassifier(max_epochs=10, random_state=0)
    >>> clf = clf.fit(digits.X, digits.y, X_target=digits.X_target)
    >>> alone = DeepCORALClassifier(trade_off=0, max_epochs=10, random_state=0)
    >>> alone = alone.fit(digits.X, digits.y, X_target=digits.X_target)
    >>> X_test, y_test = digits.X_target, digits.y_target
    >>> clf.score(X_test, y_test) > alone.score(X_test, y_test)
    True
    """

    alignment: ClassVar[str] = "coral"
    layers: tuple[str, ...] = ("logits",)
    trade_off: float = 30.0
