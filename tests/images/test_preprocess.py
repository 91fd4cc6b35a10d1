"""From a picture to the input of a network."""

import pickle

import numpy as np
import pytest
import torch

from skda.images import ImagePreprocess, resolve_preprocess

pillow = pytest.importorskip("PIL.Image")

RNG = np.random.RandomState(0)
SIZES = [(60, 81), (97, 50), (40, 40)]
PICTURES = [pillow.fromarray(RNG.randint(256, size=(*size, 3)).astype(np.uint8)) for size in SIZES]


@pytest.mark.parametrize("crop_mode", ["center", "squash"])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize(("size", "crop_pct"), [(32, 0.875), (48, 0.9), (33, 1.0)])
def test_same_pixels_as_timm(size, crop_pct, interpolation, crop_mode):
    data = pytest.importorskip("timm.data")
    entries = dict(
        crop_pct=crop_pct,
        interpolation=interpolation,
        crop_mode=crop_mode,
        mean=(0.4, 0.5, 0.6),
        std=(0.2, 0.3, 0.25),
    )
    theirs = data.create_transform((3, size, size), is_training=False, **entries)
    own = ImagePreprocess(size=size, **entries)
    for picture in PICTURES:
        torch.testing.assert_close(own(picture), theirs(picture), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["alexnet", "regnet_y_800mf", "swin_v2_t", "vit_b_16"])
def test_same_pixels_as_torchvision(name):
    models = pytest.importorskip("torchvision.models")
    from skda.backbones._names import _published_preprocess

    weights = models.get_model_weights(name).DEFAULT
    own, theirs = _published_preprocess(weights), weights.transforms()
    for picture in PICTURES:
        torch.testing.assert_close(own(picture), theirs(picture), rtol=0, atol=1e-5)


def test_height_and_width():
    assert ImagePreprocess(size=(20, 30))(PICTURES[0]).shape == (3, 20, 30)


def test_squash_keeps_the_whole_image():
    image = pillow.new("RGB", (90, 30))
    image.paste((255, 255, 255), (0, 0, 5, 30))
    kept, cut = (
        ImagePreprocess(size=30, crop_pct=1.0, mean=0, std=1, crop_mode=mode)(image)
        for mode in ("squash", "center")
    )
    assert kept.max() > 0.5 and cut.max() == 0


def test_can_be_pickled():
    own = ImagePreprocess(size=20)
    assert pickle.loads(pickle.dumps(own)) == own


@pytest.mark.parametrize(
    "entry",
    [
        dict(size=0),
        dict(size=(3, 4, 5)),
        dict(crop_pct=1.5),
        dict(crop_pct=0),
        dict(std=0),
        dict(mean=(0.5, 0.5)),
        dict(interpolation="cubic"),
        dict(crop_mode="border"),
    ],
    ids=str,
)
def test_bad_value(entry):
    with pytest.raises(ValueError, match=f"preprocess: {next(iter(entry))} must be"):
        resolve_preprocess(entry, None)


def test_dict_changes_the_networks_own():
    own = ImagePreprocess(size=96, std=0.5)
    assert resolve_preprocess(dict(mean=0.1), own) == ImagePreprocess(size=96, std=0.5, mean=0.1)
    assert resolve_preprocess("auto", own) is own


def test_dict_without_a_network_changes_imagenets():
    assert resolve_preprocess(dict(size=32), None) == ImagePreprocess(size=32)


def test_unknown_entry():
    with pytest.raises(ValueError, match="no entry 'crop'; the entries are size, crop_pct"):
        resolve_preprocess(dict(crop=32), None)


def test_dict_for_a_preprocessing_of_another_kind():
    with pytest.raises(ValueError, match="pass a callable"):
        resolve_preprocess(dict(size=32), lambda image: image)
