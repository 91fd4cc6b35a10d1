"""The extractor with engines and with a cache."""

import functools
import pickle

import numpy as np
import pytest
import torch
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC
from torch import nn

from skda.feature_extraction import DeepFeatureExtractor

IMAGES = np.random.RandomState(0).rand(50, 3, 12, 12).astype(np.float32)
N_ROWS = []  # that went through any Counted network


class Counted(nn.Module):
    """Counts its rows."""

    def __init__(self, width=4):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3)

    def forward(self, x):
        N_ROWS.append(len(x))
        return self.conv(x).mean(dim=(2, 3))


@pytest.fixture(autouse=True)
def start_counting():
    N_ROWS.clear()


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


def test_a_file_in_place_of_the_folder_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="cache: "):
        _extractor(tmp_path / "file").transform(IMAGES)


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
