"""Trainings that several processes share: each test looks at what one launch of them has left."""

import multiprocessing
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import distributed_fits
import numpy as np
import pytest
import torch

import skda
from skda.adaptation import DANNClassifier
from skda.training._processes import Processes, join_processes
from skda.training._sharing import OwnRows, Share

pytest.importorskip("accelerate", reason="needs the extra distributed")
pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available() or not torch.distributed.is_gloo_available(),
    reason="torch was built without gloo",
)

_ROOT = Path(skda.__file__).parents[1]
_SECONDS = 900


@pytest.fixture(scope="session")
def launched(tmp_path_factory):
    """What two processes have come to, and how they ended."""
    folder = tmp_path_factory.mktemp("distributed")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    environment = {
        **os.environ,
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join([str(_ROOT), os.environ.get("PYTHONPATH", "")]),
    }
    run = subprocess.run(
        [*launcher, "--nproc_per_node=2", distributed_fits.__file__, str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        check=False,
    )
    files = [folder / f"{rank}.pkl" for rank in range(2)]
    assert all(file.exists() for file in files), run.stderr
    return [pickle.loads(file.read_bytes()) for file in files], run, folder


@pytest.fixture(scope="session")
def alone():
    """What one process comes to, by the name of the fit."""
    known = {}

    def outcome_of(name):
        if name not in known:
            X, y, Xt = distributed_fits.rows()
            known[name] = distributed_fits.outcome(distributed_fits.FITS[name](X, y, Xt), Xt)
        return known[name]

    return outcome_of


def assert_close(found, expected, tolerance=1e-5):
    for one, other in zip(found[:2], expected[:2], strict=True):
        assert one.keys() == other.keys() and one
        for name in one:
            np.testing.assert_allclose(one[name], other[name], tolerance, tolerance, err_msg=name)
    np.testing.assert_allclose(found[2], expected[2], tolerance, tolerance)


def assert_equal(found, expected):
    assert_close(found, expected, tolerance=0)


@pytest.mark.parametrize("name", distributed_fits.FITS)
def test_two_processes_come_to_what_one_does(launched, alone, name):
    for found in launched[0]:
        assert_close(found["fits"][name], alone(name))


@pytest.mark.parametrize("name", distributed_fits.FITS)
def test_processes_come_to_the_same_bits(launched, name):
    first, second = (found["fits"][name] for found in launched[0])
    assert_equal(first, second)


def test_every_process_runs_the_network_on_its_share_of_both_domains(launched):
    seen = [set(found["seen"]) for found in launched[0]]
    assert seen == [{4, 14}, {4, 16}]  # of four rows layers are looked at before


def test_seeds_and_first_weights_are_those_of_the_first_process(launched):
    first, second = (found["unseeded"] for found in launched[0])
    assert_equal(first, second)


def test_layers_that_draw_draw_other_numbers_for_every_row(launched):
    drawn = [np.concatenate(found["drawn"]) for found in launched[0]]
    values = np.concatenate(drawn)
    assert len(np.unique(values, axis=0)) == len(values)


@pytest.mark.parametrize(
    "what, expected",
    {
        "rows": r"ValueError: DANNClassifier.fit: processes 0 and 1 differ in X_target\[0\]\. ",
        "labels": "ValueError: DANNClassifier.fit: processes 0 and 1 differ in y\\. ",
        "parameters": "ValueError: DANNClassifier.fit: processes 0 and 1 differ in trade_off\\. ",
        "calls": "RuntimeError: .*'DANNClassifier.fit', process 1 at 'DANClassifier.fit'",
        "one stops": "RuntimeError: .*'epoch 2 of AdaptationNet', process 1 at 'the end of",
        "own backward": "ValueError: epoch 2 of OwnBackward: .* the weights that they have come to",
        "own order": "ValueError: epoch 1 of AdaptationNet: .* the rows of batches",
        "own batch mean": "ValueError: The network gives rows other values .* distributed=False",
        "compile": "ValueError: compile=True .* distributed=False",
        "own steps": "ValueError: ShallowDANNNet has steps of its own.* distributed=False",
        "other device": "ValueError: device='meta', but the processes have met on cpu",
        "fits": "no error",
    }.items(),
)
def test_what_cannot_be_shared_is_an_error_of_every_process(launched, what, expected):
    for found in launched[0]:
        assert re.match(expected, found["refusals"][what])


@pytest.mark.parametrize("where", ["thread", "fork", "not distributed"])
def test_fits_elsewhere_are_of_one_process(launched, alone, where):
    for found in launched[0]:
        if where in found["alone"]:
            assert_equal(found["alone"][where], alone("DANNClassifier, domain"))
    assert where in launched[0][0]["alone"]


def test_true_raises_where_there_are_no_others(launched):
    assert "not the main thread" in launched[0][0]["alone"]["asked in a thread"]
    X, y, Xt = distributed_fits.rows()
    with pytest.raises(ValueError, match=r"only one process was started; .*accelerate launch"):
        DANNClassifier(distributed=True).fit(X, y, X_target=Xt)


def test_the_first_process_prints_and_writes(launched):
    outcomes, _, folder = launched
    assert outcomes[0]["printed"].count("adapt: epoch") == 2 and not outcomes[1]["printed"]
    assert any((folder / "files-0").iterdir()) and not any((folder / "files-1").iterdir())


def test_a_training_that_was_cut_goes_on(launched, alone):
    for found in launched[0]:
        message, outcome = found["resumed"]
        assert message == "RuntimeError: cut"
        assert_close(outcome, alone("dropout"))


def test_a_pickle_knows_no_processes(launched):
    for found in launched[0]:
        clf = pickle.loads(found["pickle"])
        _, _, Xt = distributed_fits.rows()
        np.testing.assert_array_equal(clf.predict_proba(Xt), found["unseeded"][2])
        assert clf.net_._processes is None and clf.net_._sharing is None
        assert b"Processes" not in found["pickle"]


def test_a_process_that_fails_ends_the_others(launched):
    run = launched[1]
    assert run.returncode != 0 and "this process fails" in run.stderr


@pytest.mark.parametrize("n", [2, 3, 5])
@pytest.mark.parametrize("sizes", [(5, 7), (16,), (0, 9, 6)])
def test_shares_are_all_rows_of_every_domain(sizes, n):
    shares = [_share(sizes, number, n) for number in range(n)]
    assert sorted(torch.cat([share.own for share in shares]).tolist()) == list(range(sum(sizes)))
    for share in shares:
        domains = np.repeat(np.arange(len(sizes)), sizes)[share.own]
        assert np.bincount(domains, minlength=len(sizes)).tolist() == list(share.sizes)
    for of_processes in zip(*(share.sizes for share in shares), strict=True):
        assert max(of_processes) - min(of_processes) <= 1


def test_a_domain_with_fewer_rows_than_processes_is_an_error():
    with pytest.raises(ValueError, match="batch_size: a batch has 2 rows of a domain, which 3 pro"):
        _share((2, 7), 0, 3)


def test_outputs_come_back_in_the_order_of_the_batch():
    x = torch.arange(24.0).view(12, 2)
    shares = [_share((5, 7), number, 3) for number in range(3)]
    gather = [share._padded(x[share.own]) for share in shares]
    for share in shares:
        share.processes.gather = lambda values, is_of_all: torch.stack(gather)
        (whole,) = share.gathered([x[share.own]])
        assert torch.equal(whole, x)


def _share(sizes, number, n):
    return Share(sizes, Processes(number, n, torch.device("cpu")), {})


def test_workers_that_python_has_started_train_alone(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")  # which they inherit
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: "that of joblib")
    assert join_processes("auto", "cpu") is None
    with pytest.raises(ValueError, match="this is a worker process"):
        join_processes(True, "cpu")


def test_draws_of_own_rows_cannot_be_checkpointed():
    share = Share((2, 2), Processes(0, 2, torch.device("cpu")), OwnRows(0))
    share.generator(torch.device("cpu"))
    with pytest.raises(ValueError, match="activation checkpoints"):
        share.note("states")


def test_without_accelerate_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(ImportError, match=r"skda\[distributed\]"):
        join_processes("auto", "cpu")
