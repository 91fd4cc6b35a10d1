"""From a picture to the input of a network."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import lru_cache
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

    mean, std : float or sequence of 1 or 3 floats, default=those of ImageNet
        Of the channels red, green and blue, or of the one of grey images, for pixels in [0, 1].
        Where both are numbers, images of either kind are taken.

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
    mean: float | tuple[float, ...] = (0.485, 0.456, 0.406)
    std: float | tuple[float, ...] = (0.229, 0.224, 0.225)
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
            value = float(value) if isinstance(value, Real) else tuple(value)
            object.__setattr__(self, name, value)
            self._check(name, np.size(value) in (1, 3), "a number, or one or three of them")
        self._check("std", np.min(self.std) > 0, "positive")
        lengths = self._lengths()
        if len(lengths) > 1:
            raise ValueError(
                f"preprocess: mean={self.mean!r} and std={self.std!r} are of another number of "
                "channels; give both one value, or both three."
            )

    def _lengths(self):
        """Return how many values there are of what is given by channel."""
        return {len(value) for value in (self.mean, self.std) if isinstance(value, tuple)}

    @property
    def n_channels(self) -> int | None:
        """Number of channels of the images: 1 or 3; None if either will do."""
        return next(iter(self._lengths()), None)

    def to_grey(self) -> "ImagePreprocess":
        """Return the same for grey images: means and deviations are the mean over channels.

        The grey networks of timm have first weights that are summed over the colours, as if a
        grey image came in three equal channels; they were trained on none.

        Returns
        -------
        preprocess : ImagePreprocess
            Itself where images are grey already.
        """
        if self.n_channels != 3:
            return self
        mean, std = (
            (float(np.mean(value)),) if isinstance(value, tuple) else value
            for value in (self.mean, self.std)
        )
        return replace(self, mean=mean, std=std)

    def _check(self, name, holds, wanted):
        if not holds:
            raise ValueError(f"preprocess: {name} must be {wanted}, got {getattr(self, name)!r}.")

    def __call__(self, image: Any) -> torch.Tensor:
        """Return the input of the network.

        Parameters
        ----------
        image : PIL.Image.Image
            In mode RGB, or L where there is one channel.

        Returns
        -------
        pixels : torch.Tensor of shape (n_channels, height, width)
            In float32.

        Raises
        ------
        ValueError
            If the image is in another mode.
        """
        pixels = self.pixels(image)
        height, width, n_channels = pixels.shape
        scale, offset = self._affine(n_channels)
        pixels = pixels.reshape(height, -1) * scale
        pixels -= offset
        return torch.from_numpy(pixels).view(height, width, n_channels).permute(2, 0, 1)

    def pixels(self, image: Any) -> np.ndarray:
        """Return the pixels that are left of an image, before they are normalised.

        Parameters
        ----------
        image : PIL.Image.Image
            In RGB, or grey.

        Returns
        -------
        pixels : ndarray of uint8 of shape (height, width, n_channels)
            Resized and cropped.

        Raises
        ------
        ValueError
            If the image is in another mode.
        """
        n_channels = self._check_mode(image)
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
        return np.asarray(image).reshape(height, width, n_channels)

    def normalise(self, pixels: torch.Tensor) -> torch.Tensor:
        """Return what the network gets of a batch of :meth:`pixels`, bit for bit as from a call.

        Parameters
        ----------
        pixels : torch.Tensor of uint8 of shape (n, height, width, n_channels)
            On any device.

        Returns
        -------
        inputs : torch.Tensor of shape (n, n_channels, height, width)
            In float32, with channels last in memory.
        """
        scale, offset = _affine_on(self, pixels.shape[3], pixels.device)
        # In this order, and in two steps: a fused multiply-add rounds otherwise.
        inputs = pixels.reshape(-1, len(scale)).float().mul_(scale).sub_(offset)
        return inputs.view(pixels.shape).permute(0, 3, 1, 2)

    def _affine(self, n_channels):
        """What a row of pixels, all channels, is multiplied by, and what is taken off it then."""
        # In one: numpy is slow where the last dimension is short, as that of channels is.
        size: Any = self.size
        width = size[1]
        std = np.broadcast_to(self.std, n_channels)
        scale = np.float32(1 / (255 * std))
        offset = np.float32(np.broadcast_to(np.divide(self.mean, std), n_channels))
        return np.tile(scale, width), np.tile(offset, width)

    def _check_mode(self, image):
        """Return the number of channels of an image that can be normalised."""
        wanted = {1: ("L",), 3: ("RGB",), None: ("L", "RGB")}[self.n_channels]
        if image.mode not in wanted:
            raise ValueError(
                f"preprocess: images must be in mode {' or '.join(wanted)} (mean={self.mean!r}, "
                f"std={self.std!r}), got one in mode {image.mode}; convert it, or give mean and "
                "std for its channels."
            )
        return len(image.getbands())


@lru_cache(maxsize=8)
def _affine_on(preprocess, n_channels, device):
    """Two rows of numbers on a device, to which a copy would wait for all that is under way."""
    with torch.inference_mode(False):  # in which they would be of no use to a training
        return tuple(torch.from_numpy(row).to(device) for row in preprocess._affine(n_channels))


def normalise_pixels(pixels: torch.Tensor, preprocess: "ImagePreprocess | None") -> torch.Tensor:
    """Return inputs of a network from pixels, on any device bit for bit as from one picture.

    Parameters
    ----------
    pixels : torch.Tensor of uint8 of shape (n, height, width, n_channels)
        Resized and cropped, on any device.

    preprocess : ImagePreprocess or None
        What normalises them; None scales them to [0, 1].

    Returns
    -------
    inputs : torch.Tensor of shape (n, n_channels, height, width)
        In float32, with channels last in memory.

    Examples
    --------
    >>> import torch
    >>> from skda.images import normalise_pixels
    >>> normalise_pixels(torch.full((1, 6, 8, 3), 255, dtype=torch.uint8), None).max()
    tensor(1.)
    """
    if preprocess is not None:
        return preprocess.normalise(pixels)
    # By a tensor: CUDA multiplies by the inverse of a number, which rounds otherwise.
    white = torch.full((), 255, dtype=torch.float32, device=pixels.device)
    return pixels.float().div_(white).permute(0, 3, 1, 2)


def _covering_size(size, box):
    """Width and height with the aspect ratio of `size` that just cover a (height, width)."""
    width, height = size
    if box[1] * height > box[0] * width:
        return box[1], int(box[1] * height / width)
    return int(box[0] * width / height), box[0]


def resolve_preprocess(preprocess: Any, own: Any, n_channels: int | None = None) -> Any:
    """Return what the parameter ``preprocess`` of an estimator stands for.

    Parameters
    ----------
    preprocess : {"auto"}, dict or callable
        As documented by :class:`skda.feature_extraction.DeepFeatureExtractor`.

    own : callable or None
        The network's own, if it has one.

    n_channels : int, default=None
        Number of channels that the network takes, if it is known: a dict changes ImageNet's usual
        for images of so many.

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
    usual = ImagePreprocess()
    return replace(own or (usual.to_grey() if n_channels == 1 else usual), **preprocess)
