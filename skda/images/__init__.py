"""From pictures to the input of a network: reading, preprocessing, decoding in threads, layouts.

The only place that knows what an image can look like. Extraction, fine-tuning, adaptation and
prediction all take their images through it.
"""

from skda.images._arrays import (
    as_host_array,
    channels_first_shape,
    check_images,
    check_tensor,
    n_dimensions,
    unflatten,
)
from skda.images._decoding import decoded_batches
from skda.images._preprocess import CROP_MODES, ImagePreprocess, resolve_preprocess
from skda.images._reading import UnreadableImageError, as_image_list, read_image
from skda.images._rows import ImageRows

__all__ = [
    "CROP_MODES",
    "ImagePreprocess",
    "ImageRows",
    "UnreadableImageError",
    "as_host_array",
    "as_image_list",
    "channels_first_shape",
    "check_images",
    "check_tensor",
    "decoded_batches",
    "n_dimensions",
    "read_image",
    "resolve_preprocess",
    "unflatten",
]
