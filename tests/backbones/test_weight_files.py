"""Files of weights that promise more than they hold, and the hash of what is loaded."""

import hashlib
import json
import time
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from skda.backbones import BackboneResolver, load_weights
from skda.feature_extraction import DeepFeatureExtractor
from skda.fine_tuning import FineTuneClassifier

X = np.random.default_rng(0).normal(size=(12, 6)).astype(np.float32)
Y = np.arange(12) % 3


def _state(**changed):
    return {"weight": torch.ones(2, 6), "bias": torch.zeros(2), **changed}


@pytest.fixture(params=["pt", "safetensors"])
def saved(request, tmp_path):
    path = tmp_path / f"weights.{request.param}"
    if request.param == "pt":
        torch.save(_state(), path)
    else:
        pytest.importorskip("safetensors.torch").save_file(_state(), path)
    return path


def _sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


# -- hashes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [FineTuneClassifier, DeepFeatureExtractor])
@pytest.mark.parametrize("change", [str.lower, str.upper])
def test_the_file_with_the_hash_is_loaded(kind, change, saved):
    params = {"max_epochs": 1, "lr": 1e-9} if kind is FineTuneClassifier else {}
    model = kind(
        module=nn.Linear(6, 2), weights=saved, weights_sha256=change(_sha256(saved)), **params
    ).fit(X, Y)
    np.testing.assert_allclose(model.transform(X)[:, 0], X.sum(axis=1), atol=1e-5)


@pytest.mark.parametrize("kind", [FineTuneClassifier, DeepFeatureExtractor])
def test_a_file_with_another_hash_is_refused(kind, saved):
    model = kind(module=nn.Linear(6, 2), weights=saved, weights_sha256="0" * 64)
    with pytest.raises(ValueError, match=rf"^weights_sha256=.*that of .* is {_sha256(saved)}"):
        model.fit(X, Y)


@pytest.mark.parametrize(
    ("weights", "given"),
    [("pretrained", "'pretrained'"), (None, "None"), (_state(), "a mapping")],
    ids=["pretrained", "none", "mapping"],
)
@pytest.mark.parametrize("kind", [FineTuneClassifier, DeepFeatureExtractor])
def test_what_is_no_file_has_no_hash(kind, weights, given):
    model = kind(module=nn.Linear(6, 2), weights=weights, weights_sha256="0" * 64)
    with pytest.raises(ValueError, match=f"weights_sha256 is the hash of a file, .* {given};"):
        model.fit(X, Y)


@pytest.mark.parametrize("named", ["enumeration", "name"])
def test_published_weights_have_no_hash(named):
    models = pytest.importorskip("torchvision.models")
    entry = models.ResNet18_Weights.IMAGENET1K_V1
    weights = entry if named == "enumeration" else entry.name
    with pytest.raises(ValueError, match=r"weights_sha256 is the hash of a file.*IMAGENET1K_V1"):
        resolver = BackboneResolver(models.resnet18(), weights, {}, sha256="0" * 64)
        resolver.start()
        resolver.build((3, 32, 32))


def test_what_is_no_hash_is_told(saved):
    with pytest.raises(ValueError, match=r"weights_sha256='abc' is no SHA-256.*64"):
        load_weights(nn.Linear(6, 2), saved, sha256="abc")


def test_what_has_the_hash_is_what_is_loaded(saved, monkeypatch):
    """Not what stands in the file when it is read a second time."""
    good, read = _sha256(saved), Path.read_bytes

    def read_and_exchange(path):
        content = read(path)
        path.write_bytes(b"another file")
        return content

    monkeypatch.setattr(Path, "read_bytes", read_and_exchange)
    network = nn.Linear(6, 2)
    load_weights(network, saved, sha256=good)
    assert network.weight.eq(1).all()


def test_a_tilde_is_the_home_folder(saved, monkeypatch):
    monkeypatch.setenv("HOME", str(saved.parent))
    monkeypatch.setenv("USERPROFILE", str(saved.parent))
    network = nn.Linear(6, 2)
    load_weights(network, f"~/{saved.name}")
    assert network.weight.eq(1).all()


# -- sizes --------------------------------------------------------------------------------------


def _refused(path, message):
    """Refuse a file, and return the seconds and the MiB that it took."""
    tracemalloc.start()
    start = time.perf_counter()
    with pytest.raises(ValueError, match=message):
        load_weights(nn.Linear(6, 2), path)
    seconds, mib = time.perf_counter() - start, tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    return seconds, mib


