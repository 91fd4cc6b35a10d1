"""DeepJDOT: optimal transport of features and labels."""

from collections.abc import Callable
from typing import ClassVar

from skda.base import DeepAdaptationClassifier


class DeepJDOTClassifier(DeepAdaptationClassifier):
    r"""Deep joint distribution optimal transport.

    Every batch of source rows is moved onto the batch of target rows by the plan that is
    cheapest in features and labels together; the network then makes that plan cheaper [1]_::

        loss = CE(F(G(x_s)), y)
               + trade_off * min_plan sum_ij plan_ij (alpha ||f_i - f_j||^2 + lambda CE(y_i, g_j))

    see :func:`skda.losses.transport_cost`. Needs the optional library POT:
    ``pip install "skda[transport]"``.

    The cost and the exact plan are those of [1]_. Unlike [1]_, whose network is trained on the
    source first, the trade-off grows during one training, and batches are not balanced by class.

    Parameters
    ----------
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

    **prefixed_params : keywords
        ``module__*``, ``optimizer__*``, ``alignment__*`` (``feature_weight``, the alpha, and
        ``label_weight``, the lambda, of :func:`skda.losses.transport_cost`),
        ``criterion__*`` (of :class:`torch.nn.CrossEntropyLoss`), ``callbacks__*``,
        ``iterator_train__*`` (of :class:`skda.training.PairedBatches`), ``iterator_valid__*``
        and ``compile__*``.

    See Also
    --------
    DSANClassifier : Aligns every class by a maximum mean discrepancy.

    References
    ----------
    .. [1] B. B. Damodaran, B. Kellenberger, R. Flamary, D. Tuia, N. Courty. DeepJDOT: Deep Joint
       Distribution Optimal Transport for Unsupervised Domain Adaptation. ECCV 2018, section 3.

    Examples
    --------
    >>> from skda.adaptation import DeepJDOTClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> digits = load_shifted_digits(random_state=0)
    >>> clf = DeepJDOTClassifier(max_epochs=5, random_state=0)
    >>> clf = clf.fit(digits.X, digits.y, X_target=digits.X_target)
    >>> clf.predict(digits.X_target).shape
    (899,)
    """

    alignment: ClassVar[str] = "transport"
    trade_off_schedule: str | Callable = "progressive"
    batch_norm: str = "shared"
