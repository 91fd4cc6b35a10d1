"""Lists of images and of image files, and rows that are decoded when they are read."""

import math
import os
import sys
from io import BytesIO

import numpy as np
import torch

from skda._backbones import import_vision

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
    Image = import_vision("PIL.Image")
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


class ImageRows:
    """Images as the float32 rows of an array that are decoded when they are read.

    Nothing that was read is kept. Objects can be pickled where `items` and `preprocess` can.

    Parameters
    ----------
    items : list of PIL images, str, paths or bytes, or uint8 ndarray of shape (n, H, W, C)
        The images.

    preprocess : callable or None
        From a PIL image in RGB to a tensor or array of shape (n_channels, height, width). None
        scales pixels to [0, 1].

    row_shape : tuple of int, default=None
        (n_channels, height, width) that every row must have; None is that of the row that is
        read first.

    Examples
    --------
    >>> import numpy as np
    >>> from PIL import Image
    >>> from skda._images import ImageRows
    >>> rows = ImageRows([Image.new("RGB", (8, 6)) for _ in range(5)], None)
    >>> rows.shape, rows[1:3].shape, rows[np.array([4, 0, 4])].dtype
    ((5, 3, 6, 8), torch.Size([2, 3, 6, 8]), torch.float32)
    """

    dtype = np.dtype(np.float32)
    ndim = 4

    def __init__(self, items, preprocess, row_shape=None):
        self.items, self.preprocess = items, preprocess
        self.row_shape = row_shape

    def __len__(self):
        return len(self.items)

    @property
    def shape(self):
        """Of the array: (n, n_channels, height, width)."""
        if self.row_shape is None:
            self.read(0)
        return (len(self), *self.row_shape)

    @property
    def nbytes(self):
        """What all rows would take in memory."""
        return math.prod(self.shape) * self.dtype.itemsize

    def __getitem__(self, rows):
        """Decode rows.

        Parameters
        ----------
        rows : slice or array of int
            Which.

        Returns
        -------
        pixels : torch.Tensor of shape (k, n_channels, height, width)
            In float32.

        Raises
        ------
        ValueError
            If an image cannot be read, or becomes a row of another shape.
        """
        numbers = np.arange(len(self))[rows]
        pixels = torch.empty((len(numbers), *self.shape[1:]))
        for row, number in zip(pixels, numbers, strict=True):
            row.copy_(self.read(number))
        return pixels

    def read(self, number):
        """Decode one row.

        Parameters
        ----------
        number : int
            Which.

        Returns
        -------
        pixels : torch.Tensor of shape (n_channels, height, width)
            In float32.

        Raises
        ------
        ValueError
            If the image cannot be read, or becomes a row of another shape.
        """
        pixels = self._as_row(read_image(self.items[number], f"X[{number}]"))
        if self.row_shape is None:
            self.row_shape = tuple(pixels.shape)
        if pixels.shape != self.row_shape:
            raise ValueError(
                f"X[{number}] becomes an input of shape {tuple(pixels.shape)}, but the first row "
                f"of fit one of shape {self.row_shape}; resize images to one size with "
                "preprocess, such as dict(size=224)."
            )
        return pixels

    def _as_row(self, image):
        if self.preprocess is None:
            return torch.from_numpy(np.asarray(image) / np.float32(255)).permute(2, 0, 1)
        array = self.preprocess(image)
        if not hasattr(array, "ndim") or array.ndim != 3:
            raise ValueError(
                "preprocess must return a tensor or array of shape (C, H, W), got "
                f"{getattr(array, 'shape', type(array).__name__)}."
            )
        return torch.as_tensor(array, dtype=torch.float32)
