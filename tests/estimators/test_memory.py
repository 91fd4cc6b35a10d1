"""What predictions need of memory."""

import ctypes
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from skda.fine_tuning import FineTuneClassifier
from skda.training import AdaptationNet

N_ROWS, N_FEATURES = 30_000, 1024
PREDICTIONS = ("predict", "predict_proba", "predict_log_proba", "decision_function")
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


def _fitted(rows):
    clf = FineTuneClassifier(module=Wide, max_epochs=1, random_state=0, device="cpu")
    clf.fit(rows[:8], np.arange(8) % 3)
    clf.predict(rows[:2048])  # what torch and numpy get at first
    return clf


@pytest.fixture(scope="module")
def growth():
    """By how many MiB the peak lies above what was held before, by method.

    In a process of its own: in one that has run other tests, freed memory is taken and given back.
    """
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("the peak of a process can be asked for on Linux alone")
    run = subprocess.run([sys.executable, __file__], capture_output=True, text=True, check=True)
    return json.loads(run.stdout)


def _growth(function, *args):
    Path("/proc/self/clear_refs").write_text("5")
    ctypes.CDLL(None).malloc_trim(0)  # what was freed before would hide what is needed now
    before = _mib("VmRSS")
    function(*args)
    return _mib("VmHWM") - before


def _mib(name):
    status = Path("/proc/self/status").read_text()
    return int(status.partition(f"{name}:")[2].split()[0]) / 1024


@pytest.mark.parametrize("method", PREDICTIONS)
def test_predictions_keep_no_features(growth, method):
    assert growth[method] < 0.4 * MIB_OF_FEATURES


@pytest.mark.parametrize("method", ["transform", "activations_of"])
def test_features_are_in_memory_once(growth, method):
    assert growth[method] < 1.4 * MIB_OF_FEATURES


@pytest.mark.parametrize("method", ["predict", "predict_proba", "transform"])
def test_no_method_asks_for_more_than_one_layer(rows, method, monkeypatch):
    fitted, asked = _fitted(rows), []
    own = AdaptationNet.iter_activations

    def spy(net, X, layers, *args):
        asked.append(tuple(layers))
        return own(net, X, layers, *args)

    monkeypatch.setattr(AdaptationNet, "iter_activations", spy)
    getattr(fitted, method)(rows[:4])
    assert asked == [("features",) if method == "transform" else ("logits",)]


if __name__ == "__main__":
    torch.set_num_threads(1)
    data = np.ones((N_ROWS, N_FEATURES), dtype=np.float32)
    estimator = _fitted(data)
    methods = [*PREDICTIONS, "transform", "activations_of"]
    print(json.dumps({name: _growth(getattr(estimator, name), data) for name in methods}))
