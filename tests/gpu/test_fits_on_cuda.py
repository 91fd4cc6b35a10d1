"""What only a CUDA device can show of trainings."""

import gc
import pickle
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from devices import on_cpu
from skorch.callbacks import Callback

import skda
from skda.adaptation import CDANClassifier, DANNClassifier, DeepCORALClassifier, MCDClassifier
from skda.nn import MLP
from skda.training import AdaptationNet

pytestmark = pytest.mark.gpu

SHORT = {"max_epochs": 3, "random_state": 0, "device": "cuda"}
METHODS = [DeepCORALClassifier, DANNClassifier, CDANClassifier, MCDClassifier]


def _fit(cls, few, **params):
    clf = cls(**{**SHORT, "module__dropout": 0.3, **params})
    return clf.fit(few["X"], few["y"], X_target=few["X_target"])


def _state(clf):
    return on_cpu(clf.net_.module_.state_dict())


def _assert_equal(first, second):
    first, second = _state(first), _state(second)
    assert {name for name in first if not torch.equal(first[name], second[name])} == set()


@pytest.mark.parametrize("cls", METHODS)
def test_a_fit_repeats_itself_bit_by_bit(cls, few):
    first = _fit(cls, few)
    assert next(first.net_.module_.parameters()).is_cuda
    torch.rand(9, device="cuda")  # of the global generator, which no fit may read
    _assert_equal(first, _fit(cls, few))


def test_the_global_generators_stay(few):
    state = torch.cuda.get_rng_state()
    _fit(DANNClassifier, few)
    assert torch.equal(torch.cuda.get_rng_state(), state)


def test_fits_in_threads_are_those_one_by_one(few):
    serial = [_fit(cls, few) for cls in METHODS]
    with ThreadPoolExecutor(len(METHODS)) as pool:
        together = list(pool.map(lambda cls: _fit(cls, few), METHODS))
    for one, other in zip(serial, together, strict=True):
        _assert_equal(one, other)


_ON_THE_CPU = """
import os, pickle, sys, warnings
os.environ["CUDA_VISIBLE_DEVICES"] = ""
import numpy as np, torch, skda
assert not torch.cuda.is_available()
warnings.simplefilter("ignore")
path, rows, out = sys.argv[1:]
clf = skda.load(path) if path.endswith(".skda") else pickle.load(open(path, "rb"))
np.save(out, clf.predict_proba(np.load(rows)))
"""


@pytest.mark.parametrize("ending", ["skda", "pkl"])
def test_what_was_fitted_on_cuda_loads_where_there_is_none(ending, few, tmp_path):
    clf = _fit(DANNClassifier, few, device="auto")
    path = tmp_path / f"clf.{ending}"
    if ending == "skda":
        skda.save(clf, path)
    else:
        path.write_bytes(pickle.dumps(clf))
    np.save(tmp_path / "rows.npy", few["X"])
    command = [sys.executable, "-c", _ON_THE_CPU, path, tmp_path / "rows.npy", tmp_path / "p.npy"]
    subprocess.run(command, check=True)
    given = np.load(tmp_path / "p.npy")
    np.testing.assert_allclose(given, clf.predict_proba(few["X"]), atol=1e-4)


def test_exports_of_a_fit_on_cuda(few, tmp_path):
    clf = _fit(DANNClassifier, few)
    expected = clf.predict_proba(few["X"])
    network = on_cpu(clf.to_torch("probabilities"))
    with torch.no_grad():
        given = network(torch.as_tensor(few["X"], dtype=torch.float32)).numpy()
    np.testing.assert_allclose(given, expected, atol=1e-4)
    runtime = pytest.importorskip("onnxruntime")
    clf.to_onnx(tmp_path / "clf.onnx", "probabilities")
    session = runtime.InferenceSession(str(tmp_path / "clf.onnx"))
    (given,) = session.run(None, {session.get_inputs()[0].name: few["X"].astype(np.float32)})
    np.testing.assert_allclose(given, expected, atol=1e-4)


