"""Trainings that go on after their process is gone, and what is refused."""

import os
import signal
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, LRScheduler

from skda.adaptation import (
    AdaBNClassifier,
    ADDAClassifier,
    AutoDIALClassifier,
    CoGANClassifier,
    DAANClassifier,
    DANClassifier,
    DANNClassifier,
    LabelEfficientClassifier,
    MCDClassifier,
    SDAEClassifier,
    ShallowDANNClassifier,
    TLDAClassifier,
    WDGRLClassifier,
)
from skda.exceptions import DivergenceError
from skda.fine_tuning import FineTuneClassifier
from skda.training import AdaptationNet

RANDOM = np.random.RandomState(0)
X = RANDOM.randn(40, 5).astype("float32")
Y = np.where(X[:, 0] > 0, "b", "a")
X_TARGET = X[:32] + 0.5
DATA = {"X": X, "y": Y, "X_target": X_TARGET}
IMAGES = RANDOM.rand(24, 1, 12, 12).astype("float32")
PICTURES = {"X": IMAGES, "y": np.arange(24) % 2, "X_target": IMAGES[::-1] + 0.1}
LABELLED = {**DATA, "y_target": np.where(np.arange(32) < 5, Y[:32], None)}
SHORT = {"max_epochs": 3, "random_state": 0}
BATCHED = {**SHORT, "batch_size": 16}


def mean_prediction(target_probabilities, source_shares):
    return target_probabilities.mean(axis=0)


TRAININGS = {
    "DANN": (DANNClassifier, {**BATCHED, "module__dropout": 0.3}, DATA),
    "DANN, held-out rows": (
        DANNClassifier,
        {**BATCHED, "early_stopping": True, "n_iter_no_change": 3},
        DATA,
    ),
    # Whose moments torch lays out otherwise than a file does.
    "DANN, images": (DANNClassifier, {**SHORT, "batch_size": 8}, PICTURES),
    "DANN, scheduler": (
        DANNClassifier,
        {**BATCHED, "callbacks": [LRScheduler("StepLR", step_size=1)]},
        DATA,
    ),
    "ADDA": (ADDAClassifier, BATCHED, DATA),
    "SDAE": (SDAEClassifier, {**BATCHED, "pretrain_epochs": 2}, DATA),
    "AdaBN": (AdaBNClassifier, BATCHED, DATA),
    "AutoDIAL": (AutoDIALClassifier, BATCHED, DATA),
    "TLDA": (TLDAClassifier, {**BATCHED, "classifier": "logistic"}, DATA),
    "CoGAN": (CoGANClassifier, BATCHED, DATA),
    "DAAN": (DAANClassifier, BATCHED, DATA),
    "DAN": (DANClassifier, {**BATCHED, "alignment__kernel_weights": "learned"}, DATA),
    "label-efficient": (LabelEfficientClassifier, BATCHED, LABELLED),
    "MCD": (MCDClassifier, BATCHED, DATA),
    "shallow DANN": (ShallowDANNClassifier, SHORT, DATA),
    "WDGRL": (WDGRLClassifier, {**BATCHED, "optimizer": "sgd", "optimizer__momentum": 0.9}, DATA),
    "shares": (DANNClassifier, {**BATCHED, "max_epochs": 10, "target_shares": "estimate"}, DATA),
    "asked shares": (
        DANNClassifier,
        {**BATCHED, "target_shares": mean_prediction},
        DATA,
    ),
    "unfreezing": (
        FineTuneClassifier,
        {**BATCHED, "n_frozen": 2, "unfreeze_every": 1},
        {"X": X, "y": Y},
    ),
}


class Death(BaseException):
    """What stands for the end of a process."""


def _learned(clf):
    rows = [{k: v for k, v in row.items() if k != "dur"} for row in clf.history_]
    return {n: t.clone() for n, t in clf.net_._tensors()}, rows


def _assert_same(first, second):
    (tensors, rows), (others, other_rows) = _learned(first), _learned(second)
    assert {n for n in tensors if not torch.equal(tensors[n], others[n])} == set()
    assert list(tensors) == list(others) and rows == other_rows


