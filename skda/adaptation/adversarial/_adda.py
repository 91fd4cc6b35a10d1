"""ADDA: an encoder of the target that learns to pass for the encoder of the source."""

from collections.abc import Callable
from numbers import Real
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from skda._sklearn_compat import Interval
from skda._torch import seed_generators
from skda.base import DeepAdaptationClassifier
from skda.estimators import copy_callback, stopping_callbacks
from skda.losses import domain_cross_entropy
from skda.nn import Activations, DomainAccuracy, DomainDiscriminator, one_output_per_row
from skda.rows import DictRows, as_batch, map_batch, take_batch
from skda.training import (
    DomainDataset,
    Stage,
    TwoPlayerNet,
    augment_of,
    own_steps_error,
    to_device,
)


class EncoderAdversary(nn.Module):
    """Discriminators that tell the source's encodings from the target's.

    Parameters
    ----------
    discriminators : list of torch.nn.Module
        One per layer, from features of shape (n, n_features) to logits of the target domain, of
        shape (n, 1).
    """

    joint = True

    def __init__(self, discriminators):
        super().__init__()
        self.discriminators = nn.ModuleList(discriminators)
        self.accuracy = DomainAccuracy()

    def forward(self, source, target):
        """Return the encoder's loss: the discriminators' with inverted labels."""
        return sum(F.softplus(logits).mean() for logits in self._logits(target))

    def adversary_loss(self, source, target):
        """Return the discriminators' loss, each domain counting one half."""
        loss = 0.0
        for logits in zip(self._logits(source), self._logits(target), strict=True):
            self.accuracy.add(*logits)
            loss = loss + domain_cross_entropy(*logits)
        return loss

    def _logits(self, domain):
        for discriminator, layer in zip(self.discriminators, domain.layers, strict=True):
            yield one_output_per_row("discriminator", discriminator, domain[layer].flatten(1))


class EncodedSource(DomainDataset):
    """Target rows, and what an encoder that no longer learns has made of the source rows.

    Source rows are blank, and their labels are their numbers: by these a batch finds the
    encodings.

    Parameters
    ----------
    encodings : dict of str to torch.Tensor of shape (n_source, ...)
        By layer.

    targets : tuple of arrays
        Target rows, one array per domain.

    class_numbers : ndarray of int64 of shape (n_source,)
        Of the source rows.
    """

    def __init__(self, encodings, targets, class_numbers):
        n_source = len(next(iter(encodings.values())))
        row = as_batch(targets[0][np.arange(1)])
        X = map_batch(lambda values: values.new_zeros(()).expand(n_source, *values.shape[1:]), row)
        X = DictRows(X) if isinstance(X, dict) else X
        super().__init__(X, np.arange(n_source), targets)
        self.encodings, self._class_numbers = encodings, class_numbers

    @property
    def class_numbers(self):
        """Of the source rows, whose labels are their numbers."""
        return self._class_numbers


class TargetEncoderNet(TwoPlayerNet):
    """The net whose backbone sees the target alone, and learns from the adversary alone.

    Train it on an :class:`EncodedSource`.
    """

    _encodings: Any

    def on_train_begin(self, net, X: Any = None, y=None, **kwargs):
        """Bring the source's encodings to the device."""
        super().on_train_begin(net, X, y, **kwargs)
        self._encodings = {name: x.to(self.device) for name, x in X.encodings.items()}

    def on_train_end(self, net, X=None, y=None, **kwargs):
        """Drop the source's encodings, and complete the target's statistics."""
        self._encodings = None
        super().on_train_end(net, X, y, **kwargs)

    def source_logits(self, dataset, numbers):
        """Return the logits of source rows by the encoder of the source."""
        if "features" not in self._encodings:
            raise ValueError(
                "target_shares='estimate' needs the features of source rows; name 'features' among "
                "the layers, or give the shares."
            )
        with torch.no_grad():
            return self.module_.head(self._encodings["features"][torch.from_numpy(numbers)])

    def train_step_single(self, batch, **fit_params):
        """Let the discriminator learn, then the encoder, from one forward of the target rows."""
        X, numbers = batch
        numbers = to_device(numbers, self.device)
        n_source, *target_sizes = self.module_.rows.sizes
        target = take_batch(X, slice(n_source, None))
        logits, activations = self.infer(target, sizes=(0, *target_sizes))
        source = {name: x.index_select(0, numbers) for name, x in self._encodings.items()}
        fixed = {name: activations[name].detach() for name in source}
        adversary_loss = self.alignment_.adversary_loss(*self._pair(source, fixed))
        self.descend(adversary_loss, self.adversary_optimizer_)
        with self.fixed_adversary():
            alignment_loss = self.alignment_(*self._pair(source, activations))
        loss = self.current_trade_off * alignment_loss
        self.backward(loss)
        self.note_target_predictions(logits)
        return {
            "loss": loss,
            "alignment_loss": alignment_loss,
            "adversary_loss": adversary_loss,
            "trade_off": self.current_trade_off,
            "y_pred": logits,
        }

    @staticmethod
    def _pair(source, target):
        return Activations(source, ()), Activations(target, ())


