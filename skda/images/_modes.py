"""From pictures in any mode of PIL to upright RGB or grey."""

import numpy as np

from skda._optional import import_optional
from skda.images._options import UnreadableImageError
from skda.images._stored_form import StoredForm
from skda.images._values import as_bytes

_ORIENTATION = 0x0112
# What undoes each of the EXIF orientations: flips, and turns counter-clockwise.
_UPRIGHT = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}
_CARRIERS = frozenset(("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif"))
_WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")


def as_picture(image, reading, form):
    """Return an image upright, in RGB or grey, over the background.

    Parameters
    ----------
    image : PIL.Image.Image
        Loaded, in any mode; it is not changed.

    reading : ImageReading
        The options.

    form : StoredForm
        What its file says.

    Returns
    -------
    picture : PIL.Image.Image
        In mode RGB or L; `image` itself where nothing is to be done.

    Raises
    ------
    UnreadableImageError
        If the values of pixels have no known meaning.
    """
    turn = _UPRIGHT.get(_orientation(image)) if reading.exif_orientation else None
    try:
        picture = _in_mode(image, "RGB" if reading.n_channels == 3 else "L", reading, form)
    except UnreadableImageError:
        raise
    except (ValueError, OSError) as error:
        raise UnreadableImageError(
            f"has mode {image.mode}, which PIL cannot turn into RGB ({error}); save it as PNG."
        ) from error
    if turn is None:
        return picture
    Image = import_optional("PIL.Image", "vision")
    picture = picture.transpose(Image.Transpose[turn])
    # So that preprocessing of the user's does not turn it again.
    picture.info = {key: value for key, value in picture.info.items() if key not in _CARRIERS}
    return picture


def _orientation(image):
    if _CARRIERS.isdisjoint(image.info) and not hasattr(image, "tag_v2"):
        return 1  # without the time that PIL needs to find nothing
    try:
        return image.getexif().get(_ORIENTATION, 1)
    except Exception:  # of damaged EXIF data, whose pixels are good
        return 1


def _in_mode(image, mode, reading, form):
    if image.mode == "F" or image.mode.startswith("I"):
        image = _grey_of_deep(image, reading, form)
    elif form.key is not None:
        grey = image.convert("L")
        image = _without_key(grey, np.asarray(grey), form, reading)
    elif _has_alpha(image):
        image = _over_background(image, reading)
    if image.mode == mode:
        return image
    # Everything but grey has its way to RGB, not everything has one to grey.
    image = image if image.mode in ("1", "L", "RGB") else image.convert("RGB")
    return image.convert(mode)


def _grey_of_deep(image, reading, form):
    values = np.asarray(image)
    if form.unsigned and values.dtype == np.int32:
        values = values.view(np.uint32)
    pixels = as_bytes(values, reading.value_range, form.white)
    if form.zero_is_white and reading.value_range is None:
        pixels = 255 - pixels
    grey = import_optional("PIL.Image", "vision").fromarray(pixels)
    return grey if form.key is None else _without_key(grey, values, form, reading)


def _without_key(grey, values, form, reading):
    """Return a grey picture with the background where values are the transparent one."""
    Image = import_optional("PIL.Image", "vision")
    picture = grey.convert("RGB")
    mask = Image.fromarray(np.uint8(255) * (values == form.key))
    picture.paste(reading.background_colour, (0, 0, *picture.size), mask)
    return picture


def _has_alpha(image):
    if image.mode in _WITH_ALPHA:
        return True
    if image.mode == "P" and image.palette is not None and image.palette.mode.endswith("A"):
        return True
    return image.mode in ("P", "RGB") and "transparency" in image.info


def _over_background(image, reading):
    Image = import_optional("PIL.Image", "vision")
    image = image.convert("LA") if image.mode == "La" else image
    image = image.convert("RGBA")
    below = Image.new("RGBA", image.size, (*reading.background_colour, 255))
    return Image.alpha_composite(below, image).convert("RGB")


def array_as_picture(array, reading):
    """Return the picture that an array holds.

    Parameters
    ----------
    array : ndarray of uint8, uint16 or bool, of shape (height, width) or (height, width, \
            n_channels)
        Grey, grey and alpha, RGB, or RGB and alpha.

    reading : ImageReading
        The options.

    Returns
    -------
    picture : PIL.Image.Image
        In mode RGB or L.

    Raises
    ------
    UnreadableImageError
        If it is an array of another kind.
    """
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (2, 3, 4)):
        raise UnreadableImageError(
            "must have shape (height, width) or (height, width, n_channels) with 1 (grey), 2 "
            "(grey, alpha), 3 (RGB) or 4 (RGB, alpha) channels."
        )
    if array.size == 0:
        raise UnreadableImageError("has no pixels.")
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:
        array = as_bytes(array, reading.value_range)
    elif array.dtype == bool:
        array = np.uint8(255) * array
    elif array.dtype != np.uint8:
        raise UnreadableImageError(
            f"has type {array.dtype}, but pictures are uint8, uint16 or bool; bring the values "
            "to 0..255 and use astype(numpy.uint8), or pass all rows as one array of floats, "
            "which is not preprocessed."
        )
    image = import_optional("PIL.Image", "vision").fromarray(array)
    return as_picture(image, reading, StoredForm())
