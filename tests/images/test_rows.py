"""Lists of images, and rows that are decoded when they are read."""

import pickle
from io import BytesIO

import numpy as np
import pytest
import torch

from skda.images import (
    ImageRows,
    UnreadableImageError,
    as_image_list,
    read_image,
)

pillow = pytest.importorskip("PIL.Image")

PIXELS = np.random.RandomState(0).randint(256, size=(5, 6, 8, 3)).astype(np.uint8)
PICTURES = [pillow.fromarray(row) for row in PIXELS]
SCALED = PIXELS.transpose(0, 3, 1, 2) / np.float32(255)


def encoded(picture, form="png"):
    buffer = BytesIO()
    picture.save(buffer, form)
    return buffer.getvalue()


def doubled(image):
    return 2 * np.asarray(image, dtype=np.float64).transpose(2, 0, 1)


def test_rows_are_described_like_an_array():
    rows = ImageRows(PICTURES, None)
    assert len(rows) == 5 and rows.shape == (5, 3, 6, 8) and rows.ndim == 4
    assert rows.dtype == np.float32 and rows.nbytes == 5 * 3 * 6 * 8 * 4


@pytest.mark.parametrize(
    "numbers", [slice(1, 4), slice(None, None, -2), np.array([3, 0, 3]), [4, -1]], ids=str
)
def test_slices_and_arrays_of_rows(numbers):
    pixels = ImageRows(PICTURES, None)[numbers]
    assert pixels.dtype == torch.float32
    np.testing.assert_array_equal(pixels, SCALED[numbers])


def test_rows_of_uint8_array():
    np.testing.assert_array_equal(ImageRows(PIXELS, None)[:], SCALED)


def test_preprocess_gives_the_row():
    np.testing.assert_array_equal(ImageRows(PICTURES, doubled)[1:2], 510 * SCALED[1:2])


def test_rows_can_be_pickled():
    rows = pickle.loads(pickle.dumps(ImageRows(PICTURES, doubled)))
    np.testing.assert_array_equal(rows[:], 510 * SCALED)


def test_row_of_another_shape():
    rows = ImageRows([PICTURES[0], PICTURES[1].resize((9, 9))], None)
    assert rows.shape == (2, 3, 6, 8)
    with pytest.raises(ValueError, match=r"X\[1\] becomes an input of shape \(3, 9, 9\)"):
        rows[:]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_encoded_images(kind):
    image = read_image(kind(encoded(PICTURES[0])))
    np.testing.assert_array_equal(np.asarray(image), PIXELS[0])


def test_encoded_images_are_a_list_of_images():
    items = [encoded(picture) for picture in PICTURES]
    assert as_image_list(items) == items
    assert as_image_list(np.array(items, dtype=object)) == items


@pytest.mark.parametrize("data", [b"", b"no image", encoded(PICTURES[0])[:-30]], ids=str)
def test_damaged_bytes(data):
    with pytest.raises(UnreadableImageError, match=rf"X\[7\]: an item of {len(data)} bytes"):
        read_image(data, "X[7]")


def test_damaged_row_is_numbered():
    with pytest.raises(ValueError, match=r"X\[2\]: an item of 3 bytes cannot be read"):
        ImageRows([*PICTURES[:2], b"abc"], None)[:]


def test_pictures_of_the_user_are_not_changed():
    def draw(image):
        image.putpixel((0, 0), (0, 0, 0))
        return doubled(image)

    ImageRows(PICTURES, draw)[:]
    np.testing.assert_array_equal(np.asarray(PICTURES[0]), PIXELS[0])
