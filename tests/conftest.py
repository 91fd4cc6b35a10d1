"""Shared data of the tests."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

import skda._torch
from skda.datasets import load_shifted_digits
from skda.diagnosis import _classes
from skda.model_selection import _common_rows
from skda.target_accuracy import _references

# Read by type checkers alone; ``test_typing.py`` runs the one that can run.
collect_ignore_glob = ["typing/*"]

# Work this small gains nothing from more threads, and takes ten times as long with them on a busy
# machine: those of torch, and those of NumPy and scikit-learn.
torch.set_num_threads(1)
threadpool_limits(1)

# A shell lets what it runs in the background ignore Ctrl-C, which tests send to themselves.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser):
    parser.addoption(
        "--device",
        default=None,
        help="the device that device='auto' stands for: cpu or cuda; else what torch finds",
    )


def pytest_configure(config):
    device = config.getoption("--device")
    if device is None:
        return
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise pytest.UsageError(f"--device {device}: torch finds no CUDA device here.")
    if device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # for processes that tests start, too
        skda._torch._accelerator = lambda: None


def pytest_collection_modifyitems(config, items):
    if torch.cuda.is_available() and config.getoption("--device") != "cpu":
        return
    skip = pytest.mark.skip(reason="needs a CUDA device")
    for item in items:
        if "gpu" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(scope="session")
def digits():
    """All shifted digits; a new copy of nothing: tests must not write into it."""
    data = load_shifted_digits(random_state=0)
    for value in data.values():
        if isinstance(value, np.ndarray):
            value.setflags(write=False)
    return data


@pytest.fixture(scope="session")
def few(digits):
    """A part of the shifted digits, for what needs no accuracy."""
    return {
        "X": digits.X[:200],
        "y": digits.y[:200],
        "X_target": digits.X_target[:150],
        "y_target": digits.y_target[:150],
    }


@pytest.fixture
def small_forests(monkeypatch):
    """Few trees in the forests of what judges, which take most of its time."""
    for module in (_common_rows, _references, _classes):
        monkeypatch.setattr(module, "_N_TREES", 10)


@pytest.fixture(scope="session")
def data_home():
    """The folder of real data sets, named by SKDA_DATA."""
    home = Path(os.environ.get("SKDA_DATA", Path.home() / "skda_data"))
    if not home.is_dir():
        pytest.skip(f"needs real data in {home}; set SKDA_DATA to their folder")
    return home


@pytest.fixture(scope="session")
def pictures():
    """Six pictures of different sizes."""
    pillow = pytest.importorskip("PIL.Image")
    rng = np.random.RandomState(0)
    sizes = [(60, 81), (97, 50), (40, 40), (70, 64), (64, 90), (50, 51)]
    return [pillow.fromarray(rng.randint(256, size=(*size, 3)).astype(np.uint8)) for size in sizes]
