"""Pictures are turned upright."""

from io import BytesIO

import numpy as np
import pytest
from image_files import encoded, tiff

from skda.images import ImageReading, read_image

pillow = pytest.importorskip("PIL.Image")
ImageOps = pytest.importorskip("PIL.ImageOps")

# Smooth, so that JPEG keeps it, and without symmetry.
UPRIGHT = np.add.outer(10 * np.arange(6), 4 * np.arange(8)).astype(np.uint8)
UPRIGHT = np.dstack([UPRIGHT, 2 * UPRIGHT, 255 - UPRIGHT])
# How the camera has to store the picture, for every orientation, in the words of numpy.
STORED = {
    1: UPRIGHT,
    2: UPRIGHT[:, ::-1],
    3: UPRIGHT[::-1, ::-1],
    4: UPRIGHT[::-1],
    5: UPRIGHT.swapaxes(0, 1),
    6: np.rot90(UPRIGHT, 1),
    7: UPRIGHT[::-1, ::-1].swapaxes(0, 1),
    8: np.rot90(UPRIGHT, -1),
}
FORMATS = {
    "jpeg": dict(quality=100, subsampling=0),
    "png": {},
    "webp": dict(lossless=True),
    "tiff": {},
}


def stored(orientation, form="jpeg"):
    exif = pillow.Exif()
    exif[0x0112] = orientation
    picture = pillow.fromarray(np.ascontiguousarray(STORED[orientation]))
    return encoded(picture, form, exif=exif, **FORMATS[form])


def assert_like(picture, wanted):
    pixels = np.asarray(picture).astype(int)
    assert pixels.shape == wanted.shape
    assert np.abs(pixels - wanted).max() <= 4


@pytest.mark.parametrize("form", list(FORMATS))
@pytest.mark.parametrize("orientation", list(STORED))
def test_all_orientations(orientation, form):
    file = stored(orientation, form)
    assert_like(read_image(file), UPRIGHT)
    assert_like(read_image(pillow.open(BytesIO(file))), UPRIGHT)
    loaded = pillow.open(BytesIO(file))
    loaded.load()
    assert_like(read_image(loaded), UPRIGHT)
    grey = read_image(file, reading=ImageReading(n_channels=1))
    assert grey.size == (8, 6)


@pytest.mark.parametrize("orientation", [3, 6])
def test_pictures_made_of_a_photograph(orientation):
    """They carry its EXIF data along."""
    picture = pillow.open(BytesIO(stored(orientation))).convert("RGB")
    before = picture.tobytes(), picture.size
    assert_like(read_image(picture), UPRIGHT)
    assert (picture.tobytes(), picture.size) == before
    assert_like(read_image(ImageOps.exif_transpose(picture)), UPRIGHT)


def test_result_is_not_turned_again():
    assert_like(ImageOps.exif_transpose(read_image(stored(6))), UPRIGHT)


def test_orientation_in_xmp():
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r tiff:Orientation="6"/></x:xmpmeta>'
    picture = pillow.fromarray(np.ascontiguousarray(STORED[6]))
    picture.info["xmp"] = xmp
    if 0x0112 not in picture.getexif():
        pytest.skip("needs a Pillow that looks into these data")
    assert_like(read_image(picture), UPRIGHT)


@pytest.mark.parametrize("form", ["jpeg", "png", "webp"])
def test_as_stored(form):
    reading = ImageReading(exif_orientation=False)
    assert_like(read_image(stored(6, form), reading=reading), STORED[6])


@pytest.mark.parametrize("exif", [b"Exif\0\0II*\0\xff\xff", b"Exif\0\0", b"abc", b""])
def test_damaged_data(exif):
    picture = pillow.fromarray(UPRIGHT)
    assert_like(read_image(encoded(picture, "png", exif=exif)), UPRIGHT)
    picture.info["exif"] = exif
    assert_like(read_image(picture), UPRIGHT)


def test_unknown_orientation():
    exif = pillow.Exif()
    exif[0x0112] = 11
    assert_like(read_image(encoded(pillow.fromarray(UPRIGHT), "png", exif=exif)), UPRIGHT)


def test_deep_pictures_are_turned():
    exif = pillow.Exif()
    exif[0x0112] = 6
    deep = np.rot90(UPRIGHT[..., 0], 1).astype(np.uint16) * 257
    picture = pillow.fromarray(np.ascontiguousarray(deep))
    for form in ("png", "tiff"):
        assert_like(read_image(encoded(picture, form, exif=exif)), UPRIGHT[..., [0, 0, 0]])


def test_tiff_without_orientation():
    assert_like(read_image(tiff(UPRIGHT)), UPRIGHT)
