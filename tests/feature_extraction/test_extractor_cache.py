"""The extractor with engines and with a cache."""

import functools
import pickle
import sqlite3

import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC
from torch import nn

from skda.feature_extraction import DeepFeatureExtractor, _cache

IMAGES = np.random.RandomState(0).rand(50, 3, 12, 12).astype(np.float32)
N_ROWS = []  # that went through any Counted network


class Counted(nn.Module):
    """Counts its rows."""

    def __init__(self, width=4):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3)

    def forward(self, x):
        return self.conv(x).mean(dim=(2, 3))


@pytest.fixture(autouse=True)
def start_counting():
    """Count from outside: what the network reads is part of the key."""
    N_ROWS.clear()

    def count(module, inputs):
        if isinstance(module, Counted):
            N_ROWS.append(len(inputs[0]))

    handle = nn.modules.module.register_module_forward_pre_hook(count)
    yield
    handle.remove()


def _computed_rows(function, *args):
    before = sum(N_ROWS)
    result = function(*args)
    return result, sum(N_ROWS) - before


def _extractor(cache, **params):
    params = {"engine": "eager", "batch_size": 8, "random_state": 0, **params}
    return DeepFeatureExtractor(Counted, cache=cache, **params).fit(IMAGES)


def test_rows_are_computed_once(tmp_path):
    extractor = _extractor(tmp_path)
    expected = _extractor(None).transform(IMAGES)
    first, n_first = _computed_rows(extractor.transform, IMAGES[:30])
    assert n_first >= 30
    again, n_again = _computed_rows(extractor.transform, IMAGES[:30])
    assert n_again == 0
    both, n_both = _computed_rows(extractor.transform, IMAGES[::-1])
    assert n_both == 20
    for features, wanted in (
        (first, expected[:30]),
        (again, expected[:30]),
        (both, expected[::-1]),
    ):
        np.testing.assert_allclose(features, wanted, atol=1e-6)


