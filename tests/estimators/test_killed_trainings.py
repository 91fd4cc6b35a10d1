"""Processes that are killed while they train, by the driver of benchmarks/bench_faults.py."""

import importlib.util
import os
from pathlib import Path

import pytest
import torch

_DRIVER = Path(__file__).parents[2] / "benchmarks" / "bench_faults.py"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork"),
    pytest.mark.skipif(not _DRIVER.exists(), reason="benchmarks are not there"),
]


@pytest.fixture(scope="module")
def driver():
    spec = importlib.util.spec_from_file_location("bench_faults", _DRIVER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)  # those of a process that is forked are not there
    module.warm_up()
    yield module
    torch.set_num_threads(n_threads)


def test_trainings_of_every_method_survive_kills_at_random_moments(driver):
    outcomes = list(driver.kills(60))
    assert len({what.partition(",")[0] for what, _ in outcomes}) > 25
    assert [what for what, wrong in outcomes if wrong] == []


@pytest.mark.parametrize("fault", ["Ctrl-C", "full disk while a checkpoint is written"])
def test_other_faults(driver, fault):
    outcomes = list(driver.FAULTS[fault](1))
    assert len(outcomes) >= 4 and [what for what, wrong in outcomes if wrong] == []


def test_a_training_that_diverged_once_goes_on(driver):
    assert [wrong for _, wrong in driver.FAULTS["divergence"](1)] == [None]
