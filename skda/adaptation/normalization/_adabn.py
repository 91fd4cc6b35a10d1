"""AdaBN: a network keeps its weights and takes the target's statistics."""

from typing import TYPE_CHECKING, Any, ClassVar

from sklearn.utils.validation import check_is_fitted
from torch.nn.modules.batchnorm import _BatchNorm

from skda.base import DeepAdaptationClassifier
from skda.domains import as_target_tuple, name_of
from skda.training import Stage

if TYPE_CHECKING:
    from typing_extensions import Self


class AdaBNClassifier(DeepAdaptationClassifier):
    r"""Adaptive batch normalisation.

    The network learns on the source alone. Then the statistics of its batch norms, and nothing
    else, are replaced by those of the target [1]_. For channel j of every batch norm ::

        z_j = gamma_j * (x_j - mean_j(target)) / sqrt(var_j(target) + eps) + beta_j

    with the gamma and beta that the source has taught. Mean and variance are exact: population
    moments (the variance divides by the number of rows) over all target rows, measured layer by
    layer while the layers below are adapted already and dropout is off. They depend neither on
    the order of the rows nor on any batch size. A target of up to 1024 rows takes one forward (of
    fewer, if rows have more than 16384 values); a larger one, which is read in n batches, takes
    about n forwards for every batch norm. ``iterator_valid__batch_size`` changes the limit.

    :meth:`adapt` does the second step alone, for a model that is in use already. The batch norms
    of frozen blocks adapt too, and with ``standardize="domain"`` the inputs: these are brought to
    zero mean and unit variance by the target's own moments.

    Several targets have statistics of their own each; a prediction, which does not know from
    which of them a row comes, uses those of their mixture in equal parts.

    Parameters
    ----------
    max_epochs : int, default=40
        Number of epochs through the source.

    batch_size : int, default=64
        Rows of a training step; at least 2.

    **prefixed_params : keywords
        ``module__*``, ``optimizer__*``, ``criterion__*`` (of
        :class:`torch.nn.CrossEntropyLoss`), ``callbacks__*``, ``iterator_train__*``
        (of :class:`skda.training.PairedBatches`), ``iterator_valid__*`` and ``compile__*``.

    See Also
    --------
    AutoDIALClassifier : Learns how much of the statistics the domains share.
    skda.nn.DomainBatchNorm : The layer.

    References
    ----------
    .. [1] Y. Li, N. Wang, J. Shi, X. Hou, J. Liu. Adaptive Batch Normalization for practical
       domain adaptation. Pattern Recognition 80, 2018, section 3.

    Examples
    --------
    >>> from skda.adaptation import AdaBNClassifier
    >>> from skda.datasets import load_shifted_digits
    >>> digits = load_shifted_digits(random_state=0)
    >>> clf = AdaBNClassifier(max_epochs=10, random_state=0)
    >>> clf = clf.fit(digits.X, digits.y, X_target=digits.X)
    >>> fainter = 0.3 * digits.X + 0.25
    >>> clf.score(fainter, digits.y) < 0.7
    True
    >>> clf.adapt(fainter).score(fainter, digits.y) > 0.95
    True
    """

    alignment: ClassVar[None] = None
    layers: ClassVar[tuple[str, ...]] = ("features",)
    idle_hooks: ClassVar[tuple[str, ...]] = ("make_alignment", "make_loss")
    trade_off: ClassVar[float] = 0.0
    trade_off_schedule: ClassVar[str] = "constant"
    batch_norm: ClassVar[str] = "domain"

    keyword_prefixes = ("module",)

    def adapt(self, X_target: Any) -> "Self":
        """Replace the statistics of the target by those of other rows; no weight changes.

        Works as well on a model that was fitted without a target, or that comes from a file.

        Parameters
        ----------
        X_target : array-like or tuple of array-likes
            Unlabeled target rows, in any form that fit takes; a tuple for several target domains.

        Returns
        -------
        self : object
            This estimator.

        Raises
        ------
        ValueError
            If there are no rows, or if they are not of the form of those that fit was given.

        skda.exceptions.DivergenceError
            If the statistics of these rows are not finite; those from before stay.
        """
        check_is_fitted(self)
        if X_target is None:
            raise ValueError("X_target is None; adapt needs unlabeled rows of the target domain.")
        targets = as_target_tuple(X_target)
        names = [name_of("X_target", number, targets) for number in range(len(targets))]
        rows = list(map(self._validate_new_target, targets, names))
        # Of an earlier version nothing is known of the source.
        self._check_scales(vars(self).get("_source_look"), rows, names)
        self._adapt(self.net_, rows)
        return self

    def _validate_new_target(self, rows, name):
        try:
            return self._validate_X(rows, reset=False)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error

    def make_backbone(self, training):
        backbone = super().make_backbone(training)
        if not any(isinstance(part, _BatchNorm) for part in backbone.modules()):
            raise ValueError(
                f"module: {type(backbone).__name__} has no batch norm, and nothing else adapts; "
                "give a module that has some, or use "
                "skda.adaptation.AutoDIALClassifier(insert_after=...), which inserts them."
            )
        return backbone

    def make_stages(self, training):
        dataset = training.dataset
        if dataset.target_labels is not None:
            raise ValueError(
                "y_target was given, but AdaBN learns from the labels of the source alone; leave "
                "it out, or stack the labelled target rows into X and y."
            )
        if callable(self.target_shares) or isinstance(self.target_shares, str):
            raise ValueError(
                f"target_shares={self.target_shares!r} asks for the shares of a target that AdaBN "
                "sees after training alone; give them as numbers, or leave it at None."
            )
        # The network learns as if there were no target, with plain batch norms.
        training.dataset = training.rows = dataset.without_targets()
        stages = [Stage(name="source", batches="source", make_net=self.build_net)]
        if dataset.targets:
            statistics = Stage(
                name="statistics",
                max_epochs=0,
                learns=(),
                batches="target",
                run=lambda training: self._adapt(training.net, dataset.targets),
            )
            stages.append(statistics)
        return stages

    def _adapt(self, net, targets):
        module = net.module_
        moments = self._new_target_moments(module, targets)
        with module.targets_at_stake():
            module.set_targets(len(targets), moments)
            net.estimate_target_statistics(targets)
            net.check_target_statistics()
