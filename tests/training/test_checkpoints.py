"""Folders of checkpoints."""

import errno
import os
import subprocess
import sys
import warnings

import pytest
import torch
from skorch.callbacks import Callback
from torch import nn

from skda.nn import DomainAdversary, LayerwiseAlignment
from skda.training import (
    AdaptationModule,
    AdaptationNet,
    CheckpointFolder,
    DomainDataset,
    Stage,
    TwoPlayerNet,
    list_blocks,
)
from skda.training._checkpoints import checkpointed

X = torch.randn(24, 3, generator=torch.Generator().manual_seed(0)).numpy()
DATA = DomainDataset(X, (X[:, 0] > 0).astype("int64"), (X + 1,))


class _Stop(Callback):
    """Fails at the beginning of an epoch."""

    def __init__(self, at):
        self.at = at

    def on_epoch_begin(self, net, **kwargs):
        if len(net.history) == self.at:
            raise ZeroDivisionError

    def state_dict(self):
        return {}  # `at` is another one when training goes on

    def load_state_dict(self, state):
        pass


def _net(stop_at=None, **params):
    torch.manual_seed(0)
    module = AdaptationModule(
        nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.3)),
        nn.Linear(4, 2),
        n_targets=1,
    )
    alignment = LayerwiseAlignment({"features": DomainAdversary(4, hidden_layer_sizes=(4,))})
    params = {"max_epochs": 4, "batch_size": 8, "verbose": 0, **params}
    return AdaptationNet(
        module, alignment=alignment, callbacks=[("stop", _Stop(stop_at))], **params
    )


def _fit(folder, stop_at=None, net=None):
    net = net or _net(stop_at)
    checkpoints = folder.of_group(0)
    with checkpointed(net, checkpoints), torch.random.fork_rng():
        torch.manual_seed(1)
        if not checkpoints.restore_end(net):
            net.fit(DATA, None)
            checkpoints.finish(net)
    return net


@pytest.fixture
def folder(tmp_path):
    folder = CheckpointFolder(tmp_path / "runs" / "a", 1).open()
    folder.begin({})
    yield folder
    folder.close()


def _names(folder):
    return sorted(name for name in os.listdir(folder.path) if name.startswith("stage-"))


def _fail(folder, stop_at=4):
    with pytest.raises(ZeroDivisionError):
        _fit(folder, stop_at)


def _assert_same(first, second):
    for (name, mine), (other, theirs) in zip(first._tensors(), second._tensors(), strict=True):
        assert name == other and torch.equal(mine, theirs), name
    rows = [
        [{k: v for k, v in row.items() if k != "dur"} for row in n.history] for n in (first, second)
    ]
    assert rows[0] == rows[1]


def test_the_last_two_epochs_are_kept_and_one_file_at_the_end(folder):
    _fail(folder)
    assert _names(folder) == [f"stage-00-epoch-{n:06d}.safetensors" for n in (2, 3)]
    _fit(folder)
    assert _names(folder) == ["stage-00-end.safetensors"]


def test_a_net_goes_on_as_if_nothing_had_happened(folder, tmp_path):
    _fail(folder)
    whole = CheckpointFolder(tmp_path / "whole", 1)
    whole.path.mkdir()
    _assert_same(_fit(folder), _fit(whole))


def test_a_training_may_go_on_with_lines_which_count_on(folder, capsys):
    _fail(folder, stop_at=3)
    _fit(folder, net=_net(verbose=1))
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(",")[0] for line in lines] == [
        "training: epoch 3/4",
        "training: epoch 4/4",
    ]


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path):
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(FileExistsError, match=r"checkpoint='.*file' must be a folder"):
        CheckpointFolder(path, 1).open()


def test_a_training_that_is_over_is_read(folder):
    net = _fit(folder)
    again = _net(stop_at=1)  # would fail if it trained
    _assert_same(_fit(folder, net=again), net)
    assert (
        again.optimizer_.state_dict()["state"].keys() == net.optimizer_.state_dict()["state"].keys()
    )


