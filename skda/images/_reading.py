"""Lists of images and of image files, and one of them in RGB."""

import os
import sys
from io import BytesIO

import numpy as np

from skda._optional import import_optional

_ENCODED = (bytes, bytearray, memoryview)


class UnreadableImageError(ValueError):
    """An item of X is no image that can be decoded."""


def as_image_list(X):
    """Return images, paths or encoded images as a list, and None if X holds none of them.

    Parameters
    ----------
    X : object
        What a user passes to ``fit`` or ``transform``.

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
        raise ValueError("X is a single image or path; pass a list of them: [X].")
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
            raise ValueError(f"X is an empty {type(X).__name__}; pass at least one row.")
    else:
        return None
    strangers = [number for number, item in enumerate(items) if not _is_image(item)]
    if len(strangers) == len(items):
        return None
    if strangers:
        raise TypeError(
            f"X[{strangers[0]}] is of type {type(items[strangers[0]]).__name__}, but other items "
            "of X are images or paths; pass a list of PIL images, str, pathlib.Path and encoded "
            "bytes alone."
        )
    return items


def _is_image(item):
    # Whoever holds a PIL image has imported PIL.
    image_type = getattr(sys.modules.get("PIL.Image"), "Image", ())
    return isinstance(item, (str, os.PathLike, *_ENCODED)) or isinstance(item, image_type)


def read_image(item, name="X"):
    """Return an image in RGB.

    Parameters
    ----------
    item : PIL image, str, path, bytes, or uint8 ndarray of shape (height, width, n_channels)
        An image, where it is, or the content of its file.

    name : str, default="X"
        Of the item, for messages.

    Returns
    -------
    image : PIL.Image.Image
        In mode RGB.

    Raises
    ------
    UnreadableImageError
        If the file or its content cannot be read.
    """
    Image = import_optional("PIL.Image", "vision")
    if isinstance(item, Image.Image):
        return item.convert("RGB")
    if isinstance(item, np.ndarray):
        return Image.fromarray(item[..., 0] if item.shape[2] == 1 else item).convert("RGB")
    encoded = isinstance(item, _ENCODED)
    try:
        with Image.open(BytesIO(item) if encoded else item) as image:
            image.load()
            return image if image.mode == "RGB" else image.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        what = f"an item of {len(item)} bytes" if encoded else repr(os.fspath(item))
        raise UnreadableImageError(
            f"{name}: {what} cannot be read as an image ({error}); check the path and the file, "
            "or leave it out."
        ) from error