def _die(monkeypatch, clf, data, *, before, **fit_params):
    """Fit until the `before`-th epoch of all stages begins; return how many there would be."""
    original, begun = AdaptationNet.run_single_epoch, []

    def run_single_epoch(self, iterator, training, **kwargs):
        begun.extend([1] * training)
        if training and len(begun) == before:
            raise Death
        return original(self, iterator, training, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(AdaptationNet, "run_single_epoch", run_single_epoch)
        try:
            clf.fit(**data, **fit_params)
        except Death:
            return None
    return len(begun)


def _assert_goes_on(name, folder, monkeypatch, deaths):
    """Compare a training that dies in some epochs, in each of them twice, to a whole one."""
    cls, params, data = TRAININGS[name]
    whole = cls(**params)
    n_epochs = _die(monkeypatch, whole, data, before=None)
    for before in deaths(n_epochs):
        _die(monkeypatch, cls(**params, checkpoint=folder), data, before=before)
        _die(monkeypatch, cls(**params, checkpoint=folder), data, before=1, resume=True)
        _assert_same(cls(**params, checkpoint=folder).fit(**data, resume=True), whole)


@pytest.mark.parametrize("name", ["DANN", "ADDA", "SDAE", "DAAN", "MCD", "shares", "unfreezing"])
def test_a_training_goes_on_bit_by_bit(name, tmp_path, monkeypatch):
    _assert_goes_on(name, tmp_path, monkeypatch, lambda n_epochs: [n_epochs])


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_goes_on_bit_by_bit_from_every_epoch(name, tmp_path, monkeypatch):
    _assert_goes_on(name, tmp_path, monkeypatch, lambda n_epochs: range(2, n_epochs + 1))


def test_a_training_that_is_over_is_not_trained_again(tmp_path, monkeypatch):
    clf = ADDAClassifier(**BATCHED, checkpoint=tmp_path).fit(**DATA)
    again = ADDAClassifier(**BATCHED, checkpoint=tmp_path)
    assert _die(monkeypatch, again, DATA, before=None, resume=True) == 0
    _assert_same(again, clf)
    np.testing.assert_array_equal(again.predict(X), clf.predict(X))
    assert len(again.source_history_) == 3


_SCRIPT = """
import os, signal, sys
import numpy as np
import torch
from skda.adaptation import DANNClassifier
from skda.training import AdaptationNet
original, steps = AdaptationNet.train_step, []
def train_step(self, *args, **kwargs):
    steps.append(1)
    if len(steps) == 8:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(self, *args, **kwargs)
AdaptationNet.train_step = train_step
data = np.load(sys.argv[1])
torch.set_num_threads(1)  # as these tests do: sums over two threads round otherwise
DANNClassifier(
    max_epochs=3, random_state=0, batch_size=16, checkpoint=sys.argv[2], module__dropout=0.3
).fit(**data)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL")
def test_a_killed_process_is_gone_on_with_by_another_one(tmp_path):
    np.savez(tmp_path / "data.npz", **DATA)
    folder = tmp_path / "checkpoints"
    command = [sys.executable, "-c", _SCRIPT, str(tmp_path / "data.npz"), str(folder)]
    killed = subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": "7"}, check=False)
    assert killed.returncode == -signal.SIGKILL
    params = {**BATCHED, "module__dropout": 0.3}
    clf = DANNClassifier(**params, checkpoint=folder).fit(**DATA, resume=True)
    _assert_same(clf, DANNClassifier(**params).fit(**DATA))


@pytest.mark.parametrize("random_state", [None, np.random.RandomState(5)])
def test_seeds_that_nobody_can_draw_again_are_taken_over(random_state, tmp_path, monkeypatch):
    params = {**BATCHED, "random_state": random_state, "checkpoint": tmp_path, "lr": 1e-2}
    drawn = []
    original = DANNClassifier._draw_seeds
    monkeypatch.setattr(
        DANNClassifier, "_draw_seeds", lambda self: drawn.append(original(self)) or drawn[-1]
    )
    _die(monkeypatch, DANNClassifier(**params), DATA, before=2)
    clf = DANNClassifier(**params).fit(**DATA, resume=True)
    assert drawn[0] != drawn[1]
    monkeypatch.setattr(DANNClassifier, "_draw_seeds", lambda self: drawn[0])
    _assert_same(clf, DANNClassifier(**{**params, "checkpoint": None}).fit(**DATA))


@pytest.mark.parametrize("every", [1, 2])
def test_an_interruption_leaves_a_checkpoint_of_the_last_whole_epoch(every, tmp_path):
    class Interrupt(Callback):
        armed = True

        def on_epoch_begin(self, net, **kwargs):
            if Interrupt.armed and len(net.history) == 2:
                Interrupt.armed = False
                raise KeyboardInterrupt

    params = {**BATCHED, "callbacks": [Interrupt()]}
    clf = DANNClassifier(**params, checkpoint=tmp_path, checkpoint_every=every)
    with pytest.raises(KeyboardInterrupt):
        clf.fit(**DATA)
    assert any("epoch-000001" in name for name in os.listdir(tmp_path))
    _assert_same(clf.fit(**DATA, resume=True), DANNClassifier(**params).fit(**DATA))
    assert clf.interruption_ is None


def test_a_divergence_leaves_a_checkpoint_and_is_met_again(tmp_path):
    clf = DANNClassifier(**{**BATCHED, "lr": 1e30}, checkpoint=tmp_path)
    for resume in (False, True):
        with pytest.raises(DivergenceError):
            clf.fit(**DATA, resume=resume)


# -- what is refused --------------------------------------------------------------------------


@pytest.fixture
def begun(tmp_path, monkeypatch):
    _die(monkeypatch, DANNClassifier(**BATCHED, checkpoint=tmp_path), DATA, before=2)
    return tmp_path


@pytest.mark.parametrize(
    "data, what",
    [
        ({"X": X + 1e-6}, "X differs"),
        ({"y": np.where(np.arange(40) == 7, "a", Y)}, "y differs"),
        ({"y": np.where(Y == "a", "c", Y)}, "y differs"),
        ({"X_target": X_TARGET[:-1]}, "X_target differs"),
        ({"X_target": None}, "X_target differs"),
        ({"y_target": LABELLED["y_target"]}, "y_target differs"),
    ],
)
@pytest.mark.filterwarnings("ignore::skda.exceptions.NoTargetWarning")
def test_other_data_are_refused_by_name(data, what, begun):
    with pytest.raises(ValueError, match=f"on other data: {what}; pass what fit was given then"):
        DANNClassifier(**BATCHED, checkpoint=begun).fit(**{**DATA, **data}, resume=True)


@pytest.mark.parametrize(
    "params, names",
    [
        ({"lr": 0.01}, "lr"),
        ({"max_epochs": 9, "trade_off": 2.0}, "max_epochs, trade_off"),
        ({"module__dropout": 0.1}, "module__dropout"),
        ({"module": torch.nn.Linear(5, 8)}, "module"),
        ({"augment": lambda rows: rows}, "augment"),
        ({"callbacks": [Callback()]}, "callbacks"),
        ({"random_state": 1}, "random_state"),
    ],
)
def test_other_parameters_are_refused_by_name(params, names, begun):
    clf = DANNClassifier(**{**BATCHED, **params}, checkpoint=begun)
    with pytest.raises(ValueError, match=rf"with other parameters: ({names}); set them"):
        clf.fit(**DATA, resume=True)


def test_parameters_that_training_does_not_depend_on_may_differ(begun):
    clf = DANNClassifier(**BATCHED, checkpoint=begun, checkpoint_every=2, n_jobs=2)
    clf.set_params(on_interrupt="return", on_divergence="restore")
    _assert_same(clf.fit(**DATA, resume=True), DANNClassifier(**BATCHED).fit(**DATA))


def test_another_estimator_is_refused(begun):
    with pytest.raises(ValueError, match=r"estimator skda.*DANNClassifier, not .*MCDClassifier"):
        MCDClassifier(**BATCHED, checkpoint=begun).fit(**DATA, resume=True)


def test_another_version_of_torch_warns(begun, monkeypatch):
    monkeypatch.setattr(torch, "__version__", "1.0")
    with pytest.warns(UserWarning, match="begun with torch .*, which goes on with torch 1.0"):
        DANNClassifier(**BATCHED, checkpoint=begun).fit(**DATA, resume=True)


def test_nothing_to_go_on_with(tmp_path):
    clf = DANNClassifier(**BATCHED, checkpoint=tmp_path)
    with pytest.raises(ValueError, match=r"holds no training; use resume='auto'"):
        clf.fit(**DATA, resume=True)
    assert clf.fit(**DATA, resume="auto").n_iter_ == 3
    with pytest.raises(ValueError, match="set checkpoint to it"):
        DANNClassifier().fit(**DATA, resume=True)
    with pytest.raises(ValueError, match="resume must be True, False or 'auto', got 'no'"):
        clf.fit(**DATA, resume="no")


def test_the_folder_is_free_after_an_error(begun):
    clf = DANNClassifier(**{**BATCHED, "lr": 0.01}, checkpoint=begun)
    with pytest.raises(ValueError, match="other parameters"):
        clf.fit(**DATA, resume=True)
    assert clf.fit(**DATA).n_iter_ == 3


class Opaque(Callback):
    """Keeps what no checkpoint can hold."""

    def initialize(self):
        self.file_ = object()
        return self

    def on_epoch_begin(self, net, **kwargs):
        raise AssertionError("training began")


def test_a_callback_that_cannot_be_stored_is_an_error_before_training(tmp_path):
    clf = DANNClassifier(**BATCHED, callbacks=[Opaque()], checkpoint=tmp_path)
    with pytest.raises(TypeError, match="Opaque keeps 'file_'"):
        clf.fit(**DATA)


def test_checkpoints_change_no_result_and_hold_no_pickle(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clf = DANNClassifier(**BATCHED, checkpoint=str(tmp_path)).fit(**DATA)
    _assert_same(clf, DANNClassifier(**BATCHED).fit(**DATA))
    assert {path.suffix for path in tmp_path.iterdir()} <= {".json", ".safetensors", ""}
