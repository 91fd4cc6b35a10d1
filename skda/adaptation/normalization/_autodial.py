"""AutoDIAL: layers that learn how much of their statistics the domains share."""

from typing import ClassVar

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from skda.adaptation.normalization._domain_alignment import DomainAlignmentNorm
from skda.base import DeepAdaptationClassifier
from skda.nn import check_submodules, record_activations


class AutoDIALClassifier(DeepAdaptationClassifier):
    r"""Automatic domain alignment layers.

    Every batch norm becomes a layer that normalises the rows of a domain by the moments of a
    mixture: a share alpha of the own domain, a share 1 - alpha of the other one. The shares are
    learned, one per layer, with the weights [1]_::

        loss = CE(source, y) + trade_off * mean entropy(target)

    With alpha = 1 a layer normalises every domain by itself, with alpha = 0.5 both by the same
    moments; see :class:`skda.adaptation.normalization.DomainAlignmentNorm`. Predictions use running
    averages of the mixed moments of the target's rows. The learned shares stand in ``alphas_``.

    Of several targets each mixes with the source, and the source with all of them in equal parts.
    Without a target, or with a `trade_off` of 0, there is nothing to mix: the batch norms are
    those of the other methods, and ``alphas_`` is empty.

    Unlike [1]_, Adam trains, both halves of a batch are equally large whatever the sizes of the
    domains, and no such layer follows the last linear map.

    Parameters
    ----------
    insert_after : tuple of str, default=()
        Paths of the submodules of the module after each of which such a layer is inserted, for
        modules without batch norms. Their outputs have two dimensions, or four. In [1]_, for
        AlexNet, these are the fully connected layers: ``("classifier.1", "classifier.4")`` of
        torchvision's.

    trade_off : float, default=0.1
        Weight of the entropy. With 0 the network learns from the source alone, bit for bit as
        without target data, and only the statistics of its batch norms come from the target.

    **prefixed_params : keywords
        ``module__*``, ``optimizer__*``, ``criterion__*`` (of
        :class:`torch.nn.CrossEntropyLoss`), ``callbacks__*``, ``iterator_train__*``
        (of :class:`skda.training.PairedBatches`), ``iterator_valid__*`` and ``compile__*``.

    Attributes
    ----------
    alphas_ : dict of str to float
        The learned shares of the own domain, from 0.5 to 1, by the path of the layer in the
        module.

    See Also
    --------
    AdaBNClassifier : Replaces the statistics after training.
    skda.adaptation.normalization.DomainAlignmentNorm : The layer.

    References
    ----------
    .. [1] F. M. Carlucci, L. Porzi, B. Caputo, E. Ricci, S. Rota Bulò. AutoDIAL: Automatic
       DomaIn Alignment Layers. ICCV 2017, section 3.

    Examples
    --------
    >>> from skda.adaptation import AutoDIALClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> digits = load_shifted_digits(random_state=0)
    >>> clf = AutoDIALClassifier(max_epochs=10, random_state=0)
    >>> clf = clf.fit(digits.X, digits.y, X_target=digits.X_target)
    >>> list(clf.alphas_)
    ['hidden1.1', 'hidden2.1']
    """

    alignment: ClassVar[str] = "entropy"
    layers: ClassVar[tuple[str, ...]] = ("logits",)
    batch_norm: ClassVar[str] = "domain"
    insert_after: tuple[str, ...] = ()
    trade_off: float = 0.1

    keyword_prefixes = ("module",)
    _parameter_constraints = {
        "insert_after": [tuple, list],
    }

    def make_backbone(self, training):
        backbone = super().make_backbone(training)
        _insert_batch_norms(backbone, self.insert_after, torch.zeros(2, *self.input_shape_))
        if not any(isinstance(part, _BatchNorm) for part in backbone.modules()):
            known = [path for path, _ in backbone.named_children()]
            raise ValueError(
                f"module: {type(backbone).__name__} has no batch norm to learn with; name the "
                "submodules after which to put one in insert_after, for example "
                f"insert_after={tuple(known[:2])!r}."
            )
        return backbone

    def make_module(self, training, **params):
        if training.dataset.targets and self.trade_off:
            params["batch_norm"] = DomainAlignmentNorm
        return super().make_module(training, **params)

    def net_params(self, training):
        params = super().net_params(training)
        # A decayed share would go to where all domains are alike.
        groups = [("backbone*.alpha", {"weight_decay": 0.0})]
        groups += self.params_for("optimizer").get("param_groups", [])
        return {**params, "optimizer__param_groups": groups}

    def finish_fit(self, training):
        super().finish_fit(training)
        net = self.net_
        own = set(net.module_.domain_batch_norms())
        self.alphas_ = {
            path: layer.get_share()
            for path, layer in net.module_.backbone.named_modules()
            if layer in own and isinstance(layer, DomainAlignmentNorm)
        }


def _insert_batch_norms(backbone, names, example):
    """Put a batch norm after every named submodule, in place."""
    if not names:
        return
    check_submodules(backbone, names, "insert_after")
    outputs = {}
    handles = record_activations(backbone, names, outputs)
    was_training = backbone.training
    with torch.no_grad():
        backbone.eval()(example)
    backbone.train(was_training)
    for handle in handles:
        handle.remove()
    kinds = {2: nn.BatchNorm1d, 4: nn.BatchNorm2d}
    # The innermost first: what is wrapped has another path.
    for name in sorted(set(names), key=lambda name: name.count("."), reverse=True):
        n_dimensions = getattr(outputs[name], "ndim", None)
        if n_dimensions not in kinds:
            given = type(outputs[name]).__name__
            if n_dimensions is not None:
                given = f"shape {tuple(outputs[name].shape)}"
            raise ValueError(
                f"insert_after: the output of {name!r} must have 2 dimensions, or 4, but it is of "
                f"{given}; choose another submodule."
            )
        norm = kinds[n_dimensions](outputs[name].shape[1])
        parent, _, child = name.rpartition(".")
        followed = nn.Sequential(backbone.get_submodule(name), norm)
        setattr(backbone.get_submodule(parent), child, followed)
