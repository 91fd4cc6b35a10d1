"""Pictures in all modes of PIL, in files and in memory, in RGB and grey."""

import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO

import numpy as np
import pytest
from image_files import encoded, png, tiff

from skda.images import ImageReading, ImageRows, UnreadableImageError, read_image

pillow = pytest.importorskip("PIL.Image")

RNG = np.random.RandomState(0)
RGB = RNG.randint(256, size=(6, 8, 3)).astype(np.uint8)
GREY = RNG.randint(256, size=(6, 8)).astype(np.uint8)
ALPHA = RNG.randint(256, size=(6, 8)).astype(np.uint8)
ALPHA[0, :4] = 0, 255, 0, 255
DEEP = RNG.randint(65536, size=(6, 8)).astype(np.uint16)
DEEP[0, :2] = 0, 65535
DEEP_RGB = RNG.randint(65536, size=(6, 8, 3)).astype(np.uint16)
UNIT = RNG.uniform(size=(6, 8)).astype(np.float32)
BACKGROUND = (10, 120, 250)


def pixels(item, **options):
    return np.asarray(read_image(item, reading=ImageReading(**options))).astype(int)


def grey_as_rgb(grey):
    return np.repeat(np.asarray(grey, dtype=float)[..., None], 3, axis=2)


def as_grey(rgb):
    return np.asarray(rgb) @ [0.299, 0.587, 0.114]


def over(rgb, alpha, background=BACKGROUND):
    share = np.asarray(alpha, dtype=float)[..., None] / 255
    return share * np.asarray(rgb, dtype=float) + (1 - share) * np.asarray(background)


def in_mode(mode, array):
    return pillow.frombytes(mode, array.shape[1::-1], array.tobytes())


def rgba(rgb=RGB, alpha=ALPHA):
    return pillow.fromarray(np.dstack([rgb, alpha]))


def palette_picture(alphas=None):
    picture = pillow.fromarray(GREY % 4).copy()
    picture.putpalette(list(range(0, 240, 20)))
    if alphas is not None:
        picture.info["transparency"] = alphas
    return picture


PALETTE = np.arange(0, 240, 20).reshape(4, 3)
FOUR_ALPHAS = np.array([0, 255, 128, 20])
PREMULTIPLIED = np.rint(RGB * (ALPHA[..., None] / 255)).astype(np.uint8)
GREY_PREMULTIPLIED = np.rint(GREY * (ALPHA / 255)).astype(np.uint8)

# Mode, picture, its RGB values, and how far those of PIL may be from them.
CASES = [
    ("1", pillow.fromarray(GREY > 99), grey_as_rgb(255 * (GREY > 99)), 0),
    ("L", pillow.fromarray(GREY), grey_as_rgb(GREY), 0),
    ("LA", in_mode("LA", np.dstack([GREY, ALPHA])), over(grey_as_rgb(GREY), ALPHA), 1),
    (
        "La",
        in_mode("La", np.dstack([GREY_PREMULTIPLIED, ALPHA])),
        over(grey_as_rgb(GREY), ALPHA),
        1.6,
    ),
    ("P", palette_picture(), PALETTE[GREY % 4], 0),
    ("P", palette_picture(bytes([0, 255, 128, 20])), None, 1),
    ("P", palette_picture(3), over(PALETTE[GREY % 4], 255 * (GREY % 4 != 3)), 0),
    ("RGB", pillow.fromarray(RGB), RGB, 0),
    ("RGBA", rgba(), over(RGB, ALPHA), 1),
    ("RGBa", in_mode("RGBa", np.dstack([PREMULTIPLIED, ALPHA])), over(RGB, ALPHA), 1.6),
    ("RGBX", in_mode("RGBX", np.dstack([RGB, ALPHA])), RGB, 0),
    ("CMYK", in_mode("CMYK", np.dstack([255 - RGB, 0 * ALPHA])), RGB, 0),
    ("YCbCr", pillow.fromarray(RGB).convert("YCbCr"), RGB, 3),
    ("HSV", pillow.fromarray(RGB).convert("HSV"), RGB, 6),
    ("I", pillow.fromarray(DEEP.astype(np.int32)), grey_as_rgb(DEEP / 257), 0.5),
    ("I;16", pillow.fromarray(DEEP), grey_as_rgb(DEEP / 257), 0.5),
    ("I;16L", in_mode("I;16L", DEEP.astype("<u2")), grey_as_rgb(DEEP / 257), 0.5),
    ("I;16B", in_mode("I;16B", DEEP.astype(">u2")), grey_as_rgb(DEEP / 257), 0.5),
    ("F", pillow.fromarray(UNIT), grey_as_rgb(255 * UNIT), 0.5001),
]
CASES[5] = (*CASES[5][:2], over(PALETTE[GREY % 4], FOUR_ALPHAS[GREY % 4]), 1)
IDS = [f"{number}-{case[0]}" for number, case in enumerate(CASES)]


