"""Features that are not finite are an error, whatever `on_error` says."""

import numpy as np
import pytest
import torch
from torch import nn

from skda.feature_extraction import DeepFeatureExtractor

X = np.random.RandomState(0).rand(40, 6).astype(np.float32)


@pytest.fixture(params=[False, True], ids=["computed", "remembered"])
def cache(request, tmp_path):
    return tmp_path if request.param else None


def _extractor(cache, **params):
    network = nn.Sequential(nn.Linear(6, 4), nn.Softmax(dim=1))
    nn.init.ones_(network[0].weight)
    params = {"batch_size": 8, "on_error": "nan", "device": "cpu", "cache": cache, **params}
    return DeepFeatureExtractor(network, **params).fit(X)


def test_inputs_that_overflow_are_named(cache):
    rows = X.copy()
    rows[[13, 29]] = 3e38
    extractor = _extractor(cache)
    with pytest.raises(ValueError, match=r"X: .* of row 13 .* up to 3e\+38 in size.*Scale"):
        extractor.transform(rows)
    assert np.isfinite(extractor.transform(X)).all()


def test_a_network_that_is_no_numbers_is_named(cache):
    extractor = _extractor(cache)
    with torch.no_grad():
        extractor.module_[0].bias[2] = torch.nan
    with pytest.raises(ValueError, match=r"row 0 are not finite.*NaN in the weights of module"):
        extractor.transform(X)


def test_rows_that_the_cache_has_in_part_are_numbered_as_in_X(tmp_path):
    extractor = _extractor(tmp_path)
    extractor.transform(X[:20])
    rows = X.copy()
    rows[33] = 3e38
    with pytest.raises(ValueError, match="features of row 33 "):
        extractor.transform(rows)


@pytest.mark.parametrize("with_cache", [False, True])
def test_images_that_cannot_be_read_stay_nan(with_cache, tmp_path):
    Image = pytest.importorskip("PIL.Image")
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for number, path in enumerate(paths):
        Image.fromarray(np.full((6, 6, 3), 80 * number + 5, dtype=np.uint8)).save(path)
    extractor = DeepFeatureExtractor(
        _Inverse(), on_error="nan", cache=tmp_path / "cache" if with_cache else None
    ).fit(paths)
    paths[1].write_bytes(b"no image")
    with pytest.warns(UserWarning, match="1 of 3 images"):
        features = extractor.transform(paths)
    assert np.isnan(features[1]).all() and np.isfinite(features[[0, 2]]).all()
    Image.fromarray(np.zeros((6, 6, 3), dtype=np.uint8)).save(paths[1])
    with pytest.raises(ValueError, match="features of row 1 are not finite"):
        extractor.transform(paths)


class _Inverse(nn.Module):
    """Infinite for black images, which are what stands for one that cannot be read."""

    def forward(self, x):
        return 1 / x.mean(dim=(2, 3))
