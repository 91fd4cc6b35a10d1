"""Trainings that outlive their process: where they leave what they come to, and what they are."""

import sys
import warnings
from hashlib import blake2b
from numbers import Integral
from typing import Any

import numpy as np
import torch
from skorch.callbacks import Callback
from torch import nn

from skda._callers import level_of_user
from skda._digest import digest
from skda.estimators._parts import EstimatorPart
from skda.rows import as_batch
from skda.training import CheckpointFolder, FollowedFolder, Seeds

_ROWS_OF_A_CHUNK = 1024
# What a training may have otherwise when it goes on: nothing that it learns depends on it.
FREE_PARAMETERS = (
    "checkpoint",
    "checkpoint_every",
    "distributed",
    "image_store",
    "n_jobs",
    "on_divergence",
    "on_interrupt",
    "random_state",  # the seeds that it gives are compared, or taken over
    "verbose",
    "warm_start",  # the weights that it begins with are compared
)
_FORGOTTEN = "fit with resume=False to begin anew"


class CheckpointMixin(EstimatorPart):
    """An estimator whose training leaves checkpoints in a folder, and goes on from them."""

    _folder: Any = None  # while fit runs

    def _open_folder(self, resume, processes=None):
        """Return what the training is that is to be gone on with, None for a new one."""
        if not (isinstance(resume, bool) or resume == "auto"):
            raise ValueError(f"resume must be True, False or 'auto', got {resume!r}.")
        if self.checkpoint is None:
            if resume:
                raise ValueError(
                    f"resume={resume!r} needs the folder with the checkpoints of the training that "
                    "is to go on; set checkpoint to it."
                )
            return None
        is_first = processes is None or processes.is_first
        kind = CheckpointFolder if is_first else FollowedFolder
        self._folder = kind(self.checkpoint, self.checkpoint_every).open()
        begun = self._folder.read_description() if resume else None
        if resume is True and begun is None:
            raise ValueError(
                f"resume=True, but checkpoint={self.checkpoint!r} holds no training; use "
                "resume='auto' to begin one where there is none."
            )
        return begun

    def _close_folder(self):
        folder = vars(self).pop("_folder", None)
        if folder is not None:
            folder.close()

    def _is_warm(self):
        """Whether fit begins from the network of the last fit."""
        return self.warm_start and hasattr(self, "net_")

    def _seeds_of(self, drawn, begun):
        """Return the seeds of a training that goes on, which were drawn when it began."""
        if begun is None or isinstance(self.random_state, Integral):
            return drawn
        return Seeds(**begun["seeds"])

    def _enter_checkpoints(self, training, begun):
        """Describe a new training in the folder, or compare one that goes on with what it was."""
        if self._folder is None:
            return
        description = self._describe(training)
        if begun is None:
            self._folder.begin(description)
        else:
            self._compare(description, begun)
        training.checkpoints = self._folder
        if training.processes is not None:
            training.processes.all_of(None)  # the first one has put the new in the place of the old

    def _describe(self, training):
        dataset = training.dataset
        labels = [dataset.y, getattr(self, "classes_", None)]
        targets = [_rows_digest(rows) for rows in dataset.targets]
        parameters = {
            name: value_digest(_content_of(value) if name == "callbacks" else value)
            for name, value in self.get_params(deep=False).items()
            if name not in FREE_PARAMETERS
        }
        weights = dataset.weights
        warm = [tensor for _, tensor in self.net_._tensors()] if self._is_warm() else None
        return {
            "estimator": f"{type(self).__module__}.{type(self).__qualname__}",
            "skda": sys.modules["skda"].__version__,
            "torch": torch.__version__,
            "device": torch.device(training.device).type,
            "seeds": vars(training.seeds),
            "data": {
                "X": _rows_digest(dataset.X),
                "y": value_digest(labels),
                "X_target": targets,
                "y_target": value_digest(dataset.target_labels),
                "the weights of the last fit": value_digest(warm),
                **({} if weights is None else {"sample_weight": value_digest(weights)}),
            },
            "parameters": parameters,
        }

    def _compare(self, now, begun):
        """Raise unless a training is the one whose checkpoints there are."""
        folder = f"checkpoint={self.checkpoint!r}"
        for name in ("estimator", "device"):
            if now[name] != begun[name]:
                raise ValueError(
                    f"{folder} holds a training with the {name} {begun[name]}, not {now[name]}; "
                    f"{_FORGOTTEN}."
                )
        is_same = {
            name: now["data"].get(name) == begun["data"].get(name)
            for name in {**now["data"], **begun["data"]}
        }
        if changed := [name for name in is_same if not is_same[name]]:
            raise ValueError(
                f"{folder} holds a training on other data: {', '.join(changed)} "
                f"{'differs' if len(changed) == 1 else 'differ'}; pass what fit was given then, or "
                f"{_FORGOTTEN}."
            )
        before, after = begun["parameters"], now["parameters"]
        changed = [n for n in [*after, *before] if before.get(n) != after.get(n)]
        if now["seeds"] != begun["seeds"]:
            changed.append("random_state")
        if changed:
            raise ValueError(
                f"{folder} holds a training with other parameters: {_names(changed)}; set them to "
                f"what they were, or {_FORGOTTEN}."
            )
        for library in ("skda", "torch"):
            if now[library] != begun[library]:
                warnings.warn(
                    f"{folder} holds a training begun with {library} {begun[library]}, which goes "
                    f"on with {library} {now[library]}: its numbers may differ a little from those "
                    "of one without a break.",
                    stacklevel=level_of_user(),
                )


def _names(names):
    return ", ".join(dict.fromkeys(names))


def _rows_digest(rows):
    """Return a digest of rows as the network takes them, a chunk at a time."""
    state = blake2b(digest_size=16)
    for start in range(0, len(rows), _ROWS_OF_A_CHUNK):
        numbers = np.arange(start, min(start + _ROWS_OF_A_CHUNK, len(rows)))
        batch = as_batch(rows[numbers])
        for name, values in sorted(batch.items()) if isinstance(batch, dict) else [("", batch)]:
            values = values.detach().cpu().contiguous()
            state.update(f"{name} {values.dtype} {tuple(values.shape[1:])}".encode())
            state.update(values.reshape(-1).view(torch.uint8).numpy().data)
    return f"{len(rows)} rows {state.hexdigest()}"


def _content_of(callbacks):
    """Return classes and attributes of callbacks; what their code reads may change meanwhile."""
    if isinstance(callbacks, list | tuple):
        return [_content_of(entry) for entry in callbacks]
    if not isinstance(callbacks, Callback):
        return callbacks
    return [type(callbacks).__qualname__, dict(vars(callbacks))]


def value_digest(value):
    """Return a digest of the value of a parameter; of a network that is trained, its weights."""
    estimator = getattr(value, "estimator", value)  # within a FrozenEstimator
    if hasattr(estimator, "net_"):
        value = [type(estimator).__qualname__, *(t for _, t in estimator.net_._tensors())]
    try:
        return digest(value).hex()
    except TypeError:
        if isinstance(value, nn.Module):
            return digest(type(value).__qualname__, dict(value.state_dict())).hex()
        return digest(type(value).__qualname__).hex()