@pytest.mark.parametrize(("mode", "picture", "wanted", "tolerance"), CASES, ids=IDS)
def test_values_of_modes(mode, picture, wanted, tolerance):
    assert picture.mode == mode
    before, info = picture.tobytes(), dict(picture.info)
    result = read_image(picture, reading=ImageReading(background=BACKGROUND))
    assert result.mode == "RGB" and result is not picture
    assert np.abs(np.asarray(result) - np.asarray(wanted, dtype=float)).max() <= tolerance
    assert picture.mode == mode and picture.tobytes() == before and picture.info == info


@pytest.mark.parametrize(("mode", "picture", "wanted", "tolerance"), CASES, ids=IDS)
def test_grey_of_modes(mode, picture, wanted, tolerance):
    reading = ImageReading(background=BACKGROUND, n_channels=1)
    result = read_image(picture, reading=reading)
    assert result.mode == "L" and result is not picture
    assert np.abs(np.asarray(result) - as_grey(wanted)).max() <= tolerance + 0.6


def test_palette_with_alpha():
    picture = palette_picture(bytes([0, 255, 128, 20])).convert("PA")
    assert picture.mode == "PA"
    wanted = over(PALETTE[GREY % 4], FOUR_ALPHAS[GREY % 4])
    assert np.abs(pixels(picture, background=BACKGROUND) - wanted).max() <= 1


def test_rgba_palette():
    picture = pillow.fromarray(GREY % 4).copy()
    picture.putpalette(np.column_stack([PALETTE, FOUR_ALPHAS]).ravel().tolist(), "RGBA")
    wanted = over(PALETTE[GREY % 4], FOUR_ALPHAS[GREY % 4])
    assert np.abs(pixels(picture, background=BACKGROUND) - wanted).max() <= 1


def test_lab():
    """Red, grey and white under D50, in TIFF's numbers: L * 2.55, and a and b with a sign."""
    lab = np.array([[[138, 81, 70], [137, 0, 0], [255, 0, 0]]]).astype(np.uint8)
    wanted = [[[255, 0, 0], [128, 128, 128], [255, 255, 255]]]
    for item in (tiff(lab, photometric=8), in_mode("LAB", lab)):
        assert np.abs(pixels(item) - wanted).max() <= 6
        assert np.abs(pixels(item, n_channels=1) - as_grey(wanted)).max() <= 6


