"""What every estimator has in common that adapts a network to a target domain."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar

from torch import nn

from skda._checks import as_array
from skda._sklearn_compat import Interval, StrOptions, fit_context
from skda.backbones import check_keywords, layer_names
from skda.domains import split_domains
from skda.estimators._alignments import AlignmentBuilder
from skda.estimators._deep import DeepEstimator
from skda.estimators._domain_checks import (
    check_alignment_list,
    check_sample_domain,
    names_of,
    warn_of_names,
    warn_of_no_target,
)
from skda.estimators._domain_methods import DomainMethodsMixin
from skda.estimators._keywords import AlignmentKeywords
from skda.estimators._scales import warn_of_scales
from skda.estimators._standardizing import StandardizingMixin
from skda.nn import ALIGNMENTS, WeightedAlignments
from skda.training import AdaptationModule, DomainDataset, Stage, Training

if TYPE_CHECKING:
    from typing_extensions import Self


class DeepAdaptationEstimator(
    DomainMethodsMixin, StandardizingMixin, AlignmentBuilder, DeepEstimator, AlignmentKeywords
):
    r"""Deep network that learns on a source domain and adapts to a target domain.

    See :class:`skda.base.DeepAdaptationClassifier`.

    Parameters
    ----------
    alignment : str, callable, torch.nn.Module or list of tuples, default="coral"
        What is to become small between the domains.

        - A name: one of :data:`skda.base.ALIGNMENTS`.
        - A function from source features of shape (n, n_features) and target features of shape
          (m, n_features) to a scalar tensor. One that needs all layers at once, labels or
          predictions is marked by :func:`skda.nn.joint`.
        - A module with such a ``forward``, whose parameters learn too. One with an attribute
          ``adversarial = True`` is an opponent: the features learn to make its loss large,
          through gradient reversal. A module *class* is built with the width of the layer.
          Modules are copied, one copy per layer.
        - A list of (alignment, layers, weight): the sum of several of them, each at layers of its
          own; `layers` is not used.

    layers : tuple of str, default=("features",)
        Where the domains are aligned: ``"features"`` (the output of the module), ``"logits"``, or
        paths of submodules of the module; the losses of several layers are added.

    trade_off : float, default=1.0
        Weight of the alignment. With 0 the network learns from the source alone, bit for bit as
        without target data, and `batch_norm` says by whose statistics it predicts: ``"domain"``
        by the target's, as :class:`skda.adaptation.AdaBNClassifier`; ``"shared"`` by the
        source's, which is training without any target. Small values come near to that.

    trade_off_schedule : {"constant", "progressive"} or callable, default="constant"
        Factor of `trade_off` as a function of training progress in [0, 1]: ``"progressive"``
        grows from 0 to 1, see :func:`skda.training.progressive`.

    batch_norm : {"domain", "shared"}, default="domain"
        Whether the module's batch norms keep statistics for every domain, the target's of which
        then serve predictions, or share statistics of a mixture of the domains. In the mixture the
        target has half of the share t / (1 + t), with t the trade-off of the step: what the
        source teaches does not depend on rows that nothing is aligned to, and with a strong
        alignment both domains count alike. Statistics of its own hide from the alignment how a
        domain differs in mean and variance, and with them in the frequencies of classes.

    standardize : {"auto", "source", "domain"} or None, default="auto"
        By whose moments columns of tables, or channels of images, are brought to zero mean and
        unit variance: ``"source"`` by the source's in all domains, ``"domain"`` by each domain's
        own, which takes other frequencies of classes for a shift. ``"auto"`` is ``"source"`` for
        tables in mixed units, unless the module comes with weights, and None for all else: units
        are mixed if the widest range of a column is over 250 times the tenth percentile of them.

    target_shares : "estimate", array-like, dict, callable or None, default=None
        Shares of the classes among the target rows, by which source rows are drawn: what the
        alignment and the batch norms compare then no longer differs in its classes. The
        classification loss is that of these shares too, so that ``predict_proba`` gives posteriors
        for rows with them, of whichever domain, and those of a class that the target lacks take no
        part. None draws the source as it is, and all is meant for its own shares.

        - Numbers of shape (n_classes,) in the order of ``classes_``, or a dict by label, in which a
          missing class has none. Of several targets, an array of shape (n_targets, n_classes), a
          list of dicts, or one entry for all; rows are drawn by their mean, by rows of a batch.
        - A function ``f(target_probabilities, source_shares)`` that returns the shares of one
          target, as above, from the probabilities of its rows, of shape (n_samples, n_classes), and
          the shares of the last epoch. It is asked before every epoch but the first, and taken at
          its word: without calibration and damping classes can vanish.
        - ``"estimate"``: from 10 to 90 % of `max_epochs` shares follow the predictions: half as far
          from the source's, all the way if two estimates from rows held out early show a shift, and
          to these if nothing but the shares differs (``target_shares_evidence`` in the history:
          "none", "shift", "exact"). They stay in later calls of partial_fit; one epoch has none.

    head_lr_multiplier : float or "auto", default="auto"
        How much faster the head and the alignment learn than the module. ``"auto"`` is 10 for a
        module that comes with weights (a named network, a file, an instance, a fitted estimator),
        and 1 for others.

    max_epochs : int, default=40
        Number of epochs. An epoch goes once through the larger domain; through the source with a
        `trade_off` of 0.

    batch_size : int, default=64
        Source rows, and as many target rows, of a training step; at least 2.

    early_stopping : bool or scorer, default=False
        Whether to hold out source rows, and to stop when their loss no longer falls; the best
        weights are kept. No target label is involved; with a growing trade-off the best source
        loss may come before the adaptation. A scorer of :mod:`skda.model_selection`, such as
        :class:`skda.model_selection.InformationMaximizationScorer`, or a callable like one, scores
        the target rows of training after every epoch instead: training stops when
        ``target_score``, in the history, no longer rises. No rows need be held out for it; those
        of `validation_fraction` reach it with their labels, for the scorers that use them.

    validation_fraction : float, default=None
        Share of the source rows that is held out to report ``valid_loss`` and
        ``valid_accuracy``; None is 0.1 with early stopping and no hold-out without.

    **prefixed_params : keywords
        ``module__*``, ``optimizer__*``, ``alignment__*``, ``criterion__*`` (of
        :class:`torch.nn.CrossEntropyLoss`), ``callbacks__*``, ``iterator_train__*``
        (of :class:`skda.training.PairedBatches`), ``iterator_valid__*`` and ``compile__*``.

    Attributes
    ----------
    history_ : skorch.history.History
        One entry per epoch, with ``train_loss``, ``classification_loss``, ``alignment_loss``,
        ``trade_off`` and the ``valid_*`` figures: ``history_[:, "train_loss"]``. With
        `target_shares` also these, as lists, and held-out rows are weighted by them.

    standardize_ : {"source", "domain"} or None
        What ``standardize="auto"`` came to; `standardize` otherwise.

    target_shares_ : ndarray of shape (n_classes,) or (n_targets, n_classes)
        Shares that the network was trained for, with `target_shares` alone.
    """

    alignment: str | Callable | list = "coral"
    layers: tuple[str, ...] = ("features",)
    trade_off: float = 1.0
    trade_off_schedule: str | Callable = "constant"
    batch_norm: str = "domain"
    standardize: str | None = "auto"
    target_shares: Any = None

    keyword_prefixes: ClassVar[tuple[str, ...]] = ("module", "alignment")

    _parameter_constraints = {
        "alignment": [StrOptions(set(ALIGNMENTS)), callable, list],
        "layers": [tuple, list],
        "trade_off": [Interval(Real, 0, None, closed="left")],
        "trade_off_schedule": [StrOptions({"constant", "progressive"}), callable],
        "batch_norm": [StrOptions({"domain", "shared"})],
        "standardize": [StrOptions({"auto", "source", "domain"}), None],
        "target_shares": [StrOptions({"estimate"}), "array-like", Mapping, callable, None],
    }

    # In a Pipeline or a search the target reaches fit without a set_fit_request.
    __metadata_request__fit = {
        "X_target": True,
        "y_target": True,
        "sample_domain": True,
        "resume": True,
    }

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: Any,
        *,
        X_target: Any = None,
        y_target: Any = None,
        sample_domain: Any = None,
        sample_weight: Any = None,
        resume: bool | str = False,
    ) -> "Self":
        """Train on labelled source rows and adapt to unlabeled target rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or images
            Source rows: tables, dense or sparse (dense a batch at a time); images as floats of
            shape (n_samples, n_channels, height, width), uint8 of shape (n_samples, height,
            width, n_channels), other arrays as `image_layout` says, or a list, Series or column
            of PIL images, paths or encoded images; series of shape (n_samples, n_channels,
            length); texts, token ids, and dicts of arrays; map-style data sets and loaders of
            torch or Hugging Face with any of these.

        y : array-like of shape (n_samples,)
            Labels of any type. None takes those that a data set holds.

        X_target : array-like, or tuple or list of array-likes, default=None
            Unlabeled target rows, of a data set without its labels; a tuple or list for several
            target domains. In a cross-validation always pass a tuple: an array with as many rows
            as X would be cut into folds.

        y_target : array-like or tuple of array-likes, default=None
            The labels of a few target rows, -1, None or NaN elsewhere. Labelled target rows
            take part in the classification loss.

        sample_domain : array-like of shape (n_samples,), default=None
            The alternative to `X_target`: X and y hold rows of both domains, positive numbers
            mark source rows, negative ones target rows, whose labels are ignored. Better NaN or
            None than a number, which a meta-estimator takes for a class.

        sample_weight : array-like of shape (n_samples,), default=None
            How much every row counts in the classification loss, times the weight of its class
            (`class_weight`); 0 or more, in any unit. With `sample_domain` those of target rows
            are ignored. A labelled row of the target counts as much as the source row of mean
            weight. Held-out rows keep their weights in ``valid_loss`` and ``valid_accuracy``. A
            row of weight 0 does not change the loss, but stays in batches, in the statistics of
            batch norms and in the alignment, which knows no weights.

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
            If data or parameters are not as described, or with `resume` not those of the training
            that is to go on; if all target rows of `sample_domain` have one label that no source
            row has, the mark of a class that a meta-estimator has made.

        TypeError
            If X can hold no rows, if a parameter does not exist, or with `checkpoint` if a
            callback keeps what cannot be stored.

        KeyboardInterrupt
            If training is interrupted; see `on_interrupt`.

        skda.exceptions.DivergenceError
            If a loss, a parameter or a statistic is not finite; see `on_divergence`.

        Warns
        -----
        skda.exceptions.NoTargetWarning
            If there are no target rows.

        skda.exceptions.DomainScaleWarning
            If only one of the domains seems to have been scaled or otherwise transformed. With
            ``standardize="domain"`` only norms of rows are looked at.

        skda.exceptions.IncompleteFitWarning
            If training was cut and `on_interrupt` or `on_divergence` say that fit returns.

        skda.exceptions.StackedLabelWarning
            If all target rows of `sample_domain` have one label that a meta-estimator would take
            for a class.
        """
        with self._all_or_nothing():
            cut = self._fit(X, y, X_target, y_target, sample_domain, sample_weight, resume)
        self._answer(cut)
        return self

    # In a Pipeline the target reaches partial_fit too.
    __metadata_request__partial_fit = {
        "classes": True,
        "X_target": True,
        "y_target": True,
        "sample_domain": True,
    }

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: Any,
        y: Any,
        classes: Any = None,
        *,
        X_target: Any = None,
        y_target: Any = None,
        sample_domain: Any = None,
        sample_weight: Any = None,
    ) -> "Self":
        """Train for one epoch on these rows, going on from where training was.

        Optimisers, schedules, the order of rows and random numbers go on from call to call, and
        after fit. Progress counts the steps of all calls over `max_epochs` epochs such as the
        first one, and stays at its end: with one stage of training `max_epochs` calls with the
        same rows are one fit, bit by bit. With several stages a call goes on with the one that
        training is in, and what is computed in one go, such as the statistics of AdaBN, comes
        after every epoch; a network that does not predict yet, such as one that learns to
        denoise, is not fitted. No row is held out, and checkpoints are written by fit alone.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or images as in fit
            Source rows.

        y : array-like of shape (n_samples,)
            Labels.

        classes : array-like of shape (n_classes,), default=None
            All labels that will come. Needed in the first call, unless fit came before.

        X_target, y_target, sample_domain : as in fit, default=None
            Target rows, which may be others than before, and of another number of domains: their
            statistics begin with those of the source then. Without, the network learns from the
            source alone. The first call must have some if a later one has; what is standardised
            is so by its moments.

        sample_weight : as in fit, default=None
            In units of the mean of the rows of this call.

        Returns
        -------
        self : object
            This estimator.

        Raises
        ------
        ValueError
            If `classes` is missing or changes, if y holds another label, if target rows come too
            late, with ``early_stopping=True``, or with ``class_weight="balanced"``, for which all
            rows must be known.
        """
        self._check_goes_on()
        y = as_array(self._labels_of(X, y), "y")
        check_sample_domain(sample_domain, y_target)
        row_weights = self._source_weights(sample_weight, sample_domain)
        X, y, targets = split_domains(X, y, X_target, sample_domain)
        if not targets and not self._has_begun():
            warn_of_no_target(self)
        with self._all_or_nothing():
            self._go_on(X, y, classes, targets, names_of(targets), y_target, weights=row_weights)
        return self

    def _fit(self, X, y, X_target, y_target, sample_domain, sample_weight, resume):
        self._check_param_names()
        check_alignment_list(self.alignment)
        check_sample_domain(sample_domain, y_target)
        y = as_array(self._labels_of(X, y), "y")
        row_weights = self._source_weights(sample_weight, sample_domain)
        X, y, targets = split_domains(X, y, X_target, sample_domain)
        start = self._start(resume)
        names = names_of(targets)
        for rows, name in zip(targets, names, strict=True):
            warn_of_names(X, rows, name)
        X = self._validate_X(X, reset=True)
        codes, target_labels = self._encode_labels(self._kept_labels(y), X), None
        if y_target is not None:
            target_labels = self._task.encode_target(y_target, targets)
            codes = self._task.recode(codes)
            vars(self).update(self._task.fitted_attributes())
        targets = tuple(
            self._validate_target(rows, X, name) for rows, name in zip(targets, names, strict=True)
        )
        self._look_at_source(X, start["resolver"])
        self._check_scales(self._source_look, targets, names)
        if target_labels is not None:
            target_labels = tuple(map(self._kept_labels, target_labels, names))
        if not targets:
            warn_of_no_target(self)
        row_weights = self._weights_of(row_weights, codes, target_labels)
        dataset = DomainDataset(X, codes, targets, target_labels, weights=row_weights)
        return self._train(dataset, start)

    def _check_scales(self, source_look, targets, names):
        """Warn of a target that is on another scale than the source."""
        standardized = self._standardization_kind() == "domain"
        warn_of_scales(source_look, targets, names, standardized=standardized)

    # -- hooks, as skda.base documents them ---------------------------------------------------

    def finish_fit(self, training: Training) -> None:
        """Keep what was trained, and the class shares that it was trained for."""
        super().finish_fit(training)
        vars(self).pop("target_shares_", None)  # of an earlier fit
        if self.target_shares is not None:
            self.target_shares_ = training.net.target_shares_

    def name_layers(self, training: Training) -> Sequence[str]:
        """Return the names of the layers that are aligned."""
        if not isinstance(self.alignment, list):
            return self.layers
        return list(dict.fromkeys(layer for _, layers, _ in self.alignment for layer in layers))

    def make_module(self, training: Training, **params: Any) -> AdaptationModule:
        """Return the network with its head, and what it needs to tell domains apart."""
        dataset = training.dataset
        params = {"n_targets": len(dataset.targets), "batch_norm": self.batch_norm, **params}
        if (moments := self._moments(dataset)) is not None:
            params = {"moments": moments, **params}
        return super().make_module(training, **params)

    def net_params(self, training: Training) -> dict[str, Any]:
        """Return the alignment and its weight."""
        aligned = training.dataset.targets and self.trade_off
        alignment = self.make_alignment(training.layers, training.widths) if aligned else None
        return {
            "alignment": alignment,
            "trade_off": self.trade_off,
            "trade_off_schedule": self.trade_off_schedule,
        }

    def make_alignment(self, layers: tuple[str, ...], widths: dict[str, int]) -> nn.Module:
        """Return the module that compares the activations of the domains."""
        if not isinstance(self.alignment, list):
            return self._align(self.alignment, layers, widths)
        if keywords := self.params_for("alignment"):
            raise TypeError(
                f"alignment__{min(keywords)}: alignment is a list, whose entries take no keywords; "
                "use functools.partial on an entry."
            )
        paths = layer_names(self.module)
        parts = [
            self._align(part, [paths.get(layer, layer) for layer in layers], widths)
            for part, layers, _ in self.alignment
        ]
        return WeightedAlignments(parts, [weight for _, _, weight in self.alignment])

    def make_loss(
        self, alignment: Any, layers: tuple[str, ...], widths: dict[str, int]
    ) -> Callable:
        """Return the loss of these layers, with a module built or copied and keywords in place."""
        if isinstance(alignment, nn.Module) or inspect.isclass(alignment):
            is_joint = getattr(alignment, "joint", False)
            sizes = (layers, widths) if is_joint else (widths[layers[0]],)
            return self.make_part("alignment", alignment, *sizes)
        keywords = self.params_for("alignment")
        check_keywords("alignment", alignment, keywords)
        return partial(alignment, **keywords) if keywords else alignment

    def make_stages(self, training: Training) -> list[Stage]:
        """Return one stage, of pairs of source and target rows where the target is of use."""
        needs_target = self.trade_off != 0 or training.dataset.target_labels is not None
        batches = "paired" if needs_target else "source"
        return [Stage(name="adapt", batches=batches, make_net=self.build_net)]