@pytest.mark.parametrize(
    "changed",
    [
        {"random_state": 1},
        {"power": 2.0},
        {"normalize": True},
        {"augment": "flip"},
        {"module__width": 5},
        {"layers": "conv"},
        {"precision": "bfloat16"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_other_settings_have_rows_of_their_own(tmp_path, changed):
    _extractor(tmp_path).transform(IMAGES)
    other = _extractor(tmp_path, **changed)
    features, n_rows = _computed_rows(other.transform, IMAGES)
    assert n_rows >= 50
    np.testing.assert_allclose(features, _extractor(None, **changed).transform(IMAGES), atol=1e-6)


def test_clones_pickles_and_other_batch_sizes_find_the_rows(tmp_path):
    extractor = _extractor(tmp_path)
    features = extractor.transform(IMAGES)
    for other in (pickle.loads(pickle.dumps(extractor)), _extractor(tmp_path, batch_size=50)):
        again, n_rows = _computed_rows(other.transform, IMAGES)
        assert n_rows == 0
        np.testing.assert_array_equal(again, features)


def test_in_a_search_every_image_is_extracted_once(tmp_path):
    y = np.arange(50) % 2
    extractor = DeepFeatureExtractor(
        Counted, cache=tmp_path, engine="eager", batch_size=8, random_state=0
    )
    search = GridSearchCV(
        make_pipeline(extractor, LinearSVC()), {"linearsvc__C": [0.1, 1, 10]}, cv=5
    )
    search.fit(IMAGES, y)
    n_fits = 3 * 5 + 1
    # Every fit runs one row, and the first engine two rows to see how the network takes them.
    assert sum(N_ROWS) - 50 <= n_fits + 8
    assert sum(N_ROWS) >= 50


def test_unreadable_files_are_not_remembered(tmp_path):
    Image = pytest.importorskip("PIL.Image")
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for number, path in enumerate(paths):
        Image.fromarray(np.full((12, 12, 3), 80 * number, dtype=np.uint8)).save(path)
    whole = paths[1].read_bytes()
    extractor = DeepFeatureExtractor(
        Counted, cache=tmp_path / "cache", engine="eager", on_error="nan", random_state=0
    ).fit(paths)
    paths[1].write_bytes(whole[:20])
    with pytest.warns(UserWarning, match="1 of 3 images"):
        features = extractor.transform(paths)
    assert np.isnan(features[1]).all() and np.isfinite(features[[0, 2]]).all()
    paths[1].write_bytes(whole)
    features, n_rows = _computed_rows(extractor.transform, paths)
    assert np.isfinite(features).all() and n_rows == 1


def test_cache_writes_into_out_and_tensors(tmp_path):
    extractor = _extractor(tmp_path)
    expected = extractor.transform(IMAGES)
    out = np.zeros_like(expected)
    assert extractor.transform(IMAGES, out=out) is out
    np.testing.assert_array_equal(out, expected)
    tensor = extractor.transform(torch.from_numpy(IMAGES))
    assert isinstance(tensor, torch.Tensor)
    np.testing.assert_array_equal(tensor.numpy(), expected)


def test_what_has_no_digest_is_an_error(tmp_path):
    module = Counted()
    module.opaque = object()
    extractor = DeepFeatureExtractor(module, cache=tmp_path).fit(IMAGES)
    with pytest.raises(ValueError, match=r"cache: .*object"):
        extractor.transform(IMAGES)


@pytest.mark.parametrize("reason", ["readonly database", "disk I/O error", "database is full"])
@pytest.mark.parametrize("call", ["get", "put"])
def test_a_cache_that_cannot_be_used_is_told_once_and_done_without(
    tmp_path, monkeypatch, reason, call
):
    expected = _extractor(None).transform(IMAGES)
    extractor = _extractor(tmp_path / "cache")
    extractor.transform(IMAGES[:10])
    before = _files(tmp_path)

    def refuse(*args):
        raise sqlite3.OperationalError(reason)

    monkeypatch.setattr(_cache, {"get": "_select", "put": "_insert"}[call], refuse)
    with pytest.warns(UserWarning, match=r"^cache: .*cannot be used") as told:
        features, n_rows = _computed_rows(extractor.transform, IMAGES)
    assert len(told) == 1 and told[0].filename == __file__
    assert n_rows == {"get": 50, "put": 40}[call]  # what is there is read all the same
    np.testing.assert_allclose(features, expected, atol=1e-6)
    assert _files(tmp_path) == before


def _files(folder):
    return {path.name for path in folder.rglob("rows.sqlite3")}


def test_a_disk_that_fills_up_is_told_once(tmp_path, monkeypatch):
    open_database = _cache._open

    def open_small(path):
        connection = open_database(path)
        connection.execute("PRAGMA max_page_count = 5")  # SQLite's own "disk is full"
        return connection

    monkeypatch.setattr(_cache, "_open", open_small)
    extractor = _extractor(tmp_path)
    rows = np.random.RandomState(1).rand(400, 3, 4, 4).astype(np.float32)
    with pytest.warns(UserWarning, match="full") as told:
        features, n_rows = _computed_rows(extractor.fit(rows).transform, rows)
    assert len(told) == 1 and n_rows >= 400 and np.isfinite(features).all()


def test_a_file_in_place_of_the_folder_is_done_without(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.warns(UserWarning, match="cache: .*file' cannot be used"):
        features = _extractor(tmp_path / "file").transform(IMAGES)
    np.testing.assert_allclose(features, _extractor(None).transform(IMAGES), atol=1e-6)
    assert (tmp_path / "file").read_text() == "mine"


SCALE = 1.0


def _scaled(image):
    return np.asarray(image, dtype=np.float32).transpose(2, 0, 1) * SCALE


def test_a_changed_constant_of_the_preprocessing_has_rows_of_its_own(tmp_path, monkeypatch):
    images = np.random.RandomState(0).randint(256, size=(9, 12, 12, 3)).astype(np.uint8)
    make = functools.partial(_extractor, preprocess=_scaled)
    before = make(tmp_path).fit(images).transform(images)
    monkeypatch.setitem(globals(), "SCALE", 2.0)
    after = make(tmp_path).fit(images).transform(images)
    np.testing.assert_allclose(after, make(None).fit(images).transform(images), rtol=1e-5)
    assert not np.allclose(after, before)


def test_a_preprocessing_that_reads_what_cannot_be_told_is_refused(tmp_path):
    opaque = object()

    def preprocess(image):
        return torch.zeros(3, 12, 12) if opaque else None

    images = np.zeros((2, 12, 12, 3), dtype=np.uint8)
    extractor = DeepFeatureExtractor(Counted, preprocess=preprocess, cache=tmp_path).fit(images)
    with pytest.raises(ValueError, match=r"cache: .*object objects have no digest.*cache=None"):
        extractor.transform(images)


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    _extractor("~/features").transform(IMAGES[:3])
    assert _files(tmp_path / "home" / "features") and not (tmp_path / "~").exists()


def _two_layers(in_channels):
    return nn.Sequential(nn.Conv2d(in_channels, 64, 3), nn.ReLU(), nn.Conv2d(64, 64, 3))


@pytest.mark.parametrize("engine", ["openvino", "onnxruntime"])
def test_engines_give_the_same_features(engine):
    pytest.importorskip(engine)
    if engine == "onnxruntime":
        pytest.importorskip("onnxscript")
    make = functools.partial(
        DeepFeatureExtractor, _two_layers, layers=("0", "features"), random_state=0
    )
    features = make(engine=engine, precision="float32").fit_transform(IMAGES)
    eager = make(engine="eager", precision="float32").fit_transform(IMAGES)
    np.testing.assert_allclose(features, eager, atol=1e-4 * np.abs(eager).max())


@pytest.mark.parametrize("params", [{"engine": "tensorrt"}, {"precision": "int8"}, {"cache": 3}])
def test_bad_parameters(params):
    with pytest.raises(ValueError, match=next(iter(params))):
        DeepFeatureExtractor(Counted, **params).fit(IMAGES)