def test_cmyk_files():
    """JPEG files of Adobe's hold CMYK upside down; TIFF files do not."""
    smooth = np.linspace(0, 250, 48).reshape(6, 8).astype(np.uint8)
    cmyk = in_mode("CMYK", np.dstack([smooth, 255 - smooth, smooth // 2, smooth // 4]))
    wanted = np.asarray(cmyk.convert("RGB")).astype(int)
    assert np.abs(pixels(encoded(cmyk, "jpeg", quality=100)) - wanted).max() <= 4
    assert np.abs(pixels(encoded(cmyk, "tiff")) - wanted).max() == 0


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_grey_of_few_bits(bits):
    values = GREY % 2**bits
    wanted = grey_as_rgb(values * (255 // (2**bits - 1)))
    np.testing.assert_array_equal(pixels(png(values, bits)), wanted)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_transparent_grey_value(bits):
    values = DEEP if bits == 16 else GREY & 2**bits - 1
    key = int(values[1, 1])
    shown = grey_as_rgb(np.rint(values.astype(float) * 255 / (2**bits - 1)))
    wanted = np.where((values == key)[..., None], BACKGROUND, shown)
    file = png(values, bits, key=[key])
    np.testing.assert_array_equal(pixels(file, background=BACKGROUND), wanted)
    grey = pixels(file, background=BACKGROUND, n_channels=1)
    assert np.abs(grey - as_grey(wanted)).max() <= 0.6


def test_transparent_rgb_value():
    wanted = RGB.copy()
    wanted[2, 3] = BACKGROUND
    file = png(RGB, key=RGB[2, 3])
    np.testing.assert_array_equal(pixels(file, background=BACKGROUND), wanted)


def test_white_is_the_usual_background():
    assert (pixels(pillow.new("RGBA", (8, 6))) == 255).all()
    assert (pixels(pillow.new("LA", (8, 6)), background=7, n_channels=1) == 7).all()


# -- more than 8 bits ---------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("n_channels", [3, 1])
def test_grey_of_16_bits(order, n_channels):
    pgm = b"P5 8 6 65535\n" + DEEP.astype(">u2").tobytes()
    for file in (png(DEEP), tiff(DEEP, order), pgm):
        result = pixels(file, n_channels=n_channels)
        wanted = grey_as_rgb(DEEP / 257) if n_channels == 3 else DEEP / 257
        assert np.abs(result - wanted).max() <= 0.5


def test_rgb_of_16_bits():
    ppm = b"P6 8 6 65535\n" + DEEP_RGB.astype(">u2").tobytes()
    for file in (png(DEEP_RGB), tiff(DEEP_RGB), tiff(DEEP_RGB, ">"), ppm):
        assert np.abs(pixels(file) - DEEP_RGB / 257).max() <= 1


def test_alpha_of_16_bits():
    alpha = ALPHA.astype(np.uint16) * 257
    files = [png(np.dstack([DEEP_RGB, alpha])), tiff(np.dstack([DEEP_RGB, alpha]))]
    for file in files:
        wanted = over(DEEP_RGB / 257, ALPHA)
        assert np.abs(pixels(file, background=BACKGROUND) - wanted).max() <= 2
    wanted = over(grey_as_rgb(DEEP / 257), ALPHA)
    result = pixels(png(np.dstack([DEEP, alpha])), background=BACKGROUND)
    assert np.abs(result - wanted).max() <= 2


@pytest.mark.parametrize("order", ["<", ">"])
def test_planes_of_16_bits(order):
    with pytest.raises(UnreadableImageError, match="in one plane a channel, which PIL reads wrong"):
        read_image(tiff(DEEP_RGB, order, planar=2))
    np.testing.assert_array_equal(pixels(tiff(RGB, order, planar=2)), RGB)


def test_transparent_colour_of_16_bits():
    with pytest.raises(UnreadableImageError, match="transparent colour of 16 bits"):
        read_image(png(DEEP_RGB, key=[0, 0, 0]))


def test_negative_of_16_bits():
    file = tiff(DEEP, photometric=0)
    assert np.abs(pixels(file) - grey_as_rgb(255 - DEEP / 257)).max() <= 0.5
    # Whoever names black and white is taken by the word.
    asked = pixels(file, value_range=(0, 65535))
    assert np.abs(asked - grey_as_rgb(DEEP / 257)).max() <= 0.5
    np.testing.assert_array_equal(pixels(tiff(GREY, photometric=0)), grey_as_rgb(255 - GREY))


def test_tiff_of_12_bits():
    values = DEEP[:1] // 16
    values[0, :2] = 0, 4095
    nibbles = np.array([[v >> 8, v >> 4 & 15, v & 15] for v in values.ravel()]).ravel()
    data = (nibbles[::2] << 4 | nibbles[1::2]).astype(np.uint8).tobytes()
    file = tiff(values, bits=12, data=data)
    assert np.abs(pixels(file, n_channels=1) - values / 4095 * 255).max() <= 0.5


def test_few_of_16_bits_warn_once():
    dark = [pillow.fromarray(DEEP // scale) for scale in (16, 64)]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for picture in dark:
            assert np.asarray(read_image(picture)).max() <= 16
        read_image(pillow.fromarray(0 * DEEP))
        read_image(dark[0], reading=ImageReading(value_range=(0, 4095)))
    assert len(caught) == 1 and 'image_reading={"value_range": (0, 1023)}' in str(caught[0].message)


def test_value_range_of_16_bits():
    values = np.array([[0, 100, 1100, 2100, 60000]], dtype=np.uint16)
    picture = pillow.fromarray(values)
    assert pixels(picture, value_range=(100, 2100), n_channels=1).tolist() == [
        [0, 0, 128, 255, 255]
    ]
    assert pixels(picture, value_range=(2100, 100), n_channels=1).tolist() == [
        [255, 255, 128, 0, 0]
    ]
    assert pixels(values, value_range=(100, 2100), n_channels=1).tolist() == [[0, 0, 128, 255, 255]]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    "values",
    [
        np.array([[-5, 3, 30000]], dtype=np.int16),
        np.array([[0, 3, 300000]], dtype=np.int32),
        np.array([[-1, 3, 255]], dtype=np.int32),
        np.array([[0, 0.5, 255]], dtype=np.float32),
        np.array([[-0.1, 0.5, 1]], dtype=np.float32),
        np.array([[0.1, 0.5, np.inf]], dtype=np.float32),
    ],
    ids=str,
)
def test_values_without_meaning(values, order):
    file = tiff(values, order)
    with pytest.raises(UnreadableImageError, match=r'item of .* image_reading={"value_range": \('):
        read_image(file)
    low, high = float(values[0, 0]), float(values[0, 1])
    result = pixels(file, value_range=(low, high), n_channels=1)
    assert result.tolist() == [[0, 255, 255]]


def test_no_sign_of_32_bits():
    values = np.array([[0, 2_000_000_000, 4_000_000_000]], dtype=np.uint32)
    result = pixels(tiff(values), value_range=(0, 4e9), n_channels=1)
    assert result.tolist() == [[0, 128, 255]]
    with pytest.raises(UnreadableImageError, match=r"values from 0 to 4e\+09"):
        read_image(tiff(values))


def test_small_numbers_of_32_bits_are_of_16():
    values = DEEP.astype(np.uint32)
    assert np.abs(pixels(tiff(values), n_channels=1) - DEEP / 257).max() <= 0.5


def test_signed_numbers_of_8_bits():
    with pytest.raises(UnreadableImageError, match="signed values of 8 bits"):
        read_image(tiff(GREY.astype(np.int8)))


@pytest.mark.parametrize("value_range", [None, (0, 1)])
def test_nan(value_range):
    picture = pillow.fromarray(np.where(UNIT > 0.5, UNIT, np.float32("nan")))
    with pytest.raises(UnreadableImageError, match="holds NaN"):
        read_image(picture, reading=ImageReading(value_range=value_range))


def test_floats_in_files():
    assert np.abs(pixels(tiff(UNIT), n_channels=1) - 255 * UNIT).max() <= 0.5001
    with pytest.raises(UnreadableImageError, match="whose zero is white"):
        read_image(tiff(UNIT, photometric=0))


# -- arrays -------------------------------------------------------------------------------------


@pytest.mark.parametrize("deep", [False, True])
def test_arrays(deep):
    scale = np.uint16(257) if deep else np.uint8(1)
    grey, alpha, rgb = GREY * scale, ALPHA * scale, RGB * scale
    for item, wanted in [
        (grey, grey_as_rgb(GREY)),
        (grey[..., None], grey_as_rgb(GREY)),
        (np.dstack([grey, alpha]), over(grey_as_rgb(GREY), ALPHA)),
        (rgb, RGB),
        (np.dstack([rgb, alpha]), over(RGB, ALPHA)),
        (rgb[::-1, ::-2], RGB[::-1, ::-2]),
    ]:
        assert np.abs(pixels(item, background=BACKGROUND) - wanted).max() <= 1
        grey_result = pixels(item, background=BACKGROUND, n_channels=1)
        assert np.abs(grey_result - as_grey(wanted)).max() <= 1.6


def test_bool_array():
    np.testing.assert_array_equal(pixels(GREY > 99), grey_as_rgb(255 * (GREY > 99)))


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (UNIT, r"an array of shape \(6, 8\) has type float32"),
        (GREY.astype(int), "has type int64"),
        (np.zeros((6, 8, 5), np.uint8), "must have shape"),
        (np.zeros(6, np.uint8), "must have shape"),
        (np.zeros((0, 8), np.uint8), "has no pixels"),
    ],
    ids=str,
)
def test_other_arrays(array, message):
    with pytest.raises(UnreadableImageError, match=message):
        read_image(array)


def test_array_is_not_changed_through_the_picture():
    array = GREY.copy()
    picture = read_image(array, reading=ImageReading(n_channels=1))
    picture.putpixel((0, 0), 1 + int(GREY[0, 0]) % 255)
    np.testing.assert_array_equal(array, GREY)


# -- rows ---------------------------------------------------------------------------------------


def test_grey_rows():
    rows = ImageRows([pillow.fromarray(DEEP)], None, reading=ImageReading(n_channels=1))
    assert rows.shape == (1, 1, 6, 8)
    assert np.abs(rows[:].numpy()[0, 0] - DEEP / 65535).max() <= 0.5001 / 255
    seen = []
    ImageRows(
        [png(DEEP)], lambda image: seen.append(image.mode) or GREY[None], reading=rows.reading
    )[:]
    assert set(seen) == {"L"}


def test_rows_pass_the_options_on():
    rows = ImageRows([pillow.new("RGBA", (8, 6))], None, reading=ImageReading(background=51))
    np.testing.assert_allclose(rows[:], 0.2, rtol=1e-6)


def test_name_of_the_file_in_messages(tmp_path):
    path = tmp_path / "deep.tif"
    path.write_bytes(tiff(np.array([[0, 3, 300000]], dtype=np.int32)))
    with pytest.raises(UnreadableImageError, match=r"X\[3\]: '.*deep.tif' has values from 0 to"):
        read_image(path, "X[3]")
    with pillow.open(path) as picture, pytest.raises(ValueError, match=r"an image of '.*deep.tif'"):
        read_image(picture)


def test_one_opened_image_in_many_threads(tmp_path):
    """PIL loads an image when its pixels are asked for, and not for two threads at once."""
    big = RNG.randint(256, size=(600, 600, 3)).astype(np.uint8)
    pillow.fromarray(big).save(tmp_path / "big.png")
    for _ in range(4):
        start = threading.Barrier(8)
        picture = pillow.open(tmp_path / "big.png")

        def read(_, start=start, picture=picture):
            start.wait()
            return np.array_equal(read_image(picture), big)

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(read, range(8)))


def test_damaged_files_are_unreadable():
    """Whatever the decoder of a damaged file raises."""
    whole = [
        encoded(pillow.fromarray(RGB), form)
        for form in ("png", "jpeg", "gif", "bmp", "tiff", "ppm")
    ]
    rng = np.random.RandomState(1)
    for file in whole:
        for _ in range(60):
            damaged = bytearray(file[: rng.randint(1, len(file) + 1)])
            for place in rng.randint(len(damaged), size=rng.randint(4)):
                damaged[place] = rng.randint(256)
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    assert read_image(bytes(damaged)).mode == "RGB"
            except UnreadableImageError:
                pass


def test_lazily_opened_file_stays_usable():
    picture = pillow.open(BytesIO(encoded(pillow.fromarray(RGB))))
    np.testing.assert_array_equal(pixels(picture), RGB)
    np.testing.assert_array_equal(np.asarray(picture), RGB)
