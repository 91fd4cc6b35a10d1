"""How pictures are read: what a user can say about it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from numbers import Integral, Real
from typing import Any

import numpy as np

from skda._checks import as_float


class UnreadableImageError(ValueError):
    """An item of X is no image that can be decoded, or whose values have no known meaning."""


@dataclass(frozen=True, kw_only=True)
class ImageReading:
    """How a picture, whatever its file holds, becomes 8-bit RGB or grey.

    Parameters
    ----------
    exif_orientation : bool, default=True
        Whether pictures are turned upright as their EXIF or XMP data say, PIL images that carry
        such data too. PIL itself turns TIFF files, whatever is chosen here.

    background : int or (int, int, int), default=255
        What transparent pixels show, as grey or RGB in 0..255.

    frame : int, default=None
        Which frame or page of an animated or multi-page file, from 0. None refuses files of
        several frames; of MPO files of telephones and of layered PSD files it takes the first
        frame, which is the picture itself.

    value_range : (float, float), default=None
        Which values of pictures of 16 bits, 32 bits and floats are black and white; values
        outside become black or white too. None stands for (0, 65535), for (0, 4095) in TIFF
        files of 12 bits, and for (0, 1) in pictures of floats; values outside are errors.

    n_channels : {3, 1}, default=3
        RGB, or grey: 0.299 red + 0.587 green + 0.114 blue (ITU-R 601).

    Raises
    ------
    ValueError
        If a value is none of these.

    Examples
    --------
    >>> import numpy as np
    >>> from PIL import Image
    >>> from skda.images import ImageReading, read_image
    >>> deep = Image.fromarray(np.array([[0, 2048, 4095]], dtype=np.uint16))
    >>> reading = ImageReading(value_range=(0, 4095), n_channels=1)
    >>> np.asarray(read_image(deep, reading=reading)).tolist()
    [[0, 128, 255]]
    """

    exif_orientation: bool = True
    background: int | tuple[int, int, int] = 255
    frame: int | None = None
    value_range: tuple[float, float] | None = None
    n_channels: int = 3

    def __post_init__(self):
        for name in ("background", "value_range"):
            if isinstance(getattr(self, name), list | np.ndarray):
                object.__setattr__(self, name, tuple(getattr(self, name)))
        self._check(
            "exif_orientation", isinstance(self.exif_orientation, bool | np.bool_), "True or False"
        )
        colour: Any = self.background
        colour = colour if isinstance(colour, tuple) else (colour,) * 3
        self._check(
            "background",
            len(colour) == 3 and all(_is_whole(part) and 0 <= part <= 255 for part in colour),
            "a whole number in 0..255 or three of them",
        )
        frame: Any = self.frame
        self._check(
            "frame", frame is None or (_is_whole(frame) and frame >= 0), "a number from 0 or None"
        )
        limits: Any = self.value_range
        self._check(
            "value_range",
            limits is None or _are_limits(limits),
            "two finite numbers, the values that are black and white, or None",
        )
        self._check("n_channels", self.n_channels in (1, 3), "1 (grey) or 3 (RGB)")

    def _check(self, name, holds, wanted):
        if not holds:
            raise ValueError(
                f"image_reading: {name} must be {wanted}, got {getattr(self, name)!r}."
            )

    @property
    def background_colour(self) -> tuple[int, int, int]:
        """Red, green and blue of the background."""
        colour: Any = self.background
        colour = colour if isinstance(colour, tuple) else (colour,) * 3
        return tuple(int(part) for part in colour)  # type: ignore[return-value]


def _is_whole(value):
    return isinstance(value, Integral) and not isinstance(value, bool)


def _are_limits(limits):
    return (
        isinstance(limits, tuple)
        and len(limits) == 2
        and all(isinstance(limit, Real) and np.isfinite(as_float(limit)) for limit in limits)
        and limits[0] != limits[1]
    )


def resolve_reading(image_reading: Any, n_channels: int = 3) -> ImageReading:
    """Return what the parameter ``image_reading`` of an estimator stands for.

    Parameters
    ----------
    image_reading : dict or None
        Entries of :class:`ImageReading`.

    n_channels : {3, 1}, default=3
        What the network takes, where the dict does not say it.

    Returns
    -------
    reading : ImageReading
        The options.

    Raises
    ------
    ValueError
        If the dict has entries or values that do not exist.

    Examples
    --------
    >>> from skda.images import resolve_reading
    >>> resolve_reading(dict(frame=0)).frame
    0
    """
    reading = ImageReading(n_channels=n_channels)
    if image_reading is None:
        return reading
    known = [entry.name for entry in fields(ImageReading)]
    if not isinstance(image_reading, Mapping):
        raise ValueError(
            f"image_reading must be None or a dict with entries of {', '.join(known)}, got "
            f"{image_reading!r}."
        )
    for name in image_reading:
        if name not in known:
            raise ValueError(
                f"image_reading has no entry {name!r}; the entries are {', '.join(known)}."
            )
    return replace(reading, **image_reading)
