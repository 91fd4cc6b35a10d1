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
    from skda.backbones._torchvision import TorchvisionLibrary

    weights = models.get_model_weights(name).DEFAULT
    own, theirs = TorchvisionLibrary().preprocess(None, weights, []), weights.transforms()
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
        dict(std=()),
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


@pytest.mark.parametrize("mean", [0.5, (0.5,)], ids=str)
def test_grey_images(mean):
    grey = PICTURES[0].convert("L")
    own = ImagePreprocess(size=grey.size[::-1], crop_pct=1.0, mean=mean, std=0.25)
    pixels = own(grey)
    assert pixels.shape == (1, *own.size)
    np.testing.assert_allclose(pixels[0], (np.asarray(grey) / 255 - 0.5) / 0.25, atol=1e-6)


def test_numbers_take_images_of_either_kind():
    own = ImagePreprocess(size=20, mean=0.5, std=0.25)
    assert own.n_channels is None
    assert own(PICTURES[0]).shape == (3, 20, 20) and own(PICTURES[0].convert("L")).shape[0] == 1
    assert own.to_grey() is own


@pytest.mark.parametrize(
    ("mean", "mode", "wanted"),
    [((0.5,), "RGB", "L"), ((0.1, 0.2, 0.3), "L", "RGB"), (0.5, "I", "L")],
)
def test_images_of_another_mode(mean, mode, wanted):
    with pytest.raises(
        ValueError, match=f"images must be in mode {wanted}.* got one in mode {mode}"
    ):
        ImagePreprocess(size=20, mean=mean, std=0.5)(PICTURES[0].convert(mode))


def test_means_and_deviations_of_different_channels():
    with pytest.raises(ValueError, match=r"preprocess: mean=.* another number of channels"):
        ImagePreprocess(mean=(0.5,), std=(0.1, 0.2, 0.3))


def test_grey_is_the_mean_over_channels():
    grey = ImagePreprocess(mean=(0.1, 0.2, 0.3), std=0.5).to_grey()
    assert grey.mean == pytest.approx((0.2,)) and grey.std == 0.5 and grey.n_channels == 1


def test_dict_for_a_grey_network_without_a_preprocessing_of_its_own():
    assert resolve_preprocess(dict(size=32), None, 1) == ImagePreprocess(size=32).to_grey()
    assert resolve_preprocess(dict(size=32), None, 3) == ImagePreprocess(size=32)
