"""Where a training leaves what it has come to, so that it can go on after its process is gone."""

import contextlib
import json
import os
import threading
import warnings
from pathlib import Path
from typing import Any

import torch

from skda._callers import level_of_user
from skda._safetensors import load_tensors, save_tensors, write_whole
from skda.training._packing import pack, unpack

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl: Any = None

FORMAT = 1
_DESCRIPTION = "training.json"
_LOCK = ".lock"
_N_KEPT = 2
_in_use: set[str] = set()
_guard = threading.Lock()


class CheckpointFolder:
    """The folder of one training, which no other may use meanwhile.

    It holds ``training.json``, which says what the training is, for every group of stages that is
    over a file with what it came to, and for the one that runs its last two checkpoints. Every
    file is whole, or not there.

    Parameters
    ----------
    path : str or path
        It is made if it is not there; ``~`` is the home folder.

    every : int
        Epochs from one checkpoint to the next.
    """

    def __init__(self, path: Any, every: int):
        self.path, self.every = Path(path).expanduser().absolute(), every
        self.has_warned = False
        self._lock: Any = None

    def open(self):
        """Make the folder, and keep others out of it until `close`, or the end of the process."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise type(error)(
                f"checkpoint={os.fspath(self.path)!r} must be a folder, or a path where one can be "
                "made; there is a file in its place."
            ) from None
        key = os.path.realpath(self.path)
        with _guard:
            if key in _in_use:
                raise self._is_taken("this process")
            self._lock = self._lock_file()
            _in_use.add(key)
        return self

    def close(self):
        """Let others in."""
        with _guard:
            if self._lock is not None:
                self._lock.close()
                _in_use.discard(os.path.realpath(self.path))
            self._lock = None

    def _lock_file(self):
        """Return an open file that is locked by the system, which frees it if the process dies."""
        file = open(self.path / _LOCK, "a+", encoding="utf-8")
        try:
            if fcntl is not None:
                # Of the process: those that it forks to read data do not hold it.
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            file.seek(0)
            owner = file.read().strip()
            file.close()
            raise self._is_taken(f"process {owner}") from None
        except OSError:  # a file system without locks
            return file
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        return file

    def _is_taken(self, owner):
        return ValueError(
            f"checkpoint={os.fspath(self.path)!r} is in use by another training, of {owner}; every "
            "training needs a folder of its own, so leave checkpoint out in a search."
        )

    def read_description(self) -> dict[str, Any] | None:
        """Return what the training is whose checkpoints are here; None if there are none."""
        try:
            text = (self.path / _DESCRIPTION).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        description = json.loads(text)
        if description.get("format") != FORMAT:
            raise ValueError(
                f"checkpoint={os.fspath(self.path)!r} holds checkpoints of format "
                f"{description.get('format')!r}, written by skda {description.get('skda')}; this "
                f"version reads format {FORMAT}. Fit with resume=False."
            )
        return description

    def begin(self, description: dict[str, Any]) -> None:
        """Put a new training in the place of what is here."""
        for name in [_DESCRIPTION, *os.listdir(self.path)]:
            if name == _DESCRIPTION or name.startswith(("stage-", ".stage-", ".training")):
                (self.path / name).unlink(missing_ok=True)
        text = json.dumps({"format": FORMAT, **description}, indent=1)
        write_whole(self.path / _DESCRIPTION, lambda file: file.write(text.encode()))

    def of_group(self, number: int) -> "GroupCheckpoints":
        """Return the checkpoints of the stages that share a net, which is the number-th."""
        return GroupCheckpoints(self, number)


class GroupCheckpoints:
    """The checkpoints of one net.

    Parameters
    ----------
    folder : CheckpointFolder
        Where they are.

    number : int
        Of the group of stages that share the net, counted from 0.
    """

    def __init__(self, folder: CheckpointFolder, number: int):
        self.folder, self.prefix = folder, f"stage-{number:02d}"
        self._end = folder.path / f"{self.prefix}-end.safetensors"
        self._pending: Any = None  # of an epoch that is not due
        self._is_writing = False

    # -- writing --------------------------------------------------------------------------------

    def note_epoch(self, net: Any) -> None:
        """Write the state of a net at the end of an epoch, or remember it until one is due."""
        n_epochs = len(net.history)
        if n_epochs % self.folder.every:
            metadata, tensors = _packed(net.get_training_state())
            self._pending = n_epochs, metadata, {k: t.cpu().clone() for k, t in tensors.items()}
            return
        self._pending, self._is_writing = None, True
        self._write_epoch(n_epochs, *_packed(net.get_training_state()))
        self._is_writing = False

    def flush(self, net: Any) -> None:
        """Write the last whole epoch of a training that is cut, if that has not been done."""
        if self._is_writing:  # the cut came in between, and the net has not gone on
            self.note_epoch(net)
        elif self._pending is not None:
            self._write_epoch(*self._pending)
            self._pending = None

    def finish(self, net: Any) -> None:
        """Write what training came to, in the place of its epochs."""
        if self._write(self._end, *_packed(net.get_final_state())):
            for path in self._epochs():
                path.unlink(missing_ok=True)

    def _write_epoch(self, n_epochs, metadata, tensors):
        path = self.folder.path / f"{self.prefix}-epoch-{n_epochs:06d}.safetensors"
        if self._write(path, metadata, tensors):
            for old in self._epochs()[:-_N_KEPT]:
                old.unlink(missing_ok=True)

    def _write(self, path, metadata, tensors):
        """Return whether a file could be written; a full disk is no reason to end a training."""
        try:
            save_tensors(path, tensors, metadata)
        except OSError as error:
            if not self.folder.has_warned:
                warnings.warn(
                    f"The checkpoint {os.fspath(path)!r} could not be written ({error}); training "
                    "goes on, the one before it is still there, and the next will be tried.",
                    stacklevel=level_of_user(),
                )
            self.folder.has_warned = True
            return False
        return True

    # -- reading --------------------------------------------------------------------------------

    def restore_end(self, net: Any) -> bool:
        """Bring a net to what it was after its training; return False if that is not over."""
        if not self._end.exists():
            return False
        state = self._read(self._end)
        if state is None:
            return False
        net.initialize()
        self._put_back(net.set_final_state, state, self._end)
        return True

    def restore_epoch(self, net: Any) -> int:
        """Bring a net to its last checkpoint; return the epochs that it has, 0 if there is none."""
        for path in reversed(self._epochs()):
            state = self._read(path)
            if state is not None:
                self._put_back(net.set_training_state, state, path)
                return len(net.history)
        return 0

    def _epochs(self):
        return sorted(self.folder.path.glob(f"{self.prefix}-epoch-*.safetensors"))

    def _read(self, path):
        try:
            tensors, metadata = load_tensors(path)
            return unpack(json.loads(metadata["state"]), tensors)
        except (ValueError, KeyError) as error:
            warnings.warn(
                f"The checkpoint {os.fspath(path)!r} is damaged and is passed over: {error}",
                stacklevel=level_of_user(),
            )
            return None

    @staticmethod
    def _put_back(put, state, path):
        try:
            put(state)
        except (ValueError, KeyError, RuntimeError) as error:
            raise ValueError(
                f"The checkpoint {os.fspath(path)!r} does not fit this training: {error}. Fit with "
                "resume=False."
            ) from error


class FollowedFolder(CheckpointFolder):
    """The same folder in a process that trains together with the one that writes it."""

    def open(self):
        """Leave the folder to the process that writes it."""
        return self

    def begin(self, description: dict[str, Any]) -> None:
        """Leave what is here to the process that writes."""

    def of_group(self, number: int) -> "GroupCheckpoints":
        """Return the checkpoints of a net, to be read alone."""
        return _FollowedCheckpoints(self, number)


class _FollowedCheckpoints(GroupCheckpoints):
    def note_epoch(self, net):
        pass

    def flush(self, net):
        pass

    def finish(self, net):
        pass


def _packed(state) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    tensors: dict[str, torch.Tensor] = {}
    return {"state": json.dumps(pack(state, tensors), separators=(",", ":"))}, tensors


@contextlib.contextmanager
def checkpointed(net: Any, checkpoints: GroupCheckpoints):
    """Within this context a net writes checkpoints, and goes on from the last one."""
    net._checkpoints = checkpoints
    try:
        yield
    finally:
        net._checkpoints = None
