"""Lists of images and of image files."""

import os
import sys

import numpy as np

from skda.feature_extraction._backbones import import_vision


def as_image_list(X):
    """Return images or paths as a list, and None if X holds neither.

    Parameters
    ----------
    X : object
        What a user passes to ``fit`` or ``transform``.

    Returns
    -------
    items : list of PIL images, str or paths, or None
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
            "of X are images or paths; pass a list of PIL images, str and pathlib.Path alone."
        )
    return items


def _is_image(item):
    # Whoever holds a PIL image has imported PIL.
    image_type = getattr(sys.modules.get("PIL.Image"), "Image", ())
    return isinstance(item, (str, os.PathLike)) or isinstance(item, image_type)


def read_image(item):
    """Return an image in RGB.

    Parameters
    ----------
    item : PIL image, str, path, or uint8 ndarray of shape (height, width, n_channels)
        An image, or where it is.

    Returns
    -------
    image : PIL.Image.Image
        In mode RGB.

    Raises
    ------
    ValueError
        If the file cannot be read.
    """
    Image = import_vision("PIL.Image")
    if isinstance(item, Image.Image):
        return item.convert("RGB")
    if isinstance(item, np.ndarray):
        return Image.fromarray(item[..., 0] if item.shape[2] == 1 else item).convert("RGB")
    try:
        with Image.open(item) as image:
            return image.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(
            f"X: {os.fspath(item)!r} cannot be read as an image ({error}); check the path and "
            "the file, or leave it out."
        ) from error
