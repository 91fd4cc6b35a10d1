"""What a file says about its pixels and PIL does not pass on."""

from dataclasses import dataclass

from skda.images._options import UnreadableImageError

_BITS, _PHOTOMETRIC, _SAMPLES, _PLANAR, _SAMPLE_FORMAT = 258, 262, 277, 284, 339
_SIGNED = 2
# PIL widens grey pixels of 2 and 4 bits by these factors, but not the value that is transparent.
_WIDENED: dict[str | None, int] = {"L;2": 85, "L;4": 17}


@dataclass(frozen=True)
class StoredForm:
    """What decides about the meaning of pixels.

    Parameters
    ----------
    white : int
        The largest value of pixels of 16 bits.

    zero_is_white : bool
        Whether 16-bit pixels are those of a negative.

    unsigned : bool
        Whether 32-bit pixels have no sign; PIL knows only such with one.

    key : int or None
        The value of grey pixels that are transparent.
    """

    white: int = 65535
    zero_is_white: bool = False
    unsigned: bool = False
    key: int | None = None


_USUAL = StoredForm()


def stored_form(image):
    """Return what the file of an image says about it.

    Parameters
    ----------
    image : PIL.Image.Image
        Opened, and better not loaded yet: PIL forgets the form of PNG files.

    Returns
    -------
    form : StoredForm
        What matters.

    Raises
    ------
    UnreadableImageError
        If it is a form that PIL reads wrongly.
    """
    if hasattr(image, "tag_v2"):
        return _form_of_tiff(image.tag_v2)
    if "transparency" in image.info:
        return _form_of_transparent(image)
    return _USUAL


def _form_of_tiff(tags):
    bits, kind = _first(tags, _BITS, 1), _first(tags, _SAMPLE_FORMAT, 1)
    zero_is_white = _first(tags, _PHOTOMETRIC, 1) == 0
    if bits == 16 and _first(tags, _SAMPLES, 1) > 1 and _first(tags, _PLANAR, 1) == 2:
        _refuse("16 bits a channel in one plane a channel", "save it with its channels interleaved")
    if bits == 8 and kind == _SIGNED:
        _refuse("signed values of 8 bits", "save it with 16 bits, or with 8 unsigned ones")
    if bits == 32 and zero_is_white:
        _refuse("values of 32 bits whose zero is white", "save it with black as zero")
    return StoredForm(
        white=4095 if bits == 12 else 65535,
        zero_is_white=zero_is_white and bits == 16,  # those of fewer bits are inverted by PIL
        unsigned=bits == 32 and kind == 1,
    )


def _first(tags, number, default):
    value = tags.get(number, default)
    return value[0] if isinstance(value, tuple) else value


def _form_of_transparent(image):
    key = image.info["transparency"]
    tiles = getattr(image, "tile", None)
    raw_mode = tiles[0][3] if tiles else None
    if image.mode == "RGB":
        if raw_mode == "RGB;16B" or max(key) > 255:
            # Which of the colours that are one in 8 bits is transparent is lost.
            _refuse("a transparent colour of 16 bits a channel", "save it with an alpha channel")
        return _USUAL
    if image.mode == "1":
        return StoredForm(key=255 if key else 0)
    if image.mode == "L" or image.mode.startswith("I"):
        return StoredForm(key=int(key) * _WIDENED.get(raw_mode, 1))
    return _USUAL


def _refuse(what, remedy):
    raise UnreadableImageError(f"holds {what}, which PIL reads wrongly; {remedy}.")
