"""From pictures to the input of a network: reading, preprocessing, decoding in threads, layouts.

The only place that knows what an image can look like. Extraction, fine-tuning, adaptation and
prediction all take their images through it.
"""

from skda.images._arrange import arrange_images
from skda.images._decoding import decoded_batches
from skda.images._layout import LAYOUTS
from skda.images._options import ImageReading, UnreadableImageError, resolve_reading
from skda.images._preprocess import (
    CROP_MODES,
    ImagePreprocess,
    normalise_pixels,
    resolve_preprocess,
)
from skda.images._ranges import expected_range, warn_of_range
from skda.images._reading import as_image_list, read_image
from skda.images._rows import ImageRows, PixelRows
from skda.images._store import decode_rows
from skda.images._stored import StoredRows

__all__ = [
    "CROP_MODES",
    "LAYOUTS",
    "ImagePreprocess",
    "ImageReading",
    "ImageRows",
    "PixelRows",
    "StoredRows",
    "UnreadableImageError",
    "arrange_images",
    "as_image_list",
    "decode_rows",
    "decoded_batches",
    "expected_range",
    "normalise_pixels",
    "read_image",
    "resolve_preprocess",
    "resolve_reading",
    "warn_of_range",
]
