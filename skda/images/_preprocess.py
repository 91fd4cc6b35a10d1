"""From a picture to the input of a network."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch

_FILTERS = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")
CROP_MODES = ("center", "squash")


@dataclass(frozen=True, kw_only=True)
class ImagePreprocess:
    """From a PIL image to the input of a network: resize, crop the centre, normalise.

    Parameters
    ----------
    size : int or (int, int), default=224
        Height and width of the input, in pixels.

    crop_pct : float in (0, 1], default=0.875
        The image is resized to `size` / `crop_pct`, rounded down, before the centre is cropped.

    mean, std : float or sequence of 3 floats, default=those of ImageNet
        Of the channels red, green and blue, for pixels in [0, 1].

    interpolation : {"nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"}, \
            default="bilinear"
        Of PIL, which averages pixels where it makes images smaller.

    crop_mode : {"center", "squash"}, default="center"
        ``"center"`` keeps the aspect ratio and makes the image cover `size` / `crop_pct`;
        ``"squash"`` resizes both sides to it, as DeCAF does.

    Raises
    ------
    ValueError
        If a value is none of these.

    Examples
    --------
    >>> from PIL import Image
    >>> from skda.images import ImagePreprocess
    >>> ImagePreprocess(size=32, mean=0.5, std=0.5)(Image.new("RGB", (80, 60))).shape
    torch.Size([3, 32, 32])
    """

    size: int | tuple[int, int] = 224
    crop_pct: float = 0.875
    mean: float | tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: float | tuple[float, float, float] = (0.229, 0.224, 0.225)
    interpolation: str = "bilinear"
    crop_mode: str = "center"

    def __post_init__(self):
        size: Any = self.size
        size = (size,) * 2 if isinstance(size, Integral) else tuple(size)
        object.__setattr__(self, "size", size)
        self._check("size", len(size) == 2 and min(size) > 0, "a positive int or two of them")
        self._check("crop_pct", 0 < self.crop_pct <= 1, "a number in (0, 1]")
        self._check("interpolation", self.interpolation in _FILTERS, f"one of {_FILTERS}")
        self._check("crop_mode", self.crop_mode in CROP_MODES, f"one of {CROP_MODES}")
        for name in ("mean", "std"):
            value = getattr(self, name)
            value = (value,) * 3 if isinstance(value, Real) else tuple(value)
            object.__setattr__(self, name, value)
            self._check(name, len(value) == 3, "a number or three of them")
        std: Any = self.std
        self._check("std", min(std) > 0, "positive")

    def _check(self, name, holds, wanted):
        if not holds:
            raise ValueError(f"preprocess: {name} must be {wanted}, got {getattr(self, name)!r}.")

    def __call__(self, image: Any) -> torch.Tensor:
        """Return the input of the network.

        Parameters
        ----------
        image : PIL.Image.Image
            In RGB.

        Returns
        -------
        pixels : torch.Tensor of shape (3, height, width)
            In float32.
        """
        from PIL.Image import Resampling  # whoever holds a PIL image has it

        size: Any = self.size
        height, width = size
        # The quotient of two whole numbers must not fall below a whole number.
        box = [math.floor(side / self.crop_pct + 1e-9) for side in size]
        if self.crop_mode == "squash":
            scaled = box[1], box[0]
        else:
            scaled = _covering_size(image.size, box)
        filter_ = Resampling[self.interpolation.upper()]
        image = image.resize(scaled, filter_) if scaled != image.size else image
        left, top = round((scaled[0] - width) / 2), round((scaled[1] - height) / 2)
        image = image.crop((left, top, left + width, top + height))
        # Rows of pixels and channels in one: numpy is slow where the last dimension is short.
        scale = np.float32(1 / (255 * np.asarray(self.std)))
        offset = np.float32(np.divide(self.mean, self.std))
        pixels = np.asarray(image).reshape(height, -1) * np.tile(scale, width)
        pixels -= np.tile(offset, width)
        return torch.from_numpy(pixels).view(height, width, 3).permute(2, 0, 1)


def _covering_size(size, box):
    """Width and height with the aspect ratio of `size` that just cover a (height, width)."""
    width, height = size
    if box[1] * height > box[0] * width:
        return box[1], int(box[1] * height / width)
    return int(box[0] * width / height), box[0]


def resolve_preprocess(preprocess: Any, own: Any) -> Any:
    """Return what the parameter ``preprocess`` of an estimator stands for.

    Parameters
    ----------
    preprocess : {"auto"}, dict or callable
        As documented by :class:`skda.feature_extraction.DeepFeatureExtractor`.

    own : callable or None
        The network's own, if it has one.

    Returns
    -------
    preprocess : callable or None
        From a PIL image to an array of shape (C, H, W); None if images are only scaled.

    Raises
    ------
    ValueError
        If the dict has entries or values that do not exist.
    """
    if not isinstance(preprocess, Mapping):
        return own if isinstance(preprocess, str) else preprocess
    known = [entry.name for entry in fields(ImagePreprocess)]
    for name in preprocess:
        if name not in known:
            raise ValueError(
                f"preprocess has no entry {name!r}; the entries are {', '.join(known)}."
            )
    if own is not None and not isinstance(own, ImagePreprocess):
        raise ValueError(
            "preprocess: a dict cannot change this network's own preprocessing, which is not a "
            "resize, crop and normalisation; pass a callable."
        )
    return replace(own or ImagePreprocess(), **preprocess)
