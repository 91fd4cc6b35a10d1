"""Devices and generators."""

from contextlib import ExitStack
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from skorch.callbacks import EpochScoring

from skda._random import OwnGenerators
from skda._torch import StepTables, StepValues, local_torch_state, resolve_device, seed_generators
from skda.fine_tuning import FineTuneClassifier


@pytest.fixture
def no_cuda(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.parametrize("kind", ["mps", "xpu", "hpu"])
def test_auto_is_the_accelerator_that_torch_finds(kind, no_cuda, monkeypatch):
    found = SimpleNamespace(
        is_available=lambda: True, current_accelerator=lambda: SimpleNamespace(type=kind)
    )
    monkeypatch.setattr(torch, "accelerator", found, raising=False)
    assert resolve_device("auto") == kind


def test_auto_is_the_cpu_where_there_is_no_accelerator(no_cuda, monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    found = SimpleNamespace(is_available=lambda: False, current_accelerator=lambda: None)
    monkeypatch.setattr(torch, "accelerator", found, raising=False)
    assert resolve_device("auto") == "cpu"


@pytest.mark.parametrize("has_mps, device", [(True, "mps"), (False, "cpu")])
def test_auto_before_torch_knew_of_accelerators(has_mps, device, no_cuda, monkeypatch):
    monkeypatch.delattr(torch, "accelerator", raising=False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: has_mps)
    assert resolve_device("auto") == device


def test_a_device_that_is_not_there_is_told():
    with pytest.raises(ValueError, match="device='warp' cannot be used here"):
        resolve_device("warp")


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_the_generator_of_the_caller_stays(device):
    before = torch.get_rng_state()
    with local_torch_state(device):
        seed_generators(3, device)
        first = torch.rand(4)
    with local_torch_state(device):
        seed_generators(3, device)
        assert torch.equal(torch.rand(4), first)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_generator_of_another_accelerator_is_seeded_outside_of_a_training(monkeypatch):
    calls = []
    library = SimpleNamespace(manual_seed=lambda seed: calls.append(("seed", seed)))
    monkeypatch.setattr(torch, "get_device_module", lambda device=None: library)
    with torch.random.fork_rng(devices=[]):
        seed_generators(3, "xpu:1")
    assert calls == [("seed", 3)]


def test_the_generator_of_an_accelerator_is_lent_and_restored(monkeypatch):
    calls = []
    library = SimpleNamespace(
        get_rng_state=lambda index: calls.append(("keep", index)) or "state",
        set_rng_state=lambda state, index: calls.append(("set", state, index)),
    )
    monkeypatch.setattr(torch, "get_device_module", lambda device=None: library)
    own = OwnGenerators("xpu:1")
    kept = SimpleNamespace(get_state=lambda: "own", set_state=lambda s: calls.append(("own", s)))
    monkeypatch.setattr(own, "of", lambda device: kept)
    with own.lent([torch.device("xpu:1")]):
        calls.append("work")
    assert calls == [
        ("keep", 1),
        ("set", "own", 1),
        "work",
        ("keep", 1),
        ("own", "state"),
        ("set", "state", 1),
    ]


def test_values_of_steps_are_kept_in_their_order_and_growing():
    kept = StepValues()
    assert not kept
    for step in range(900):  # more than there is room for at first
        kept.add(torch.tensor([step, -step]))
    assert len(kept) == 1800
    assert torch.equal(kept.values().view(-1, 2)[:, 0], torch.arange(900))
    kept.clear()
    kept.add(torch.ones(1, dtype=torch.float64))
    assert kept.values().tolist() == [1.0] and kept.values().dtype == torch.float64


def test_values_of_recorded_steps_go_where_the_number_of_the_step_says():
    kept, plain, row = StepValues(), StepValues(), torch.zeros(1, dtype=torch.int64)
    tables = StepTables(row, 3)
    with kept.going_into(tables):
        for step in range(3):
            tables.begin_step()
            for values in (torch.tensor([step, -step]), torch.tensor(10 * step)):
                kept.add(values)
                plain.add(values)
            row.add_(1)
    assert len(tables) == 2
    assert torch.equal(kept.values(), plain.values())
    kept.add(torch.tensor(7))
    assert kept.values()[-1] == 7 and len(kept) == 10


def test_no_tensor_of_a_step_outlives_it():
    kept, tensor = StepValues(), torch.tensor([1.0, 2.0])
    kept.add(tensor)
    tensor[0] = 5
    assert kept.values().tolist() == [1, 2]
    assert not any(isinstance(value, torch.Tensor) for value in kept._kept)


CUDNN = torch.backends.cudnn


def flags():
    return CUDNN.deterministic, CUDNN.benchmark


@pytest.fixture(params=[(False, False), (True, False), (False, True)])
def users_flags(request):
    before = flags()
    CUDNN.deterministic, CUDNN.benchmark = request.param
    yield request.param
    CUDNN.deterministic, CUDNN.benchmark = before


@pytest.mark.parametrize(
    ("deterministic", "expected"), [(True, (True, False)), (False, (False, True))]
)
def test_what_cudnn_may_choose_on_cuda_alone(deterministic, expected, users_flags):
    with local_torch_state("cuda", draws=False, deterministic=deterministic):
        assert flags() == expected
    assert flags() == users_flags
    with local_torch_state("cpu", draws=False, deterministic=deterministic):
        assert flags() == users_flags


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("ends_first", [True, False])
def test_who_needs_reproducible_results_gets_them_beside_who_does_not(
    first, ends_first, users_flags
):
    states = {
        needs: local_torch_state("cuda", draws=False, deterministic=needs)
        for needs in (True, False)
    }
    states[first].__enter__()
    states[not first].__enter__()
    assert flags() == (True, False)
    states[ends_first].__exit__(None, None, None)
    assert flags() == ((False, True) if ends_first else (True, False))
    states[not ends_first].__exit__(None, None, None)
    assert flags() == users_flags


def test_fits_say_what_cudnn_may_choose(monkeypatch, users_flags):
    def on_cuda(device, **options):
        stack = ExitStack()
        stack.enter_context(local_torch_state("cuda", draws=False, **options))
        stack.enter_context(local_torch_state(device, **options))
        return stack

    for file in ("_fitting", "_going_on"):
        monkeypatch.setattr(f"skda.estimators.{file}.local_torch_state", on_cuda)
    X, y = np.random.default_rng(0).normal(size=(12, 3)), np.arange(12) % 2
    seen = []
    note = EpochScoring(lambda *_: seen.append(flags()) or 0.0, name="flags", on_train=True)
    for given, expected in [({}, (True, False)), ({"deterministic": False}, (False, True))]:
        clf = FineTuneClassifier(max_epochs=1, device="cpu", callbacks=[note], **given)
        clf.fit(X, y)
        clf.partial_fit(X, y)
        assert seen == [expected] * 2
        assert flags() == users_flags
        seen.clear()
    with pytest.raises(ValueError, match="'deterministic' parameter"):
        FineTuneClassifier(deterministic=0.5).fit(X, y)


def test_what_is_set_for_tf32_stays(users_flags):
    matmul = torch.backends.cuda.matmul
    before = matmul.allow_tf32, CUDNN.allow_tf32, torch.get_float32_matmul_precision()
    for deterministic in (True, False):
        with local_torch_state("cuda", draws=False, deterministic=deterministic):
            now = matmul.allow_tf32, CUDNN.allow_tf32, torch.get_float32_matmul_precision()
            assert now == before
