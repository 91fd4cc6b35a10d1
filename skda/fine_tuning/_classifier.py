"""Training that goes on from the weights of another task."""

from dataclasses import replace
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar

from torch import nn

from skda._checks import as_array
from skda._sklearn_compat import Interval, fit_context
from skda.backbones import list_blocks
from skda.estimators import CLASS_WEIGHTS, ClassificationMixin, DeepEstimator, frozen_blocks
from skda.fine_tuning._net import FineTuningNet
from skda.training import DomainDataset, Stage, Training

if TYPE_CHECKING:
    from typing_extensions import Self


class FineTuneClassifier(ClassificationMixin, DeepEstimator):
    r"""Classifier that goes on training a network, all of it or the part that is not frozen.

    A linear head F is put on a backbone G, and what is not frozen learns from ::

        loss = cross_entropy(F(G(x)), y)

    With a backbone that was trained on another task this is fine-tuning, the usual transfer
    learning. Of its blocks the first `n_transfer` keep their weights, and of these the first
    `n_frozen` never change. Low blocks are general; higher ones are specific to their task, and
    were trained together: cutting between two that depend on each other costs accuracy unless
    both go on learning [1]_. Without a pretrained backbone this is an ordinary deep network,
    trained on one domain.

    Frozen blocks are bit-identical after training, statistics of batch norms included, their
    dropouts are off, and the optimiser does not know them. With ``freeze="all"`` the head is a
    linear probe of the features.

    Parameters
    ----------
    n_transfer : int, default=None
        How many of the module's leading blocks keep their weights; the others get new random
        ones. None keeps all. With 0 the network is trained from scratch.

    unfreeze_every : int, default=None
        Gradual unfreezing [2]_: after so many epochs the last frozen block begins to learn, after
        as many more the one below it, and so on. None keeps frozen what is frozen.

    layer_decay : float, default=1.0
        Every transferred block learns by this factor slower than what is above it, the last one
        than the head would without its own multiplier; in [0, 1].

    head_lr_multiplier : float or "auto", default="auto"
        How much faster the head and the blocks with new weights learn than the others. ``"auto"``
        is 10 for a module that comes with weights (a named network, a file, an instance, a
        fitted estimator) and keeps some of them, and 1 for others.

    class_weight : {"balanced"}, dict or None, default=None
        How much the rows of every class count in the loss, times their `sample_weight`; a dict
        by class, with 1 for those that it lacks. ``"balanced"`` lets all classes count the same:
        n_samples / (n_classes * n_samples of the class), where rows are counted by
        `sample_weight`. The head begins with the shares of classes that these weights make.

    **prefixed_params : keywords
        ``module__*``, ``optimizer__*``, ``criterion__*`` (of
        :class:`torch.nn.CrossEntropyLoss`, as in ``criterion__label_smoothing=0.1``),
        ``callbacks__*``, ``iterator_train__*`` (of :class:`skda.training.PairedBatches`),
        ``iterator_valid__*`` and ``compile__*``.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes.

    history_ : skorch.history.History
        One entry per epoch, with ``train_loss`` and the ``valid_*`` figures:
        ``history_[:, "train_loss"]``.

    net_ : skda.fine_tuning.FineTuningNet
        The trained net.

    See Also
    --------
    skda.feature_extraction.DeepFeatureExtractor : Features without training, also of a fitted
        FineTuneClassifier as its `module`.
    skda.base.DeepAdaptationClassifier : Adapts to an unlabeled target domain; a fitted
        FineTuneClassifier can be its `module`.
    skda.backbones.list_blocks : The blocks of a network.
    transferability_curve : Accuracy by the number of transferred blocks.

    References
    ----------
    .. [1] J. Yosinski, J. Clune, Y. Bengio, H. Lipson. How transferable are features in deep
       neural networks? NIPS 2014.

    .. [2] J. Howard, S. Ruder. Universal Language Model Fine-tuning for Text Classification.
       ACL 2018, section 3.3.

    Examples
    --------
    A network learns the digits of one scanner, and its last layers those of another scanner from
    a few examples. A pretrained one is ``module="timm/mobilenetv2_100"``.

    >>> from skda.datasets import load_shifted_digits
    >>> from skda.fine_tuning import FineTuneClassifier
    >>> digits = load_shifted_digits(random_state=0)
    >>> old = FineTuneClassifier(max_epochs=20, random_state=0).fit(digits.X, digits.y)
    >>> new = FineTuneClassifier(module=old, n_frozen=1, max_epochs=20, random_state=0)
    >>> new = new.fit(digits.X_target[:100], digits.y_target[:100])
    >>> X_test, y_test = digits.X_target[100:], digits.y_target[100:]
    >>> new.score(X_test, y_test) > old.score(X_test, y_test)
    True
    """

    n_transfer: int | None = None
    unfreeze_every: int | None = None
    layer_decay: float = 1.0
    class_weight: str | dict | None = None

    net_class = FineTuningNet

    idle_hooks: ClassVar[tuple[str, ...]] = ("make_alignment", "make_loss")

    _parameter_constraints = {
        "n_transfer": [Interval(Integral, 0, None, closed="left"), None],
        "unfreeze_every": [Interval(Integral, 1, None, closed="left"), None],
        "layer_decay": [Interval(Real, 0, 1, closed="both")],
        "class_weight": CLASS_WEIGHTS,
    }

    # In a Pipeline or a search it reaches fit without a set_fit_request.
    __metadata_request__fit = {"resume": True}

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: Any, y: Any, *, sample_weight: Any = None, resume: bool | str = False
    ) -> "Self":
        """Train on labelled rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or images
            Rows of any kind that :meth:`skda.base.DeepAdaptationClassifier.fit` takes.

        y : array-like of shape (n_samples,)
            Labels of any type. None takes those that a data set holds.

        sample_weight : array-like of shape (n_samples,), default=None
            How much every row counts in the loss, times the weight of its class
            (`class_weight`); 0 or more, in any unit. Held-out rows keep their weights in
            ``valid_loss`` and ``valid_accuracy``. A row of weight 0 does not change the loss, but
            stays in batches and in the statistics of batch norms.

        resume : bool or "auto", default=False
            Whether to go on with the training whose checkpoints are in the folder `checkpoint`,
            from the end of the last epoch that it holds; a training that was over is taken from
            there. ``"auto"`` begins one if there is none. Rows, labels and parameters must be
            those with which it began; with a `random_state` of None its seeds are taken over.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If data or parameters are not as described.

        TypeError
            If X can hold no rows, or if a parameter does not exist.
        """
        self._check_param_names()
        y = as_array(self._labels_of(X, y), "y")
        with self._all_or_nothing():
            row_weights, start = self._source_weights(sample_weight), self._start(resume)
            X = self._validate_X(X, reset=True)
            codes = self._encode_labels(self._kept_labels(y), X)
            dataset = DomainDataset(X, codes, weights=self._weights_of(row_weights, codes))
            cut = self._train(dataset, start)
        self._answer(cut)
        return self

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, *, sample_weight: Any = None
    ) -> "Self":
        """Train for one epoch on these rows, going on from where training was.

        The learning rate stays at `lr`, and no row is held out. Optimisers, the order of rows and
        random numbers go on from call to call; blocks are unfrozen by the epochs of all calls.
        Checkpoints are written by fit alone.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or images as in fit
            Rows.

        y : array-like of shape (n_samples,)
            Labels.

        classes : array-like of shape (n_classes,), default=None
            All labels that will come. Needed in the first call, unless fit came before.

        sample_weight : array-like of shape (n_samples,), default=None
            As in fit, in units of the mean of the rows of this call.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If `classes` is missing or changes, if y holds another label, with
            ``early_stopping=True``, or with ``class_weight="balanced"``, for which all rows must
            be known.
        """
        self._check_goes_on()
        with self._all_or_nothing():
            row_weights = self._source_weights(sample_weight)
            y = self._labels_of(X, y)
            self._go_on(X, y, classes, weights=row_weights, lr_schedule="constant")
        return self

    def make_backbone(self, training: Training) -> nn.Module:
        """Return the network, with new weights in the blocks that are not transferred."""
        backbone = super().make_backbone(training)
        if self.n_transfer is None:
            return backbone
        blocks = list_blocks(backbone)
        if self.n_transfer > len(blocks):
            raise ValueError(
                f"n_transfer={self.n_transfer}, but {type(backbone).__name__} has {len(blocks)} "
                "blocks; skda.backbones.list_blocks lists them."
            )
        if training.resolver.has_weights:  # otherwise all weights are new and random anyway
            for block in blocks[self.n_transfer :]:
                block.reset_parameters(backbone)
        return backbone

    def net_params(self, training: Training) -> dict[str, Any]:
        """Return what is transferred and how fast it learns."""
        params = {
            "n_transfer": self.n_transfer,
            "layer_decay": self.layer_decay,
        }
        if self.n_transfer == 0 and self.head_lr_multiplier == "auto":
            params["head_lr_multiplier"] = 1.0
        return params

    def make_stages(self, training: Training) -> list[Stage]:
        """Return one stage for every block that is unfrozen, if blocks are unfrozen by and by."""
        (stage,) = super().make_stages(training)
        if self.unfreeze_every is None:
            return [stage]
        frozen = frozen_blocks(training.backbone, self.n_frozen, self.freeze)
        stages = [stage]
        for block in reversed(frozen):
            learns = (*stages[-1].learns, block.name)
            stages.append(Stage(name=f"unfreeze {block.name}", learns=learns, batches="source"))
        return [
            *(replace(stage, max_epochs=self.unfreeze_every) for stage in stages[:-1]),
            stages[-1],
        ]