def test_memory_comes_back(few):
    params = {"module__hidden_layer_sizes": (2048, 2048)}
    for _ in range(2):  # workspaces of the libraries stay
        _fit(DANNClassifier, few, **params)
        gc.collect()
    before = torch.cuda.memory_allocated()
    for _ in range(2):
        clf = _fit(DANNClassifier, few, **params)
    held = sum(x.nbytes for _, x in clf.net_._tensors())
    assert torch.cuda.memory_allocated() - before < 4 * held + 2**20
    del clf
    gc.collect()
    assert torch.cuda.memory_allocated() - before < 2**20


class _Greedy(torch.nn.Module):
    """Asks for more than any device has."""

    def __init__(self, in_features):
        super().__init__()
        self.linear = torch.nn.Linear(in_features, 8)

    def forward(self, x):
        """Return features."""
        if self.training:
            torch.empty(2**45, device=x.device)
        return self.linear(x)


@pytest.mark.xfail(reason="torch's own message comes through alone")
def test_too_little_memory_says_what_to_do(few):
    clf = DeepCORALClassifier(module=_Greedy, **SHORT)
    with pytest.raises(torch.OutOfMemoryError) as caught:
        clf.fit(few["X"], few["y"], X_target=few["X_target"])
    text = " ".join([str(caught.value), *getattr(caught.value, "__notes__", [])])
    assert "batch_size" in text
    assert not hasattr(clf, "net_")


@pytest.mark.parametrize("cls", METHODS)
def test_a_training_goes_on_bit_by_bit(cls, few, tmp_path, monkeypatch):
    whole = _fit(cls, few)
    original, begun = AdaptationNet.run_single_epoch, []

    def run_single_epoch(self, iterator, training, **kwargs):
        begun.extend([1] * training)
        if training and len(begun) == 3:
            raise SystemExit
        return original(self, iterator, training, **kwargs)

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(AdaptationNet, "run_single_epoch", run_single_epoch)
        _fit(cls, few, checkpoint=tmp_path)
    again = cls(**SHORT, module__dropout=0.3, checkpoint=tmp_path)
    again.fit(few["X"], few["y"], X_target=few["X_target"], resume=True)
    _assert_equal(whole, again)


def test_an_interrupted_fit_keeps_its_last_whole_epoch(few):
    class Press(Callback):
        def on_batch_end(self, net, **kwargs):
            if len(net.history) == 2:
                raise KeyboardInterrupt

    clf = DANNClassifier(**SHORT, module__dropout=0.3, callbacks=[Press()])
    with pytest.raises(KeyboardInterrupt):
        clf.fit(few["X"], few["y"], X_target=few["X_target"])
    assert len(clf.history_) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert np.isfinite(clf.predict_proba(few["X"])).all()


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_mixed_precision_learns_and_repeats_itself(precision, few):
    clf = _fit(DANNClassifier, few, precision=precision)
    weights = _state(clf)
    assert all(x.dtype != getattr(torch, precision) for x in weights.values())
    assert all(torch.isfinite(x).all() for x in weights.values())
    _assert_equal(clf, _fit(DANNClassifier, few, precision=precision))


def test_deterministic_algorithms(few):
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        _assert_equal(_fit(DANNClassifier, few), _fit(DANNClassifier, few))
    finally:
        torch.use_deterministic_algorithms(before)


def test_cuda_and_cpu_learn_the_same(few):
    accuracies = []
    for device in ("cpu", "cuda"):
        clf = DANNClassifier(module=MLP, max_epochs=15, random_state=0, device=device)
        clf.fit(few["X"], few["y"], X_target=few["X_target"])
        accuracies.append(clf.score(few["X_target"], few["y_target"]))
    assert abs(accuracies[0] - accuracies[1]) < 0.12
