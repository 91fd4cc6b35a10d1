"""DAN on an encoder that has learned to denoise the rows of both domains."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from numbers import Integral, Real
from typing import ClassVar

import torch
from torch import nn

from skda._sklearn_compat import Interval
from skda.adaptation.reconstruction._denoising import DenoisingNet
from skda.backbones import list_blocks
from skda.base import DeepAdaptationClassifier
from skda.estimators import example_rows, frozen_blocks
from skda.training import AdaptationModule, DomainDataset, Stage


class SDAEClassifier(DeepAdaptationClassifier):
    r"""Stacked denoising auto-encoder whose codes are aligned, then trained as a classifier.

    Two stages [1]_. In the first, without labels and block by block, a block E of the module and
    a linear decoder D learn to undo a masking of their inputs, of both domains, while the codes
    of the domains become alike::

        min_{E, D}  reconstruction_error(D(E(mask(x))), x)
                    + pretrain_trade_off * MMD^2(E(mask(x_s)), E(mask(x_t)))

    where the inputs of a block are the codes of the block before it. In the second, the stack of
    encoders G and a linear head F are trained as a deep adaptation network::

        min_{F, G}  CE(F(G(x_s)), y) + trade_off * sum_l MMD^2(source_l, target_l)

    Unlike [1]_, discrepancies are estimated over all pairs of a batch instead of in linear time,
    and with kernels of equal weights; that of the first stage is of the codes of masked rows, and
    its error a share of the variance of the inputs, see :func:`skda.losses.reconstruction_error`.
    Units are rectified linear and batch-normalised; of the second stage only the logits are
    aligned, with a weight that grows. Both stages share optimiser, learning rate and batch size;
    callbacks see the second.

    Of tables with few rows for their many columns, such as counts of words, the second stage learns
    the source by heart: there try ``early_stopping=True`` and ``module__dropout=0.8``. On small
    images like those of :func:`skda.datasets.load_shifted_digits` they cost accuracy.

    Parameters
    ----------
    layers : tuple of str, default=("logits",)
        Where the domains are aligned in the second stage: ``"features"`` (the output of the
        module), ``"logits"``, or paths of submodules of the module; the losses of several layers
        are added.

    trade_off : float, default=1.0
        Weight of the alignment in the second stage. With 0 it trains on the source alone, from
        weights that the first stage found on both domains.

    trade_off_schedule : {"progressive", "constant"} or callable, default="progressive"
        Factor of `trade_off` as a function of training progress in [0, 1]: ``"progressive"``
        grows from 0 to 1, see :func:`skda.training.progressive`.

    batch_norm : {"shared", "domain"}, default="shared"
        Whether the module's batch norms share statistics, in which the target counts as it is
        aligned, or keep some for every domain, the target's of which then serve predictions; see
        :class:`DANClassifier`.

    pretrain_epochs : int, default=10
        Number of epochs of the first stage, for every block; 0 leaves it out.

    pretrain_trade_off : float, default=1.0
        Weight of the discrepancy in the first stage; with 0 that is a plain stacked denoising
        auto-encoder on the rows of both domains.

    corruption : float, default=0.5
        Probability that an input of a block is set to zero, in [0, 1).

    **prefixed_params : keywords
        ``module__*``, ``optimizer__*``, ``alignment__*`` (of :func:`skda.losses.mmd`),
        ``criterion__*`` (of :class:`torch.nn.CrossEntropyLoss`), ``callbacks__*``,
        ``iterator_train__*`` (of :class:`skda.training.PairedBatches`), ``iterator_valid__*``
        and ``compile__*``.

    Attributes
    ----------
    pretrain_history_ : list of skorch.history.History
        Of the first stage, one per block that learned: every epoch has ``train_loss``,
        ``reconstruction_loss`` and ``alignment_loss``.

    See Also
    --------
    DANClassifier : The second stage alone.
    DNFC : Denoising layers in closed form.

    References
    ----------
    .. [1] M. Long, J. Wang, Y. Cao, J. Sun, P. S. Yu. Deep Learning of Transferable
       Representation for Scalable Domain Adaptation. IEEE TKDE 28(8), 2016.

    Examples
    --------
    >>> from skda.adaptation import SDAEClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> digits = load_shifted_digits(random_state=0)
    >>> clf = SDAEClassifier(max_epochs=10, pretrain_epochs=5, random_state=0)
    >>> clf = clf.fit(digits.X, digits.y, X_target=digits.X_target)
    >>> losses = clf.pretrain_history_[0][:, "reconstruction_loss"]
    >>> losses[-1] < losses[0]
    True
    """

    alignment: ClassVar[str] = "mmd"
    row_kinds = ("table", "image", "series")
    layers: tuple[str, ...] = ("logits",)
    trade_off_schedule: str | Callable = "progressive"
    batch_norm: str = "shared"
    pretrain_epochs: int = 10
    pretrain_trade_off: float = 1.0
    corruption: float = 0.5

    _parameter_constraints = {
        "pretrain_epochs": [Interval(Integral, 0, None, closed="left")],
        "pretrain_trade_off": [Interval(Real, 0, None, closed="left")],
        "corruption": [Interval(Real, 0, 1, closed="left")],
    }

    def make_stages(self, training):
        backbone = training.backbone
        blocks = list_blocks(backbone) if self.pretrain_epochs else []
        layers = [nn.Sequential(*block.get_modules(backbone)) for block in blocks]
        if blocks:
            _check_chain(backbone, layers, example_rows(training.dataset))
        frozen = frozen_blocks(backbone, self.n_frozen, self.freeze)
        fixed = {p for block in frozen for p in block.get_parameters(backbone)}
        pretraining = [
            Stage(
                name=f"denoise {block.name}",
                max_epochs=self.pretrain_epochs * fixed.isdisjoint(block.get_parameters(backbone)),
                make_dataset=self._codes,
                make_net=partial(self._build_denoising_net, layer),
                reseed=False,
            )
            for block, layer in zip(blocks, layers, strict=True)
        ]
        *_, last = super().make_stages(training)
        return [*pretraining, replace(last, make_dataset=_all_rows)]

    def finish_fit(self, training):
        super().finish_fit(training)
        self.pretrain_history_ = [
            history for name, history in training.histories.items() if name.startswith("denoise ")
        ]

    def _codes(self, training):
        """Return the inputs of a block: rows, or codes of the block before it."""
        if training.net is not None:
            return training.net.encode(training.rows)
        # Labels of the target are no part of this stage.
        dataset = training.dataset
        rows = DomainDataset(dataset.X, dataset.y, dataset.targets)
        moments = self._moments(dataset)
        if moments is None:
            return rows
        training.rows = rows
        net = self._build_denoising_net(nn.Identity(), training, moments=moments)
        return net.initialize().encode(rows)

    def _build_denoising_net(self, encoder, training, moments=None):
        """Return a net that learns to encode and decode the rows of the stage."""
        dataset, rows = training.rows, example_rows(training.rows)
        with torch.no_grad():
            width = encoder.eval()(rows).flatten(1).shape[1]
        last = nn.Linear(width, rows.flatten(1).shape[1])
        # Random decodings of many or small inputs are worse than none, and slow to unlearn.
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        module = AdaptationModule(
            encoder,
            nn.Sequential(nn.Flatten(), last),
            n_targets=len(dataset.targets),
            batch_norm=self.batch_norm,
            moments=moments,
        )
        alignment = None
        if dataset.targets and self.pretrain_trade_off:
            alignment = self.make_alignment(("features",), {"features": width})
        optimizer_params = self.params_for("optimizer")
        return DenoisingNet(
            module,
            corruption=self.corruption,
            alignment=alignment,
            trade_off=self.pretrain_trade_off,
            lr_schedule=self.lr_schedule,
            precision=self.precision,
            optimizer=self._optimizer_class(),
            lr=self.lr,
            max_epochs=self.pretrain_epochs,
            batch_size=self.batch_size,
            gradient_accumulation_steps=self.gradient_accumulation_steps,
            iterator_train__random_state=training.seeds.order,
            device=training.device,
            verbose=self.verbose,
            **{f"optimizer__{name}": value for name, value in optimizer_params.items()},
        )


def _all_rows(training):
    return training.dataset


def _check_chain(backbone, layers, rows):
    """Raise unless the output of every block is the input of the next."""
    backbone.eval()
    try:
        with torch.no_grad():
            outputs = nn.Sequential(*layers)(rows), backbone(rows)
            is_chain = torch.allclose(*outputs, atol=1e-4, equal_nan=True)
    except (RuntimeError, TypeError, ValueError):
        is_chain = False
    finally:
        backbone.train()
    if not is_chain:
        raise ValueError(
            f"module: {type(backbone).__name__} is no chain of blocks (see "
            "skda.backbones.list_blocks), of which every one could be trained on the codes of the "
            "one before it; pass one, such as skda.nn.MLP or another torch.nn.Sequential, or "
            "pretrain_epochs=0."
        )
