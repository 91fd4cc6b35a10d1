"""DALN: the classifier itself is the critic that the features learn to defeat."""

from collections.abc import Callable
from typing import Any, ClassVar

from skda.base import DeepAdaptationClassifier
from skda.losses import nuclear_wasserstein
from skda.nn import joint, reverse_gradient
from skda.training import AdaptationNet


@joint
def criticize(source, target):
    """Return minus the discrepancy of the predictions, which the critic makes small.

    Parameters
    ----------
    source, target : dicts of str to torch.Tensor
        Activations, with the logits of the critic as ``"critic"``.

    Returns
    -------
    loss : torch.Tensor
        A scalar.
    """
    return -nuclear_wasserstein(source["critic"], target["critic"])


class HeadCriticNet(AdaptationNet):
    """The net whose head plays the critic, beside learning from the labels."""

    adversary = ("head",)

    def infer(self, x, **params):
        """Forward rows; in training also what the head says of them as a critic."""
        logits, activations = super().infer(x, **params)
        if self.module_.training and self.alignment is not None:
            # The head descends on this loss, and the features, behind the reversal, ascend.
            critic = self.module_.head(reverse_gradient(activations["features"]))
            activations = {**activations, "critic": critic}
        return logits, activations


class DALNClassifier(DeepAdaptationClassifier):
    r"""Discriminator-free adversarial learning network.

    The classifier F plays the critic too: beside the labels it learns to predict the source with
    certainty and over many classes, and the target without, and the features G learn to leave no
    such difference [1]_::

        min_F      CE(F(G(x_s)), y) - trade_off * NWD
        min_G      CE(F(G(x_s)), y) + trade_off * NWD
        NWD        = ||softmax(F(G(x_s)))||_* / n_s - ||softmax(F(G(x_t)))||_* / n_t

    with the nuclear norm of the predictions of a batch, see
    :func:`skda.losses.nuclear_wasserstein`. Both learn in one step: the gradient of NWD is
    reversed between F and G. There is no other network, and no gradient penalty.

    Unlike [1]_, the trade-off of F grows as well as that of G, features are the module's, without
    a bottleneck, Adam trains, and batch norms keep statistics per domain.

    Parameters
    ----------
    trade_off : float, default=1.0
        Weight of the discrepancy, for the classifier and for the features. With 0 the network
        learns from the source alone, bit for bit as without target data, and only the statistics
        of its batch norms come from the target.

    trade_off_schedule : {"progressive", "constant"} or callable, default="progressive"
        Factor of `trade_off` as a function of training progress in [0, 1]: ``"progressive"``
        grows from 0 to 1, see :func:`skda.training.progressive`.

    **prefixed_params : keywords
        ``module__*``, ``optimizer__*``, ``criterion__*`` (of
        :class:`torch.nn.CrossEntropyLoss`), ``callbacks__*``, ``iterator_train__*``
        (of :class:`skda.training.PairedBatches`), ``iterator_valid__*`` and ``compile__*``.

    Attributes
    ----------
    history_ : skorch.history.History
        One entry per epoch, with ``train_loss``, ``classification_loss``, ``alignment_loss``
        (minus NWD), ``trade_off``, ``target_classes``, gradient norms (the adversary's is that
        of the head, of both its losses) and the ``valid_*`` figures.

    See Also
    --------
    BNMClassifier : Certain and diverse predictions of the target, without an opponent.
    MDDClassifier : A second classifier as the critic.
    WDGRLClassifier : A critic of its own, with a gradient penalty.

    References
    ----------
    .. [1] L. Chen, H. Chen, Z. Wei, X. Jin, X. Tan, Y. Jin, E. Chen. Reusing the Task-specific
       Classifier as a Discriminator: Discriminator-free Adversarial Domain Adaptation. CVPR 2022,
       section 3.

    Examples
    --------
    >>> from skda.adaptation import DALNClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> digits = load_shifted_digits(random_state=0)
    >>> clf = DALNClassifier(max_epochs=5, random_state=0)
    >>> clf = clf.fit(digits.X, digits.y, X_target=digits.X_target)
    >>> clf.predict(digits.X_target).shape
    (899,)
    """

    alignment: ClassVar[Any] = staticmethod(criticize)
    layers: ClassVar[tuple[str, ...]] = ("features",)
    trade_off_schedule: str | Callable = "progressive"

    net_class = HeadCriticNet
    keyword_prefixes = ("module",)