@pytest.mark.parametrize("with_hash", [False, True])
def test_a_compressed_archive_is_refused_before_it_is_unpacked(tmp_path, with_hash):
    stored, bomb = tmp_path / "stored.pt", tmp_path / "bomb.pt"
    torch.save({"weight": torch.zeros(2_000_000), "bias": torch.zeros(2)}, stored)
    with zipfile.ZipFile(stored) as source, zipfile.ZipFile(bomb, "w") as packed:
        for entry in source.infolist():
            packed.writestr(entry.filename, source.read(entry), zipfile.ZIP_DEFLATED)
    assert bomb.stat().st_size < 20_000
    sha256 = _sha256(bomb) if with_hash else None
    with pytest.raises(ValueError, match=r"bomb\.pt cannot be read as weights: .*compressed"):
        load_weights(nn.Linear(6, 2), bomb, sha256=sha256)


def test_one_stored_entry_named_twice_does_not_multiply(tmp_path):
    """Entries may overlap in a file that is smaller than their sum."""
    path = tmp_path / "weights.pt"
    torch.save(_state(), path)
    content = bytearray(path.read_bytes())
    where = content.index(b"PK\x01\x02")  # in the directory: 24 bytes on is the unpacked size
    content[where + 24 : where + 28] = (2**31).to_bytes(4, "little")
    path.write_bytes(content)
    seconds, mib = _refused(path, "cannot be read as weights: .*archive")
    assert seconds < 5 and mib < 10


@pytest.mark.parametrize("length", [2**62, 2**40, 60_000_000])
def test_a_header_that_none_can_have_is_refused_before_it_is_read(tmp_path, length):
    pytest.importorskip("safetensors")
    path = tmp_path / "weights.safetensors"
    with path.open("wb") as file:
        file.write(length.to_bytes(8, "little"))
        file.write(b'{"a": ' + b"[" * 1000)
        file.truncate(min(length, 70_000_000) + 8)  # of holes, on most disks
    seconds, mib = _refused(path, rf"header is said to have {length} bytes")
    assert seconds < 5 and mib < 10


def test_a_file_that_is_shorter_than_its_header_says(tmp_path):
    pytest.importorskip("safetensors")
    path = tmp_path / "weights.safetensors"
    header = json.dumps({"w": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4 * 10**12]}})
    path.write_bytes(len(header).to_bytes(8, "little") + header.encode())
    _refused(path, "cannot be read as weights")


def test_a_tensor_that_is_said_to_be_larger_than_memory_is_not_looked_through(tmp_path):
    path = tmp_path / "weights.pt"
    torch.save(_state(weight=torch.ones(1).expand(10**13)), path)
    seconds, _ = _refused(path, r"size mismatch for weight \(\(10000000000000,\) in place of")
    assert seconds < 5


# -- values -------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("key", ["weight", "bias"])
def test_weights_that_are_not_finite_are_named(key, value):
    state = _state()
    state[key][-1] = value
    kind = "NaN" if value != value else "infinity"
    with pytest.raises(ValueError, match=f"the mapping holds {kind} at '{key}'"):
        load_weights(nn.Linear(6, 2), state)


def test_a_mask_that_is_infinite_in_the_network_may_be_so_in_the_file():
    class Masked(nn.Linear):
        def __init__(self):
            super().__init__(6, 2)
            self.register_buffer("mask", torch.tensor([0.0, -torch.inf]))

    state = Masked().state_dict()
    load_weights(Masked(), state)
    with pytest.raises(ValueError, match="NaN at 'mask'"):
        load_weights(Masked(), {**state, "mask": torch.tensor([0.0, torch.nan])})


@pytest.mark.parametrize("dtype", [torch.int8, torch.int64, torch.bool, torch.complex64])
def test_weights_that_are_no_floats_are_named(dtype):
    with pytest.raises(ValueError, match=r"values at 'weight', where floats belong"):
        load_weights(nn.Linear(6, 2), _state(weight=torch.ones(2, 6).to(dtype)))


def test_half_precision_is_fine():
    network = nn.Linear(6, 2)
    load_weights(network, {key: value.bfloat16() for key, value in _state().items()})
    assert network.weight.dtype == torch.float32 and network.weight.eq(1).all()


def test_a_folder_with_weights_that_are_not_finite_is_refused(tmp_path):
    timm = pytest.importorskip("timm")
    pytest.importorskip("huggingface_hub")
    from timm.models import save_for_hf

    network = timm.create_model("test_resnet", num_classes=3)
    with torch.no_grad():
        network.layer1[0].conv1.weight[0] = torch.nan
    save_for_hf(network, tmp_path)
    with pytest.raises(ValueError, match=r"hold NaN or infinity at 'layer1\.0\.conv1\.weight'"):
        BackboneResolver(str(tmp_path), "pretrained", {}).start()
