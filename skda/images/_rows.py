"""Rows that are decoded when they are read."""

import math
from typing import Any

import numpy as np
import torch

from skda.images._options import ImageReading
from skda.images._preprocess import ImagePreprocess
from skda.images._reading import read_image

_DEFAULT = ImageReading()


class ImageRows:
    """Images as the float32 rows of an array that are decoded when they are read.

    Nothing that was read is kept. Objects can be pickled where `items` and `preprocess` can.

    Parameters
    ----------
    items : list of PIL images, str, paths or bytes, or uint8 ndarray of shape (n, H, W, C)
        The images.

    preprocess : callable or None
        From a PIL image in RGB (or L, where `reading` wants grey) to a tensor or array of shape
        (n_channels, height, width). None scales pixels to [0, 1].

    row_shape : tuple of int, default=None
        (n_channels, height, width) that every row must have; None is that of the row that is
        read first.

    reading : ImageReading, default=ImageReading()
        How pictures become RGB or grey.

    name : str, default="X"
        Of the parameter that they come from, for messages.

    Examples
    --------
    >>> import numpy as np
    >>> from PIL import Image
    >>> from skda.images import ImageRows
    >>> rows = ImageRows([Image.new("RGB", (8, 6)) for _ in range(5)], None)
    >>> rows.shape, rows[1:3].shape, rows[np.array([4, 0, 4])].dtype
    ((5, 3, 6, 8), torch.Size([2, 3, 6, 8]), torch.float32)
    """

    dtype = np.dtype(np.float32)
    ndim = 4

    row_shape: Any

    def __init__(self, items, preprocess, row_shape=None, *, reading=_DEFAULT, name="X"):
        self.items, self.preprocess, self.reading = items, preprocess, reading
        self.name = name
        self.row_shape = row_shape

    def __len__(self):
        return len(self.items)

    @property
    def shape(self):
        """Of the array: (n, n_channels, height, width)."""
        row_shape = self.read(0).shape if self.row_shape is None else self.row_shape
        return (len(self), *row_shape)

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
        picture = read_image(self.items[number], f"{self.name}[{number}]", self.reading)
        pixels = self._as_row(picture)
        if self.row_shape is None:
            self.row_shape = tuple(pixels.shape)
        if pixels.shape != self.row_shape:
            raise ValueError(
                f"{self.name}[{number}] becomes an input of shape {tuple(pixels.shape)}, but the "
                f"first row of fit one of shape {self.row_shape}; resize images to one size with "
                "preprocess, such as dict(size=224)."
            )
        return pixels

    def _as_row(self, image):
        if self.preprocess is None:
            pixels = np.asarray(image).reshape(*image.size[::-1], -1)  # grey has no channels
            return torch.from_numpy(pixels / np.float32(255)).permute(2, 0, 1)
        array = self.preprocess(image)
        if not hasattr(array, "ndim") or array.ndim != 3:
            raise ValueError(
                "preprocess must return a tensor or array of shape (C, H, W), got "
                f"{getattr(array, 'shape', type(array).__name__)}."
            )
        return torch.as_tensor(array, dtype=torch.float32)


class PixelRows(ImageRows):
    """The same images as pixels of uint8, as they are before :func:`normalise_pixels`."""

    dtype = np.dtype(np.uint8)

    @classmethod
    def of(cls, images: ImageRows) -> "PixelRows | None":
        """Return the pixels of images, or None if what normalises them is not known.

        Parameters
        ----------
        images : ImageRows
            The images, which stay as they are.

        Returns
        -------
        pixels : PixelRows or None
            None for a `preprocess` of the user's own or of another library.
        """
        if not (images.preprocess is None or type(images.preprocess) is ImagePreprocess):
            return None
        pixels = cls.__new__(cls)
        vars(pixels).update(vars(images))
        return pixels

    def _as_row(self, image):
        array = np.asarray(image) if self.preprocess is None else self.preprocess.pixels(image)
        array = array if array.ndim == 3 else array[..., None]
        # As a view of a copy: torch warns of memory that it must not write to.
        return torch.from_numpy(array.copy()).permute(2, 0, 1)
