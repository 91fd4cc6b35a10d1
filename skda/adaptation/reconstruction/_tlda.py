"""TLDA: an auto-encoder through the classes, with like mean codes in both domains."""

from functools import partial
from numbers import Real
from typing import ClassVar

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from skda._sklearn_compat import Interval, StrOptions
from skda.backbones import build_backbone
from skda.base import DeepAdaptationClassifier
from skda.losses import activation_divergence, reconstruction_error
from skda.nn import MLP, JointAlignment, joint
from skda.training import Stage, ranges, take_rows


@joint
class LabelAutoencoder(nn.Module):
    """Reconstruction of both domains from class probabilities, and divergence of their features.

    Parameters
    ----------
    widths : dict of str to int
        Of ``"inputs"``, ``"features"`` and ``"logits"``.

    divergence_weight : float
        Weight of the divergence.
    """

    def __init__(self, widths, divergence_weight):
        super().__init__()
        self.divergence_weight = divergence_weight
        self.decoder = nn.Sequential(
            nn.Linear(widths["logits"], widths["features"]),
            nn.Sigmoid(),
            nn.Linear(widths["features"], widths["inputs"]),
            nn.Sigmoid(),
        )

    def forward(self, source, target):
        """Return the sum of reconstruction error and weighted divergence."""
        logits = torch.cat([source["logits"], target["logits"]])
        inputs = torch.cat([source["inputs"], target["inputs"]]).flatten(1)
        error = reconstruction_error(self.decoder(logits.softmax(dim=1)), inputs)
        divergence = activation_divergence(source["features"], target["features"])
        return error + self.divergence_weight * divergence


def _ranges(domains):
    """Minimum and extent of columns or channels over all domains; 1 where they are constant."""
    low, high = ranges(domains)
    shape = (-1,) + (1,) * (len(domains[0].shape) - 2)
    extent = torch.where(high > low, high - low, 1)
    return low.float().view(shape), extent.float().view(shape)


