"""MCD: two classifiers that differ where the target is unlike the source."""

from numbers import Integral, Real
from typing import Any, ClassVar

import torch
from torch import nn

from skda._sklearn_compat import Interval
from skda.base import DeepAdaptationClassifier
from skda.losses import class_balance, classifier_discrepancy
from skda.nn import DomainRows, joint
from skda.rows import take_batch
from skda.training import TwoPlayerNet, to_device


@joint
class SecondClassifier(nn.Linear):
    """A second linear classifier of the features; it starts elsewhere than the first.

    Parameters
    ----------
    layers : sequence of str
        Not used.

    widths : dict of str to int
        Width of features and logits.
    """

    def __init__(self, layers, widths):
        super().__init__(widths["features"], widths["logits"])


class MCDNet(TwoPlayerNet):
    """The net whose second player is two classifiers, the module's head and the alignment.

    Parameters
    ----------
    module : AdaptationModule
        The network.

    *args : arguments
        As in :class:`skda.training.AdaptationNet`.

    n_generator_steps : int, default=4
        Steps of the backbone on the discrepancy, for one step of the classifiers.

    balance_weight : float, default=0.003
        Weight, relative to the discrepancy's, of :func:`skda.losses.class_balance` of each
        classifier.

    **kwargs : keywords
        As in :class:`skda.training.TwoPlayerNet`.
    """

    adversary = ("head", "alignment")
    # What the classifiers were, if the head is their mean.
    _apart: Any = None

    def __init__(self, module, *args, n_generator_steps=4, balance_weight=0.003, **kwargs):
        self.n_generator_steps = n_generator_steps
        self.balance_weight = balance_weight
        super().__init__(module, *args, **kwargs)

    def train_step_single(self, batch, **fit_params):
        """Learn the labels, make the classifiers differ on the target, and make them agree."""
        if self.alignment is None:
            return super().train_step_single(batch, **fit_params)
        X, y = (to_device(part, self.device) for part in batch)
        sizes = self.module_.rows.sizes
        labelled = sizes if len(y) > sizes[0] else DomainRows.SOURCE_ALONE
        # A: all learn the labels.
        logits, activations = self.infer(take_batch(X, slice(len(y))), sizes=labelled)
        classification_loss = self._classification_loss(activations["features"], y)
        self.descend(classification_loss, self.optimizer_, self.adversary_optimizer_)
        with torch.no_grad():
            _, activations = self.infer(take_batch(X, slice(len(y))), sizes=labelled)
        for number in range(self.n_generator_steps):
            if number:
                self.step_optimizers(self.optimizer_)  # of the last step of kind C
            _, target = self.infer(take_batch(X, slice(sizes[0], None)), sizes=(0, *sizes[1:]))
            target = target["features"]
            if not number:
                # B: the classifiers come to differ, with the features as they are.
                adversary_loss = self._classification_loss(activations["features"], y)
                discrepancy, balance, _ = self._target_losses(target.detach())
                adversary_loss = adversary_loss - self.current_trade_off * (discrepancy - balance)
                self.descend(adversary_loss, self.adversary_optimizer_)
            # C: the features make them agree, with the classifiers as they are.
            with self.fixed_adversary():
                discrepancy, balance, target_logits = self._target_losses(target)
            self.optimizer_.zero_grad()
            weighted = self.current_trade_off * (discrepancy + balance)
            self.backward(weighted)
        self.note_target_predictions(target_logits)
        return {
            "loss": classification_loss + weighted,
            "classification_loss": classification_loss,
            "alignment_loss": discrepancy,
            "adversary_loss": adversary_loss,
            "trade_off": self.current_trade_off,
            "y_pred": logits,
        }

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        """Part the classifiers again, if training goes on after `merge_classifiers`."""
        super().on_train_begin(net, X, y, **kwargs)
        with torch.no_grad():
            for parameter, value in zip(self._of_classifiers(), self._apart or (), strict=False):
                parameter.copy_(value)
        self._apart = None

    def merge_classifiers(self):
        """Put the mean of both in the place of the first."""
        first, second = (classifier.parameters() for classifier in self.classifiers())
        with torch.no_grad():
            self._apart = [parameter.clone() for parameter in self._of_classifiers()]
            for mine, other in zip(first, second, strict=True):
                mine.copy_((mine + other) / 2)

    def _of_classifiers(self):
        if self.alignment is None:
            return []
        return [p for classifier in self.classifiers() for p in classifier.parameters()]

    def classifiers(self):
        """Return both classifiers."""
        return self.module_.head, self.alignment_.loss

    def _classification_loss(self, features, y) -> Any:
        return sum(
            self.get_classification_loss(classify(features), y) for classify in self.classifiers()
        )

    def _target_losses(self, features):
        """Return the discrepancy, the weighted balance, and the logits of the first classifier."""
        logits = [classify(features) for classify in self.classifiers()]
        balance = self.balance_weight * sum(map(class_balance, logits))
        return classifier_discrepancy(*logits), balance, logits[0]