def test_a_damaged_checkpoint_is_passed_over(folder, tmp_path):
    _fail(folder)
    last = folder.path / _names(folder)[-1]
    last.write_bytes(last.read_bytes()[:-100])
    whole = CheckpointFolder(tmp_path / "whole", 1)
    whole.path.mkdir()
    with pytest.warns(UserWarning, match="epoch-000003.* is damaged and is passed over"):
        net = _fit(folder)
    _assert_same(net, _fit(whole))


def test_a_full_disk_is_told_once_and_leaves_the_checkpoint_before(folder, monkeypatch):
    written = []

    def fsync(descriptor):
        written.append(descriptor)
        if len(written) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        net = _fit(folder)
    messages = [str(w.message) for w in caught if "could not be written" in str(w.message)]
    assert len(messages) == 1 and "No space left" in messages[0]
    assert len(net.history) == 4
    assert _names(folder) == ["stage-00-epoch-000001.safetensors"]
    assert not [name for name in os.listdir(folder.path) if name.endswith(".tmp")]


def test_two_trainings_of_one_process_cannot_share_a_folder(folder):
    with pytest.raises(ValueError, match="in use by another training, of this process"):
        CheckpointFolder(folder.path, 1).open()
    folder.close()
    CheckpointFolder(folder.path, 1).open().close()


@pytest.mark.skipif(sys.platform == "win32", reason="no locks there")
def test_two_processes_cannot_share_a_folder(folder):
    code = (
        "import fcntl, sys\n"
        "file = open(sys.argv[1], 'a+')\n"
        "try:\n    fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
        "except OSError:\n    print('taken')\n"
    )
    command = [sys.executable, "-c", code, folder.path / ".lock"]
    taken = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    folder.close()
    free = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert (taken.strip(), free.strip()) == ("taken", "")


def test_another_format_is_refused(folder):
    (folder.path / "training.json").write_text('{"format": 99, "skda": "9.0"}')
    with pytest.raises(ValueError, match="format 99, written by skda 9"):
        folder.read_description()


def test_a_new_training_leaves_other_files_of_the_folder_alone(folder):
    _fail(folder)
    (folder.path / "notes.txt").write_text("mine")
    folder.begin({})
    assert _names(folder) == [] and (folder.path / "notes.txt").exists()


class _Odd(TwoPlayerNet):
    """A net with a number of its own, which training changes."""

    n_seen = 0

    def train_step(self, batch, **fit_params):
        self.n_seen = self.n_seen + 1
        return super().train_step(batch, **fit_params)


def test_plain_attributes_of_a_net_go_on(folder):
    module = AdaptationModule(nn.Linear(3, 4), nn.Linear(4, 2), n_targets=1)
    nets = [
        _Odd(module, max_epochs=3, batch_size=8, verbose=0, callbacks=[("s", _Stop(at))])
        for at in (3, None)
    ]
    with pytest.raises(ZeroDivisionError):
        _fit(folder, net=nets[0])
    assert _fit(folder, net=nets[1]).n_seen == 9


def test_a_block_that_an_earlier_stage_has_let_learn_learns(folder):
    stages = (
        Stage(name="head", max_epochs=1, learns=("head",)),
        Stage(name="all", max_epochs=1, learns=("0", "head")),
        Stage(name="head again", learns=("head",)),
    )
    nets = []
    for stop_at in (4, None):
        backbone = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 4))
        module = AdaptationModule(backbone, nn.Linear(4, 2), frozen=list_blocks(backbone)[:1])
        params = {"max_epochs": 4, "batch_size": 8, "verbose": 0, "stages": stages}
        nets.append(AdaptationNet(module, callbacks=[("stop", _Stop(stop_at))], **params))
    with pytest.raises(ZeroDivisionError):
        _fit(folder, net=nets[0])
    assert nets[0].module_.frozen == ()
    module = _fit(folder, net=nets[1]).module_
    assert module.frozen == () and all(p.requires_grad for p in module.parameters())
