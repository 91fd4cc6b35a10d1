"""Bytes go to the device, and become floats there, bit for bit those of before."""

import numpy as np
import pytest
import torch
from torch import nn

from skda.feature_extraction import DeepFeatureExtractor
from skda.images import ImagePreprocess, ImageRows, PixelRows, normalise_pixels

PIXELS = np.random.RandomState(0).randint(256, size=(9, 16, 12, 3)).astype(np.uint8)
SCALED = PIXELS.transpose(0, 3, 1, 2) / np.float32(255)
PREPROCESS = {"size": (10, 8), "interpolation": "bicubic"}
ImageModule = pytest.importorskip("PIL.Image")


@pytest.fixture
def moved(monkeypatch):
    """The types of all that goes through the extractor before it is made the network's input."""
    seen, as_input = [], DeepFeatureExtractor._as_input
    monkeypatch.setattr(
        DeepFeatureExtractor,
        "_as_input",
        staticmethod(lambda batch, X: (seen.append(batch.dtype), as_input(batch, X))[1]),
    )
    return seen


def _extractor(**params):
    return DeepFeatureExtractor(nn.Flatten(), batch_size=4, device="cpu", **params)


def _rows(kind):
    if kind == "pictures":
        return [ImageModule.fromarray(row) for row in PIXELS]
    if kind == "channels first":
        return PIXELS.transpose(0, 3, 1, 2)
    return torch.from_numpy(PIXELS) if kind == "tensor" else PIXELS


@pytest.mark.parametrize("kind", ["pictures", "array", "channels first", "tensor"])
def test_scaled_pixels(kind, moved):
    features = _extractor().fit_transform(_rows(kind))
    np.testing.assert_array_equal(np.asarray(features), SCALED.reshape(9, -1))
    assert set(moved[-3:]) == {torch.uint8}


@pytest.mark.parametrize("kind", ["pictures", "array", "channels first", "tensor"])
def test_resized_and_normalised_pixels(kind, moved):
    expected = [ImagePreprocess(**PREPROCESS)(picture) for picture in _rows("pictures")]
    features = _extractor(preprocess=PREPROCESS).fit_transform(_rows(kind))
    np.testing.assert_array_equal(np.asarray(features), torch.stack(expected).flatten(1))
    assert set(moved[-3:]) == {torch.uint8}


def test_pixels_of_a_preprocessing_of_the_users_own_are_floats(moved):
    own = lambda picture: np.asarray(picture, dtype=np.float64).transpose(2, 0, 1) / 255  # noqa: E731
    features = _extractor(preprocess=own).fit_transform(_rows("pictures"))
    np.testing.assert_array_equal(features, SCALED.reshape(9, -1))
    assert set(moved) == {torch.float32}


def test_a_subclass_may_normalise_otherwise():
    class Other(ImagePreprocess):
        def __call__(self, image):
            return super().__call__(image) * 2

    assert PixelRows.of(ImageRows(_rows("pictures"), Other(**PREPROCESS))) is None


def test_grey_pictures():
    grey = [ImageModule.fromarray(row[:, :, 0]) for row in PIXELS]
    features = _extractor().fit_transform(grey)
    np.testing.assert_array_equal(features, SCALED[:, :1].repeat(3, axis=1).reshape(9, -1))


def test_pictures_that_cannot_be_read_stay_nan():
    rows = _rows("pictures")
    rows[2] = b"no image"
    with pytest.warns(UserWarning, match="1 of 9 images"):
        features = _extractor(preprocess=PREPROCESS, on_error="nan").fit_transform(rows)
    assert np.isnan(features).any(axis=1).nonzero()[0].tolist() == [2]


def test_a_message_tells_the_size_of_inputs_and_not_of_bytes():
    extractor = _extractor().fit(PIXELS)
    extractor.module_ = nn.Sequential(nn.Flatten(), nn.Threshold(-1, 0))
    extractor.module_.register_forward_hook(lambda module, inputs, output: output / 0)
    with pytest.raises(ValueError, match=r"row 0 are not finite, where its inputs go up to 1 "):
        extractor.transform(np.full_like(PIXELS, 255))


@pytest.mark.parametrize("with_preprocess", [False, True])
def test_what_was_made_in_a_transform_serves_a_training(with_preprocess):
    preprocess = ImagePreprocess(size=7, mean=0.25, std=0.125) if with_preprocess else None
    with torch.inference_mode():
        normalise_pixels(torch.zeros(2, 7, 7, 3, dtype=torch.uint8), preprocess)
    pixels = normalise_pixels(torch.ones(2, 7, 7, 3, dtype=torch.uint8), preprocess)
    weight = torch.ones((), requires_grad=True)
    (pixels * weight).sum().backward()
    assert weight.grad is not None
