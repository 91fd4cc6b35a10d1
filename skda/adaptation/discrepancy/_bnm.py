"""BNM: predictions of the target that are certain and diverse."""

from typing import ClassVar

from skda.base import DeepAdaptationClassifier


class BNMClassifier(DeepAdaptationClassifier):
    r"""Batch nuclear-norm maximization.

    The nuclear norm of the matrix of predicted probabilities of a batch of n target rows is large
    if the predictions are certain and no class is left out [1]_::

        loss = CE(F(G(x_s)), y) - trade_off * ||softmax(F(G(x_t)))||_* / n

    see :func:`skda.losses.batch_nuclear_norm`.

    The loss and its weight are those of [1]_. Unlike [1]_, Adam trains, and batch norms keep
    statistics per domain. ``alignment_loss`` in the history is minus the norm.

    See Also
    --------
    MCCClassifier : Predictions that do not confuse classes.

    References
    ----------
    .. [1] S. Cui, S. Wang, J. Zhuo, L. Li, Q. Huang, Q. Tian. Towards Discriminability and
       Diversity: Batch Nuclear-norm Maximization under Label Insufficient Situations. CVPR 2020,
       section 3.

    Examples
    --------
    >>> from skda.adaptation import BNMClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> digits = load_shifted_digits(random_state=0)
    >>> clf = BNMClassifier(max_epochs=5, random_state=0)
    >>> clf = clf.fit(digits.X, digits.y, X_target=digits.X_target)
    >>> clf.predict(digits.X_target).shape
    (899,)
    """

    alignment: ClassVar[str] = "bnm"
    layers: ClassVar[tuple[str, ...]] = ()