class TLDAClassifier(DeepAdaptationClassifier):
    r"""Transfer learning with deep auto-encoders.

    A layer of sigmoid units E gives features, a layer of softmax units (the label layer) gives
    class probabilities z, and a decoder D goes back from z through as many sigmoid units to the
    inputs, the more alike in both domains, on average, the features are [1]_::

        loss = CE(z_s, y) + trade_off * (reconstruction_error(D(z), x)
                                         + divergence_weight * Gamma(E(x_s), E(x_t)))

    where Gamma is the symmetric Kullback-Leibler divergence of mean activations, see
    :func:`skda.losses.activation_divergence`. Predictions come from the label layer or from a
    logistic regression on the features of the source: TLDA1 and TLDA2 of [1]_.

    Columns, or channels, are brought to [0, 1], the range of the decoder, by their minimum and
    maximum over the training rows of all domains; rows that are met later may leave it.

    Unlike [1]_, the weights do not depend on how many rows and columns there are: the error is a
    share of the variance of the inputs, see :func:`skda.losses.reconstruction_error`, and the
    cross-entropy a mean. In the terms of [1]_ `divergence_weight` is alpha, `trade_off` 1 / beta,
    and ``optimizer__weight_decay``, which is 0, gamma. Adam on batches takes the place of
    gradient descent on all rows, and there is no pre-training.

    Parameters
    ----------
    module : str, torch.nn.Module, class, factory or fitted estimator, default=None
        The encoder, as in :class:`skda.base.DeepAdaptationClassifier`, with features of zero or
        more. None is for tables a :class:`skda.nn.MLP` with one layer of sigmoid units,
        ``module__hidden_layer_sizes=(64,)``, and no batch norm; for images a
        :class:`skda.nn.ConvNet`.

    lr : float, default=1e-2
        Learning rate at the start; sigmoid units learn slowly.

    divergence_weight : float, default=1.0
        Weight of the divergence against the reconstruction error.

    classifier : {"softmax", "logistic"}, default="softmax"
        Whether predictions come from the label layer, or from a
        :class:`sklearn.linear_model.LogisticRegression` that is trained on the features of the
        labelled rows afterwards, and takes the place of the label layer.

    trade_off : float, default=1.0
        Weight of reconstruction and divergence. With 0 the network learns from the source alone,
        and only the ranges of columns, and the statistics of batch norms, come from the target
        too.

    **prefixed_params : keywords
        ``module__*``, ``optimizer__*``, ``criterion__*`` (of
        :class:`torch.nn.CrossEntropyLoss`), ``callbacks__*``, ``iterator_train__*``
        (of :class:`skda.training.PairedBatches`), ``iterator_valid__*`` and ``compile__*``.

    See Also
    --------
    SDAEClassifier : Auto-encoders that are trained before the classifier.

    References
    ----------
    .. [1] F. Zhuang, X. Cheng, P. Luo, S. J. Pan, Q. He. Supervised Representation Learning:
       Transfer Learning with Deep Autoencoders. IJCAI 2015.

    Examples
    --------
    >>> from skda.adaptation import TLDAClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> digits = load_shifted_digits(random_state=0)
    >>> clf = TLDAClassifier(max_epochs=10, random_state=0)
    >>> clf = clf.fit(digits.X, digits.y, X_target=digits.X_target)
    >>> clf.predict(digits.X_target).shape
    (899,)
    """

    alignment: ClassVar[type] = LabelAutoencoder
    row_kinds = ("table", "image", "series")
    layers: ClassVar[tuple[str, ...]] = ("inputs",)
    standardize: ClassVar[None] = None
    lr: float = 1e-2
    divergence_weight: float = 1.0
    classifier: str = "softmax"

    keyword_prefixes = ("module",)

    idle_hooks: ClassVar[tuple[str, ...]] = ("make_loss",)

    _parameter_constraints = {
        "divergence_weight": [Interval(Real, 0, None, closed="left")],
        "classifier": [StrOptions({"softmax", "logistic"})],
    }

    def make_backbone(self, training):
        if self.module is None and len(self.input_shape_) == 1:
            sizes = {"hidden_layer_sizes": (64,), **self.params_for("module")}
            network = partial(MLP, batch_norm=False, activation=nn.Sigmoid)
            return build_backbone(network, self.input_shape_, sizes)
        return super().make_backbone(training)

    def make_module(self, training, **params):
        dataset = training.dataset
        # The same for all: what varies little in one domain would be blown up by its own range.
        n_moments = len(dataset.domains) + (len(dataset.targets) > 1)
        moments = [_ranges(dataset.domains)] * n_moments
        return super().make_module(training, moments=moments, **params)

    def make_alignment(self, layers, widths):
        return JointAlignment(LabelAutoencoder(widths, self.divergence_weight), layers)

    def make_stages(self, training):
        stages = super().make_stages(training)
        if self.classifier == "logistic":
            label_layer = Stage(
                name="label layer",
                max_epochs=0,
                learns=("head",),
                batches="source",
                run=_replace_label_layer,
            )
            stages.append(label_layer)
        return stages


def _replace_label_layer(training):
    """Put a logistic regression on the features of the labelled rows in its place."""
    dataset, net = training.dataset, training.net
    features, labels = [_features_of(net, dataset.X, "source")], [dataset.y]
    for rows, codes in zip(dataset.targets, dataset.target_labels or (), strict=False):
        known = np.flatnonzero(codes >= 0)
        if len(known):
            features.append(_features_of(net, take_rows(rows, known)))
            labels.append(codes[known])
    regression, weights = LogisticRegression(max_iter=1000), dataset.weights
    if weights is not None:
        weights = weights[dataset.labels >= 0].numpy()
    regression.fit(np.concatenate(features), np.concatenate(labels), sample_weight=weights)
    coef, intercept = regression.coef_, regression.intercept_
    if len(coef) == 1:  # of the second class against the first
        coef, intercept = np.vstack([0 * coef, coef]), np.append(0, intercept)
    head = net.module_.head
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(coef))
        head.bias.copy_(torch.from_numpy(intercept))


def _features_of(net, rows, domain="target"):
    return net.activations_of(rows, domain=domain)["features"].numpy()
