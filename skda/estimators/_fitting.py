"""How estimators train: stage by stage, and wholly or not at all."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from skda._callers import level_of_user
from skda._torch import local_torch_state, resolve_device, seed_generators
from skda.backbones import BackboneResolver
from skda.estimators._adapters import merge_adapters_of
from skda.estimators._checkpointing import CheckpointMixin
from skda.estimators._common_fit import DIFFERENT, facts_of
from skda.exceptions import DivergenceError, IncompleteFitWarning
from skda.training import (
    Progress,
    Seeds,
    Training,
    WarmStart,
    join_processes,
    position_of,
    quiet,
    run_stages,
    say,
)


class FittingMixin(CheckpointMixin):
    """A training from its seeds to what the estimator keeps."""

    _position: Any

    def _draw_seeds(self):
        seeds = check_random_state(self.random_state).randint(np.iinfo(np.int32).max, size=5)
        return Seeds(*seeds.tolist())

    def _start(self, resume: Any = None):
        """Build a named network, which says how images become inputs; return what is known."""
        self._optimizer_class()
        processes = join_processes(self.distributed, self.device)
        begun = None if resume is None else self._open_folder(resume, processes)
        device, seeds = resolve_device(self.device), self._seeds_of(self._draw_seeds(), begun)
        if processes is not None:
            device, seeds = str(processes.device), processes.of_first(seeds)
        keywords = self.module_keywords()
        resolver = BackboneResolver(
            self.module, self.weights, keywords, sha256=self.weights_sha256, keep=self.layers
        )
        with local_torch_state(device):
            seed_generators(seeds.backbone, device)
            resolver.start()
        self._reader = self._make_reader(resolver)
        self._kept = {}  # numbers of the rows that could be read, where some could not
        start = {"device": device, "seeds": seeds, "resolver": resolver, "begun": begun}
        start["processes"] = processes
        if self._is_warm():
            start["warm_start"] = WarmStart(self.net_)
            self._form = getattr(self, "classes_", None), self.input_shape_
        return start

    def _train(self, dataset, start):
        """Build the network, train it stage by stage, and keep it; return what cut that."""
        begun = start.pop("begun")
        training, cut = Training(dataset, **start), None
        self._check_form()
        with (
            self._together(training),
            local_torch_state(training.device, deterministic=self.deterministic),
        ):
            self._enter_checkpoints(training, begun)
            self._build_backbone(training)
            self._tell(training.resolver.notes)
            stages = self.make_stages(training)
            try:
                with Progress(self.verbose) as training.progress:
                    run_stages(stages, training)
            except (KeyboardInterrupt, DivergenceError) as error:
                # Processes are not interrupted at the same epoch.
                is_uneven = training.processes is not None and isinstance(error, KeyboardInterrupt)
                if is_uneven or training.net is None or not training.net.classifies:
                    raise
                cut = error
        self.finish_fit(training)
        self.interruption_ = training.interruption
        self._position = position_of(stages, training)
        self._position.keep(training)
        if cut is None:
            self._position.training.resolver = None  # all nets are made
        if self.adapter is not None:
            merge_adapters_of(self)
        return cut

    @contextmanager
    def _together(self, training) -> Iterator[None]:
        """Within this context processes train together, if several have come with the same."""
        processes = training.processes
        if processes is None:
            yield
            return
        try:
            processes.agree(
                f"{type(self).__name__}.fit", facts_of(self, training.dataset), DIFFERENT
            )
            with nullcontext() if processes.is_first else quiet():
                yield
        finally:
            training.processes = None

    def _check_form(self):
        """Raise if a warm start gets rows or classes of another form than the last fit."""
        if "_form" not in vars(self):
            return
        classes, shape = vars(self).pop("_form")
        if shape != self.input_shape_:
            raise ValueError(
                f"warm_start=True needs rows of the shape of the last fit, {shape}, got "
                f"{self.input_shape_}."
            )
        if classes is not None and not np.array_equal(classes, self.classes_):
            raise ValueError(
                f"warm_start=True needs the classes of the last fit, {classes.tolist()}, got "
                f"{self.classes_.tolist()}."
            )

    def _tell(self, notes):
        for note in notes if self.verbose else ():
            say(note)

    def _keep(self, net):
        self.net_, self.history_, self.n_iter_ = net, net.history, len(net.history)

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        """Leave the estimator as it was if an error ends this context."""
        before = dict(vars(self))
        try:
            yield
        except BaseException:
            self._close_folder()
            vars(self).clear()
            vars(self).update(before)
            raise
        finally:
            self._close_folder()

    def _answer(self, cut):
        """Raise what cut a training whose whole epochs are kept, or warn of it, as asked for."""
        if cut is None:
            return
        is_divergence = isinstance(cut, DivergenceError)
        if (self.on_divergence != "restore") if is_divergence else (self.on_interrupt == "raise"):
            raise cut
        detail = f" {cut}" if is_divergence else ""
        warnings.warn(
            f"Training was {self.interruption_}; what its whole epochs taught is kept.{detail}",
            IncompleteFitWarning,
            stacklevel=level_of_user(),
        )
