"""Files of several frames."""

from io import BytesIO

import numpy as np
import pytest
from image_files import encoded

from skda.images import ImageReading, UnreadableImageError, read_image

pillow = pytest.importorskip("PIL.Image")

COLOURS = [(250, 0, 0), (0, 250, 0), (0, 0, 250)]
FRAMES = [pillow.new("RGB", (16, 12), colour) for colour in COLOURS]
FORMATS = {"gif": {}, "tiff": {}, "webp": dict(lossless=True), "png": {}}


@pytest.fixture(params=list(FORMATS))
def animated(request):
    options = FORMATS[request.param]
    return encoded(FRAMES[0], request.param, save_all=True, append_images=FRAMES[1:], **options)


def test_frames_need_a_choice(animated, tmp_path):
    path = tmp_path / "animated"
    path.write_bytes(animated)
    with pytest.raises(
        UnreadableImageError, match=r"animated' has 3 frames; .* image_reading={\"frame\": 0}"
    ):
        read_image(path)
    with pillow.open(path) as picture, pytest.raises(UnreadableImageError, match="has 3 frames"):
        read_image(picture)


def test_frames_by_number(animated):
    for number, colour in enumerate(COLOURS):
        picture = read_image(animated, reading=ImageReading(frame=number))
        assert picture.mode == "RGB" and picture.size == (16, 12)
        assert (np.asarray(picture) == colour).all()


def test_frame_beyond_the_last(animated):
    with pytest.raises(UnreadableImageError, match=r"has 3 frame\(s\), counted from 0"):
        read_image(animated, reading=ImageReading(frame=3))


def test_opened_image_stays_at_its_frame(animated):
    picture = pillow.open(BytesIO(animated))
    picture.seek(1)
    assert (np.asarray(read_image(picture, reading=ImageReading(frame=1))) == COLOURS[1]).all()
    with pytest.raises(UnreadableImageError, match=r"is opened at frame 1, but .* frame 0"):
        read_image(picture, reading=ImageReading(frame=0))
    assert picture.tell() == 1


@pytest.mark.parametrize("form", list(FORMATS))
def test_one_frame(form):
    file = encoded(FRAMES[1], form, **FORMATS[form])
    for frame in (None, 0):
        picture = read_image(file, reading=ImageReading(frame=frame))
        assert (np.asarray(picture) == COLOURS[1]).all()
    with pytest.raises(UnreadableImageError, match=r"has 1 frame\(s\)"):
        read_image(file, reading=ImageReading(frame=1))
    with pytest.raises(UnreadableImageError, match=r"has 1 frame\(s\)"):
        read_image(encoded(FRAMES[1], "jpeg"), reading=ImageReading(frame=1))


def test_first_of_two_pictures_of_a_telephone():
    file = encoded(FRAMES[0], "mpo", save_all=True, append_images=FRAMES[1:], quality=100)
    if pillow.open(BytesIO(file)).format != "MPO":
        pytest.skip("needs a Pillow that writes MPO files which it can read")
    for frame, colour in [(None, 0), (0, 0), (2, 2)]:
        picture = read_image(file, reading=ImageReading(frame=frame))
        assert np.abs(np.asarray(picture) - np.array(COLOURS[colour], dtype=int)).max() <= 4
    assert read_image(pillow.open(BytesIO(file))).getpixel((0, 0))[0] > 240


def test_transparent_animation():
    frames = [pillow.new("RGBA", (16, 12), (*colour, 0)) for colour in COLOURS]
    for frame in frames:
        frame.paste((9, 9, 9, 255), (0, 0, 8, 12))
    file = encoded(frames[0], "png", save_all=True, append_images=frames[1:])
    reading = ImageReading(frame=0, background=(1, 2, 3))
    picture = read_image(file, reading=reading)
    assert picture.getpixel((0, 0)) == (9, 9, 9) and picture.getpixel((12, 0)) == (1, 2, 3)