class MCDClassifier(DeepAdaptationClassifier):
    r"""Maximum classifier discrepancy.

    Two classifiers F1 and F2 learn the source from different starts. Where they differ, a target
    row has features unlike those of the source: the classifiers learn to differ there as much as
    they can, and the features G to leave them no room for it [1]_. Every batch gives three kinds
    of steps::

        A  min_{G, F1, F2}  CE(F1(G(x_s)), y) + CE(F2(G(x_s)), y)
        B  min_{F1, F2}     CE(F1(G(x_s)), y) + CE(F2(G(x_s)), y)
                            - trade_off * (discrepancy(F1(G(x_t)), F2(G(x_t))) - balance)
        C  min_G            trade_off * (discrepancy(F1(G(x_t)), F2(G(x_t))) + balance)

    the last one `n_generator_steps` times, where the discrepancy is the mean absolute difference of
    probabilities, see :func:`skda.losses.classifier_discrepancy`, and balance is `balance_weight`
    times the sum of :func:`skda.losses.class_balance` of F1(G(x_t)) and F2(G(x_t)).
    Predictions are those of the mean of both classifiers' logits: of one linear map, which is left
    in their place after `fit`.

    Unlike [1]_, the classifiers are linear, the learning rate falls, there is no weight decay
    (``optimizer__weight_decay`` of G), and batch norms keep statistics per domain. The authors'
    code has the balance for VisDA alone, with a weight of 0.01, and in step A instead of C, where
    it costs a forward.

    Parameters
    ----------
    n_generator_steps : int, default=4
        Steps of kind C.

    balance_weight : float, default=0.003
        Weight of the balance of classes, relative to the discrepancy's. It keeps predictions from
        giving up a class, at the price of shares more alike than the true ones; 0 is for
        targets in which some classes are missing.

    **prefixed_params : keywords
        ``module__*``, ``optimizer__*`` (of G; Adam trains the classifiers),
        ``criterion__*`` (of :class:`torch.nn.CrossEntropyLoss`), ``callbacks__*``,
        ``iterator_train__*`` (of :class:`skda.training.PairedBatches`), ``iterator_valid__*``
        and ``compile__*``.

    Attributes
    ----------
    history_ : skorch.history.History
        One entry per epoch, with ``train_loss``, ``classification_loss`` (of both classifiers),
        ``alignment_loss`` (the discrepancy after the last step), ``adversary_loss`` (of step B),
        ``trade_off``, gradient norms and the ``valid_*`` figures.

    See Also
    --------
    MDDClassifier : A second classifier that learns from the first one's predictions.
    DANNClassifier : A discriminator of domains instead of a second classifier.

    References
    ----------
    .. [1] K. Saito, K. Watanabe, Y. Ushiku, T. Harada. Maximum Classifier Discrepancy for
       Unsupervised Domain Adaptation. CVPR 2018, section 3.

    Examples
    --------
    >>> from skda.adaptation import MCDClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> digits = load_shifted_digits(random_state=0)
    >>> clf = MCDClassifier(max_epochs=3, random_state=0)
    >>> clf = clf.fit(digits.X, digits.y, X_target=digits.X_target)
    >>> clf.predict(digits.X_target).shape
    (899,)
    """

    alignment: ClassVar[type] = SecondClassifier
    layers: ClassVar[tuple[str, ...]] = ("features",)
    n_generator_steps: int = 4
    balance_weight: float = 0.003

    net_class = MCDNet
    keyword_prefixes = ("module",)

    _parameter_constraints = {
        "n_generator_steps": [Interval(Integral, 1, None, closed="left")],
        "balance_weight": [Interval(Real, 0, None, closed="left")],
    }

    def net_params(self, training):
        own = {name: getattr(self, name) for name in ("n_generator_steps", "balance_weight")}
        return {**super().net_params(training), **own}

    def finish_fit(self, training):
        super().finish_fit(training)
        net: Any = self.net_
        if net.alignment is not None:
            net.merge_classifiers()
