"""Lists of images and of image files, and one of them in RGB or grey."""

import os
import sys
from contextlib import nullcontext
from io import BytesIO
from pathlib import Path
from threading import Lock

import numpy as np

from skda._optional import import_optional
from skda.images._modes import array_as_picture, as_picture
from skda.images._options import ImageReading, UnreadableImageError
from skda.images._stored_form import stored_form

_ENCODED = (bytes, bytearray, memoryview)
_TABLES = (".csv", ".tsv", ".xls", ".xlsx", ".parquet", ".feather")
_DEFAULT = ImageReading()
# Of these formats the first frame is the picture: others are a preview or a second eye's view,
# and layers.
_FIRST_IS_PICTURE = ("MPO", "PSD")
# One image in several rows must not be loaded by several threads at once.
_LOADING = [Lock() for _ in range(64)]


def as_image_list(X, name="X"):
    """Return images, paths or encoded images as a list, and None if X holds none of them.

    Parameters
    ----------
    X : object
        What a user passes to ``fit`` or ``transform``.

    name : str, default="X"
        Of the parameter, for messages.

    Returns
    -------
    items : list of PIL images, str, paths or bytes, or None
        One per row.

    Raises
    ------
    TypeError
        If only some of the items are images or paths.

    ValueError
        If X is an empty list, or an image or path itself.
    """
    if _is_image(X):
        advice = _advice(X) or f"pass a list of them: [{name}]"
        raise ValueError(f"{name} is a single image or path; {advice}.")
    if hasattr(X, "iloc"):
        if X.ndim == 2 and X.shape[1] != 1:
            return None
        items = (X.iloc[:, 0] if X.ndim == 2 else X).tolist()
    elif isinstance(X, np.ndarray):
        if X.dtype.kind not in "OUT" or X.ndim == 0 or X.size != len(X):
            return None
        items = X.ravel().tolist()
    elif isinstance(X, list | tuple):
        items = list(X)
        if not items:
            raise ValueError(f"{name} is an empty {type(X).__name__}; pass at least one row.")
    else:
        return None
    strangers = [number for number, item in enumerate(items) if not _is_image(item)]
    if len(strangers) == len(items):
        return None
    if strangers:
        raise TypeError(
            f"{name}[{strangers[0]}] is of type {type(items[strangers[0]]).__name__}, but other "
            f"items of {name} are images or paths; pass a list of PIL images, str, pathlib.Path "
            "and encoded bytes alone."
        )
    return items


def _is_image(item):
    # Whoever holds a PIL image has imported PIL.
    image_type = getattr(sys.modules.get("PIL.Image"), "Image", ())
    return isinstance(item, (str, os.PathLike, *_ENCODED)) or isinstance(item, image_type)


def read_image(item, name="X", reading=_DEFAULT):
    """Return an image upright, in RGB or grey.

    Parameters
    ----------
    item : PIL image, str, path, bytes, or ndarray of uint8, uint16 or bool, of shape \
            (height, width) or (height, width, n_channels)
        An image, where it is, the content of its file, or its pixels. It is not changed.

    name : str, default="X"
        Of the item, for messages.

    reading : ImageReading, default=ImageReading()
        The options.

    Returns
    -------
    image : PIL.Image.Image
        In mode RGB, or L if `reading` wants one channel.

    Raises
    ------
    UnreadableImageError
        If the file or its content cannot be read, or not without a choice of the user's.

    Examples
    --------
    >>> from PIL import Image
    >>> from skda.images import ImageReading, read_image
    >>> clear = Image.new("RGBA", (8, 6))
    >>> read_image(clear, reading=ImageReading(background=(0, 0, 200))).getpixel((0, 0))
    (0, 0, 200)
    """
    Image = import_optional("PIL.Image", "vision")
    try:
        if isinstance(item, np.ndarray):
            return array_as_picture(item, reading)
        if isinstance(item, Image.Image):
            with _LOADING[(id(item) >> 4) % len(_LOADING)]:
                picture = _read(nullcontext(item), reading, _stay_at_frame)
                return picture.copy() if picture is item else picture
        return _read(_opened(Image, item), reading, _go_to_frame)
    except UnreadableImageError as error:
        advice = _advice(item)
        said = f"{_described(item)} {error}" + (
            f" Is it a picture? Else {advice}." if advice else ""
        )
        raise UnreadableImageError(f"{name}: {said}") from error.__cause__


def _read(opened, reading, choose_frame):
    with opened as image:
        try:
            choose_frame(image, reading.frame)
            form = stored_form(image)
            image.load()
        except (UnreadableImageError, MemoryError):
            raise
        except Exception as error:  # decoders of damaged files raise whatever they stumble over
            raise _damaged(error) from error
        return as_picture(image, reading, form)


def _opened(Image, item):
    try:
        return Image.open(BytesIO(item) if isinstance(item, _ENCODED) else item)
    except MemoryError:
        raise
    except Exception as error:
        raise _damaged(error) from error


def _advice(item):
    """Return what to do with a path, or a text, that no picture can be at; or None."""
    if not isinstance(item, str | os.PathLike):
        return None
    path = Path(os.fsdecode(item))
    if path.suffix.lower() in _TABLES:
        return f"read the table first, as with pandas.read_csv({path.name!r})"
    if path.is_dir():
        return "give the files in the folder: sorted(Path(folder).glob('**/*.jpg'))"
    if not path.suffix and not path.exists():
        return "give texts to a network of texts: module='transformers/NAME'"
    return None


def _damaged(error):
    return UnreadableImageError(
        f"cannot be read as an image ({error}); check the path and the file, or leave it out."
    )


def _go_to_frame(image, frame):
    if frame is None:
        _refuse_several_frames(image)
    elif frame:
        # Asked before, since PIL counts one too many after a TIFF file has come to its end.
        n_frames = getattr(image, "n_frames", 1)
        if frame >= n_frames:
            raise UnreadableImageError(
                f"has {n_frames} frame(s), counted from 0, but image_reading asks for frame "
                f"{frame}."
            )
        image.seek(frame)


def _stay_at_frame(image, frame):
    """Check the frame of an image of the user's, which must stay where it is."""
    if frame is None:
        _refuse_several_frames(image)
    elif image.tell() != frame and not (image.format == "PSD" and frame == 0):  # it starts at 1
        raise UnreadableImageError(
            f"is opened at frame {image.tell()}, but image_reading asks for frame {frame}; pass "
            "the path of its file, or seek() the frame."
        )


def _refuse_several_frames(image):
    if image.format not in _FIRST_IS_PICTURE and getattr(image, "is_animated", False):
        raise UnreadableImageError(
            f'has {image.n_frames} frames; choose one, as in image_reading={{"frame": 0}}.'
        )


def _described(item):
    if isinstance(item, np.ndarray):
        return f"an array of shape {item.shape}"
    if isinstance(item, _ENCODED):
        return f"an item of {len(item)} bytes"
    if isinstance(item, str | os.PathLike):
        return repr(os.fspath(item))
    where = f" of {item.filename!r}" if getattr(item, "filename", "") else ""
    return f"an image{where} of mode {item.mode} and size {item.size}"
