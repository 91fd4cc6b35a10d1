"""What predictions need of memory."""

import ctypes
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from skda.fine_tuning import FineTuneClassifier
from skda.training import AdaptationNet

N_ROWS, N_FEATURES = 30_000, 1024
MIB_OF_FEATURES = N_ROWS * N_FEATURES * 4 / 2**20


class Wide(nn.Module):
    """As many features as columns, in memory of their own."""

    def __init__(self, in_features):
        super().__init__()
        self.factor = nn.Parameter(torch.ones(in_features))

    def forward(self, x):
        return x * self.factor


@pytest.fixture(scope="module")
def rows():
    return np.ones((N_ROWS, N_FEATURES), dtype=np.float32)


@pytest.fixture(scope="module")
def fitted(rows):
    clf = FineTuneClassifier(module=Wide, max_epochs=1, random_state=0, device="cpu")
    clf.fit(rows[:8], np.arange(8) % 3)
    clf.predict(rows[:2048])  # what torch and numpy get at first
    return clf


def peak_growth(function, *args):
    """Return by how many MiB the peak of this process lies above what it holds now.

    Of two calls the lower: the first may take back what `malloc_trim` has given away.
    """
    return min(_growth(function, *args) for _ in range(2))


def _growth(function, *args):
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pytest.skip("the peak of a process can be asked for on Linux alone")
    ctypes.CDLL(None).malloc_trim(0)  # what was freed before would hide what is needed now
    before = _mib("VmRSS")
    function(*args)
    return _mib("VmHWM") - before


def _mib(name):
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{name}:")[2].split()[0]) / 1024


@pytest.mark.parametrize(
    "method", ["predict", "predict_proba", "predict_log_proba", "decision_function"]
)
def test_predictions_keep_no_features(fitted, rows, method):
    assert peak_growth(getattr(fitted, method), rows) < 0.4 * MIB_OF_FEATURES


def test_features_are_in_memory_once(fitted, rows):
    assert peak_growth(fitted.transform, rows) < 1.4 * MIB_OF_FEATURES


def test_activations_are_in_memory_once(fitted, rows):
    assert peak_growth(fitted.activations_of, rows) < 1.4 * MIB_OF_FEATURES


@pytest.mark.parametrize("method", ["predict", "predict_proba", "transform"])
def test_no_method_asks_for_more_than_one_layer(fitted, rows, method, monkeypatch):
    asked = []
    own = AdaptationNet.iter_activations

    def spy(net, X, layers, *args):
        asked.append(tuple(layers))
        return own(net, X, layers, *args)

    monkeypatch.setattr(AdaptationNet, "iter_activations", spy)
    getattr(fitted, method)(rows[:4])
    assert asked == [("features",) if method == "transform" else ("logits",)]