class ADDAClassifier(DeepAdaptationClassifier):
    r"""Adversarial discriminative domain adaptation.

    Two stages [1]_. In the first, an encoder M_s and a classifier C learn the source. In the
    second both stay as they are, and an encoder of the target M_t, which starts as a copy of M_s,
    learns against a discriminator D to give features that pass for those of the source::

        1  min_{M_s, C}  CE(C(M_s(x_s)), y)
        2  min_D         -mean log(1 - D(M_s(x_s))) - mean log D(M_t(x_t))
           min_{M_t}     -trade_off * mean log(1 - D(M_t(x_t)))

    where D is the probability of the target: the encoder learns from inverted labels, whose
    gradient does not vanish when the discriminator is right. Discriminator and encoder learn in
    turns, from one forward pass of a batch. Predictions are C(M_t(x)). The first stage is the
    training on the source alone, and the second never sees a source row: their features are
    computed once.

    Unlike [1]_, the loss of D is the mean of both domains instead of their sum, the learning rate
    falls, and batch norms keep statistics per domain. M_s is not kept.

    Parameters
    ----------
    layers : tuple of str, default=("features",)
        Where the discriminator looks, at each layer by one of its own.

    trade_off : float, default=1.0
        Weight of the encoder's loss in the second stage, of which steps of Adam hardly depend.
        With 0 there is no second stage: the network learns from the source alone, bit for bit as
        without target data, and only the statistics of its batch norms come from the target.

    adaptation_lr : float, default=2e-4
        Learning rate at the start of the second stage, of encoder and discriminator; the
        optimiser is Adam with beta_1 = 0.5 (`optimizer` and `lr` are those of the first stage).

    discriminator : torch.nn.Module, class or factory, default=None
        From features of shape (n, n_features) to logits of shape (n, 1). An instance is copied,
        one copy per layer; a class or factory is called with the width of the layer and the
        ``discriminator__*`` keywords. None is :class:`skda.nn.DomainDiscriminator`, with
        ``discriminator__hidden_layer_sizes=(500, 500)`` as in [1]_ and
        ``discriminator__dropout=0``. Encoders that learn against a small one can go astray.

    max_epochs : int, default=40
        Number of epochs of each stage. An epoch of the first goes once through the source, one of
        the second through the larger domain.

    early_stopping : bool or scorer, default=False
        Whether to hold out source rows in the first stage, and to end it when their loss no
        longer falls; the best weights are kept. A scorer of :mod:`skda.model_selection` scores
        the target rows after every epoch of the second stage instead, and ends that.

    callbacks : list of skorch callbacks, default=None
        Copies of them take part in each stage; ``callbacks__*`` keywords reach them.

    **prefixed_params : keywords
        ``module__*``, ``optimizer__*``, ``discriminator__*``, ``criterion__*`` (of
        :class:`torch.nn.CrossEntropyLoss`), ``callbacks__*``, ``iterator_train__*``
        (of :class:`skda.training.PairedBatches`), ``iterator_valid__*`` and ``compile__*``.

    Attributes
    ----------
    source_history_ : skorch.history.History
        Of the first stage: ``train_loss``, ``classification_loss`` and the ``valid_*`` figures.

    history_ : skorch.history.History
        Of the second stage: ``alignment_loss`` (of the encoder), ``adversary_loss``,
        ``domain_accuracy`` and gradient norms; that of the first if there is no other.

    See Also
    --------
    DANNClassifier : One encoder for both domains, by gradient reversal.
    DomainConfusionClassifier : One encoder, which leaves the discriminator undecided.

    References
    ----------
    .. [1] E. Tzeng, J. Hoffman, K. Saenko, T. Darrell. Adversarial Discriminative Domain
       Adaptation. CVPR 2017, section 4.

    Examples
    --------
    >>> from skda.adaptation import ADDAClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> digits = load_shifted_digits(random_state=0)
    >>> clf = ADDAClassifier(max_epochs=5, random_state=0)
    >>> clf = clf.fit(digits.X, digits.y, X_target=digits.X_target)
    >>> len(clf.source_history_), len(clf.history_)
    (5, 5)
    """

    alignment: ClassVar[type] = EncoderAdversary
    adaptation_lr: float = 2e-4
    discriminator: nn.Module | Callable | None = None

    keyword_prefixes = ("module", "discriminator")

    _parameter_constraints = {
        "adaptation_lr": [Interval(Real, 0, None, closed="neither")],
        "discriminator": [nn.Module, callable, None],
    }

    def net_params(self, training):
        return {"alignment": None, "trade_off": 0}  # the first stage's

    def make_stages(self, training):
        dataset = training.dataset
        if not dataset.targets or not self.trade_off:
            return super().make_stages(training)
        if self.gradient_accumulation_steps > 1:  # not only when the first stage is over
            raise own_steps_error(type(self).__name__, self.gradient_accumulation_steps)
        is_labelled = dataset.target_labels is not None
        source = Stage(
            name="source",
            learns=("backbone", "head"),
            batches="paired" if is_labelled else "source",
            make_dataset=None if is_labelled else _source_alone,
            make_net=self.build_net,
        )
        target = Stage(
            name="target",
            learns=("backbone", "alignment"),
            make_dataset=_encode_source,
            make_net=self._build_target_net,
        )
        return [source, target]

    def _build_target_net(self, training):
        """Return the second stage's net, which goes on from the network of the first."""
        source_net = training.net
        if training.dataset.target_labels is None:
            for norm in source_net.module_.domain_batch_norms():
                norm.set_n_domains(len(norm.norms))  # the target's start from the source's
        seed_generators(training.seeds.alignment, training.device)
        augment = augment_of(source_net.augment, "target")
        return source_net.successor(
            TargetEncoderNet,
            alignment=self.make_alignment(training.layers, training.widths),
            trade_off=self.trade_off,
            trade_off_schedule=self.trade_off_schedule,
            callbacks=[
                *map(copy_callback, self.callbacks or ()),
                *stopping_callbacks(self, training, of_target=True),
            ],
            train_split=None,
            augment=augment and {"target": augment},  # the source's rows are blank
            optimizer=torch.optim.Adam,
            lr=self.adaptation_lr,
            optimizer__betas=(0.5, 0.999),
            adversary_optimizer__betas=(0.5, 0.999),
        )

    def make_loss(self, alignment, layers, widths):
        discriminator = self.discriminator or DomainDiscriminator
        return EncoderAdversary(
            [self.make_part("discriminator", discriminator, widths[layer]) for layer in layers]
        )

    def finish_fit(self, training):
        super().finish_fit(training)
        self.source_history_ = training.histories.get("source", self.history_)


def _source_alone(training):
    return training.dataset.without_targets()


def _encode_source(training):
    """Return the target's rows, with what the first stage's network makes of the source's."""
    dataset = training.dataset
    if training.net is None:
        raise ValueError(
            "partial_fit of ADDAClassifier cannot go on after fit, which keeps no encoder of the "
            "source; train by partial_fit from the first epoch on, or fit again."
        )
    encodings = training.net.activations_of(dataset.X, training.layers, domain="source")
    return EncodedSource(encodings, dataset.targets, dataset.y)
