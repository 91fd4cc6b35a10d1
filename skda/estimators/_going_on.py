"""Training that goes on: from call to call of partial_fit, and from fit to fit."""

import warnings
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import numpy as np

from skda._callers import level_of_user
from skda._torch import local_torch_state
from skda.domains import encode_target_labels
from skda.estimators._fitting import FittingMixin
from skda.estimators._stopping import without_stopping
from skda.exceptions import IncompleteFitWarning
from skda.rows import Rows
from skda.training import (
    DomainDataset,
    Position,
    Training,
    join_processes,
    last_group,
    run_epoch,
)


def _prepare(net, lr_schedule):
    """Let a net learn as partial_fit does."""
    net.train_split = None
    if net.initialized_:
        net.callbacks_ = without_stopping(net.callbacks_)
    if lr_schedule is not None:
        net.lr_schedule = lr_schedule


class GoingOnMixin(FittingMixin):
    """An estimator that can train one epoch more."""

    _position: Any = None

    def _look_at_source(self, X, resolver):
        """See what is to be done to the columns of the source; without a target nothing is."""

    def _check_goes_on(self):
        self._check_param_names()
        if self.early_stopping:
            raise ValueError(
                "early_stopping=True needs the whole training in one call; use fit, or "
                "early_stopping=False with partial_fit."
            )
        if self.adapter is not None:
            raise ValueError(
                f"adapter={self.adapter!r} needs the whole training in one call, at whose end it "
                "becomes part of the weights; use fit, or adapter=None with partial_fit."
            )
        if isinstance(self.class_weight, str):
            raise ValueError(
                f"class_weight={self.class_weight!r} needs all rows in one call; use fit, or give "
                "partial_fit a dict, such as dict(zip(classes, compute_class_weight('balanced', "
                "classes=classes, y=y))) of sklearn.utils.class_weight."
            )

    def _has_begun(self):
        return self._position is not None or hasattr(self, "net_")

    def _go_on(
        self,
        X,
        y,
        classes,
        targets=(),
        names=(),
        y_target=None,
        *,
        weights=None,
        lr_schedule=None,
    ):
        """Train one epoch on these rows, by the schedule of the estimator or by another one."""
        is_first = not self._has_begun()
        start = self._start() if is_first else {}
        self._kept = {}
        X = self._validate_X(X, reset=is_first)
        if is_first:
            self._look_at_source(X, start["resolver"])
        else:
            X = self._stored(Rows(self._row_kind, X, None), "X").values
        y = self._kept_labels(y)
        if is_first:
            self._task = self.task_class(type(self).__name__)
        y = self._task.check(y, X)
        self._set_classes(classes, is_first)
        target_labels = None
        if y_target is not None:
            target_labels = self._encode_target(y_target, targets, is_first)
        codes = self._codes_of(y)
        targets = tuple(
            self._validate_target(rows, X, name) for rows, name in zip(targets, names, strict=True)
        )
        if target_labels is not None:
            target_labels = tuple(map(self._kept_labels, target_labels, names))
        weights = self._weights_of(weights, codes, target_labels, is_whole=False)
        dataset = DomainDataset(X, codes, targets, target_labels, weights=weights)
        self._train_epoch(dataset, start, lr_schedule)

    def _train_epoch(self, dataset, start, lr_schedule):
        if start:
            start.pop("begun")
            training, position = Training(dataset, **start), Position()
        else:
            training, position = self._known(dataset)
            training.processes = join_processes(self.distributed, training.device)
        with (
            self._together(training),
            local_torch_state(training.device, deterministic=self.deterministic),
        ):
            if start:
                self._build_backbone(training)
                self._tell(training.resolver.notes)
            stages = self.make_stages(training)
            # Of AdaBN rows have no targets by now, since a stage after the epoch sees to them.
            with nullcontext() if start else self._new_targets(training):
                run_epoch(stages, training, position, partial(_prepare, lr_schedule=lr_schedule))
        if training.net.classifies:
            self.finish_fit(training)
            self.interruption_ = None
        position.keep(training)
        self._position = position

    def _known(self, dataset):
        """Return what is known of the training so far, with the rows of this call."""
        position = self._position or Position(number=0)
        training = position.training
        if training is None:  # after a pickle
            training = self._rebuilt(position, dataset)
        training.dataset = training.rows = dataset
        return training, position

    def _rebuilt(self, position, dataset):
        """Return what is known of a training after a pickle, which leaves out all but the net."""
        if not hasattr(self, "net_"):
            raise ValueError(
                f"This {type(self).__name__} was pickled in its stage {position.name!r}, and has "
                "lost the network that learned; begin anew with a clone of it."
            )
        net: Any = self.net_
        seeds, resolver = position.seeds or self._draw_seeds(), None
        known: Any = {"device": net.device, "seeds": seeds, "resolver": resolver}
        training = Training(dataset, **known)
        training.backbone, training.net = net.module_.backbone, net
        training.layers = position.layers
        training.widths = position.widths or {"features": self._n_features_out}
        training.histories = position.histories
        if not position.name:  # of 0.1.0
            position.number, position.name = last_group(self.make_stages(training))
            training.layers = tuple(self.name_layers(training))
            # Its class was another one. What has several nets says by itself how it goes on.
            net._lacks_alignment = position.number == 0 and net.alignment is not None
        self._renew(net, training)
        return training

    def _renew(self, net, training):
        """Let what a pickle has left out begin anew, and tell so."""
        lost = []
        if getattr(net, "_lacks_alignment", False):
            net.alignment = self.make_alignment(training.layers, training.widths)
            net._lacks_alignment = False
            net.alignment_ = net.alignment.to(net.device)
            lost.append("alignment")
        if lost or not all(f"{name}_" in vars(net) for name in net._optimizers):
            net.renew_optimizers()
            lost.append("optimisers")
        if lost:
            warnings.warn(
                f"Training goes on with new {' and '.join(lost)}: pickles leave them out.",
                IncompleteFitWarning,
                stacklevel=level_of_user(),
            )

    @contextmanager
    def _new_targets(self, training):
        """Give the net as many target domains as there are now, or as before if an error comes."""
        net, n_targets = training.net, len(training.dataset.targets)
        if n_targets in (0, net.module_.n_targets):
            yield
            return
        try:
            with net.module_.targets_at_stake():
                self._fit_targets(net, training.dataset)
                yield
        except BaseException:
            training.backbone = net.module_.backbone
            net.renew_optimizers()
            raise

    def _fit_targets(self, net, dataset):
        n_targets, module = len(dataset.targets), net.module_
        if not module.n_targets:
            raise ValueError(
                "X_target was not passed in the first call, so that the network has no part that "
                "aligns domains; pass it from the first call on."
            )
        if module.standardizer is not None and self._standardization_kind() is None:
            raise ValueError(
                f"X_target holds {n_targets} domains, but the network scales inputs by the ranges "
                f"of the first call, which had {module.n_targets}; pass as many."
            )
        if self.batch_norm == "shared":
            module.n_targets = n_targets
            return
        module.set_targets(n_targets, self._new_target_moments(module, dataset.targets))
        net.renew_optimizers()

    # -- labels ---------------------------------------------------------------------------------

    def _set_classes(self, classes, is_first):
        if classes is None:
            if is_first:
                raise ValueError("classes must be passed in the first call of partial_fit.")
            return
        if np.ndim(classes) != 1:
            raise ValueError(
                f"classes must be a list of labels, got an array of shape {np.shape(classes)}; "
                "unlabeled rows of the target are passed by name, as X_target=X_target."
            )
        classes = np.unique(classes)
        if is_first:
            self._task.encode(classes, classes)
            vars(self).update(self._task.fitted_attributes())
        elif not np.array_equal(classes, self.classes_):
            raise ValueError(
                f"classes={classes.tolist()} are not those of the first call, "
                f"{self.classes_.tolist()}; leave them out."
            )

    def _encode_target(self, y_target, targets, is_first):
        if not is_first:
            return encode_target_labels(y_target, targets, self.classes_)
        labels = self._task.encode_target(y_target, targets)
        vars(self).update(self._task.fitted_attributes())
        return labels

    def _codes_of(self, y):
        strangers = np.setdiff1d(y, self.classes_)
        if len(strangers):
            raise ValueError(
                f"y holds {strangers[:5].tolist()}, which are not among the classes of the first "
                f"call, {self.classes_[:5].tolist()}, ...; name all of them there."
            )
        return np.searchsorted(self.classes_, y)
