"""Pixels of more than 8 bits as 8-bit ones."""

import warnings
from functools import lru_cache

import numpy as np

from skda.images._options import UnreadableImageError

WHITE = 65535
# Values below it fit into 12 bits, which is what cameras and scanners put into 16.
TWELVE_BITS = 4096


def as_bytes(values, value_range=None, white=WHITE):
    """Return values of pixels in 0..255, rounded.

    Parameters
    ----------
    values : ndarray of uint16, int32, uint32 or float32
        Of a picture.

    value_range : (float, float), default=None
        Black and white; None stands for (0, `white`), and (0, 1) for floats.

    white : int, default=65535
        The largest value that integers of this picture can have.

    Returns
    -------
    pixels : ndarray of uint8
        Of the same shape.

    Raises
    ------
    UnreadableImageError
        If there is NaN, or a value that the range does not explain.
    """
    is_float = values.dtype.kind == "f"
    if is_float and np.isnan(values).any():
        raise UnreadableImageError("holds NaN; replace it before the picture is saved.")
    if value_range is None:
        if not is_float:
            _warn_of_few_bits(_refuse_outside(values, white), white)
            return whole_as_bytes(values, white)
        _refuse_outside(values, 1)
        value_range = (0, 1)
    black, white = map(float, value_range)
    share = (values.astype(np.float64) - black) / (white - black)
    return np.rint(255 * np.clip(share, 0, 1)).astype(np.uint8)


def whole_as_bytes(values, white=WHITE):
    """Return whole numbers from 0 to `white` in 0..255, rounded."""
    return _table(white)[values]


@lru_cache
def _table(white):
    values = np.arange(white + 1, dtype=np.int64)
    return ((values * 510 + white) // (2 * white)).astype(np.uint8)


def _refuse_outside(values, white):
    smallest, largest = values.min(), values.max()
    if smallest < 0 or largest > white:
        raise UnreadableImageError(
            f"has values from {smallest:g} to {largest:g}, and nothing says which of them are "
            f"black and white (0 and {white} were taken for it); say it, as in "
            f'image_reading={{"value_range": ({smallest:g}, {largest:g})}}, with the same numbers '
            "for all pictures."
        )
    return largest


def _warn_of_few_bits(largest, white):
    if white == WHITE and 0 < largest < TWELVE_BITS:
        # One text for all pictures: Python shows it once.
        warnings.warn(
            "A picture of 16 bits has no value above 4095 and becomes nearly black, since white "
            'is 65535. If its values have 10 or 12 bits, pass image_reading={"value_range": '
            "(0, 1023)} or (0, 4095).",
            stacklevel=2,
        )
