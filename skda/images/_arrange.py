"""Arrays and tensors of images in the two forms that the package works with."""

import warnings
from typing import Any

import numpy as np
import torch

from skda._sklearn_compat import check_array
from skda.images._layout import layout_of
from skda.images._values import TWELVE_BITS, whole_as_bytes

_TORCH_INTEGERS = tuple(
    getattr(torch, name)
    for name in ("uint16", "uint32", "uint64", "int8", "int16", "int32", "int64")
    if hasattr(torch, name)
)


def arrange_images(X, name, *, layout="auto", n_channels=None):
    """Return images as uint8 with channels last, or as float32 with channels first.

    Parameters
    ----------
    X : array-like or torch.Tensor of 4 dimensions, or of shape (n_samples, height, width)
        Images; of three dimensions they are grey. bool becomes 0 and 255, uint16 is divided by
        257 and rounded, other integers must be in 0..255; all floats become float32. Tensors
        stay on their device.

    name : str
        Of the parameter, for messages.

    layout : {"auto", "channels_first", "channels_last"}, default="auto"
        The user's parameter ``image_layout``. ``"auto"`` takes what the shape says, and refuses
        shapes that can be both.

    n_channels : int, default=None
        Of the images that the network takes, where it is known; it decides in shapes that can
        be both.

    Returns
    -------
    X : ndarray or torch.Tensor
        Of uint8 and shape (n_samples, height, width, n_channels), or of float32 and shape
        (n_samples, n_channels, height, width). Memory maps of these types stay what they are, also
        where only the order of dimensions changes.

    Raises
    ------
    ValueError
        If X is no array of images, holds NaN or infinity, or can be read in two ways.

    Examples
    --------
    >>> import numpy as np
    >>> from skda.images import arrange_images
    >>> arrange_images(np.zeros((5, 3, 32, 32), dtype=np.uint8), "X").shape
    (5, 32, 32, 3)
    >>> arrange_images(np.zeros((5, 32, 32, 3)), "X").shape
    (5, 3, 32, 32)
    """
    images: Any = _as_array(X, name)
    _check_dimensions(images, name)
    if images.ndim == 3:
        layout, images = "channels_first", images[:, None]
    else:
        layout = layout_of(images.shape[1:], name, layout, n_channels)
    images = _as_canonical(images, name)
    channels_last = layout == "channels_last"
    if images.dtype in (np.uint8, torch.uint8):
        return images if channels_last else _permuted(images, 0, 2, 3, 1)
    return _permuted(images, 0, 3, 1, 2) if channels_last else images


def _as_array(X, name):
    if isinstance(X, torch.Tensor):
        if X.layout != torch.strided:
            raise ValueError(f"{name} is a sparse tensor; pass a dense one, {name}.to_dense().")
        return X.detach()
    try:
        if isinstance(X, list | tuple) and X and all(isinstance(x, torch.Tensor) for x in X):
            return torch.stack(list(X)).detach()
        if np.ma.is_masked(X):
            raise ValueError("some values are masked")
        return X if type(X) in (np.ndarray, np.memmap) else np.asarray(X)
    except (ValueError, RuntimeError) as error:
        raise ValueError(
            f"{name} is no array of images of one shape ({error}); give all images one shape and "
            "every pixel a value, or pass a list of PIL images or paths."
        ) from error


def _check_dimensions(X, name):
    shape = tuple(X.shape)
    if X.ndim not in (3, 4):
        raise ValueError(
            f"{name} has {X.ndim} dimensions, but images are (n_samples, n_channels, height, "
            "width), (n_samples, height, width, n_channels), or (n_samples, height, width) if "
            f"they are grey; got shape {shape}."
        )
    if X.ndim == 3 and shape[2] in (3, 4):
        raise ValueError(
            f"{name} of shape {shape} looks like one picture of {shape[2]} channels; pass "
            f"{name}[None] if it is one, or {name}[:, None] if it is {shape[0]} grey ones of "
            f"{shape[1]} x {shape[2]} pixels."
        )
    if 0 in shape:
        what = "no images" if shape[0] == 0 else "images without pixels"
        raise ValueError(f"{name} holds {what}, it has shape {shape}; pass at least one row.")


def _as_canonical(X, name):
    """Return X, in its layout, in uint8 or finite float32."""
    return _canonical_tensor(X, name) if isinstance(X, torch.Tensor) else _canonical_array(X, name)


def _canonical_array(X, name):
    if X.dtype == np.uint8:
        return X
    if X.dtype == bool:
        return np.uint8(255) * X
    if X.dtype.kind == "u" and X.dtype.itemsize == 2:
        return _halved(X, name)
    if X.dtype.kind in "iu":
        _check_integers(int(X.min()), int(X.max()), X.dtype, name)
        return X.astype(np.uint8)
    if X.dtype.kind != "f":
        raise ValueError(_other_type(X.dtype, name))
    checked = check_array(X, dtype=np.float32, allow_nd=True, input_name=name)
    # check_array passes memory maps on as plain arrays.
    return X if X.dtype == checked.dtype and np.may_share_memory(X, checked) else checked


def _halved(X, name):
    """Return uint16 images in uint8; image by image, since they may be a memory map."""
    pixels: Any = np.empty(X.shape, dtype=np.uint8)
    largest = 0
    for place, image in zip(pixels, X, strict=True):
        place[...], largest = whole_as_bytes(image), max(largest, int(image.max()))
    _warn_of_few_bits(largest, name)
    return pixels


def _warn_of_few_bits(largest, name):
    if 0 < largest < TWELVE_BITS:
        warnings.warn(
            f"{name} holds images of 16 bits with no value above 4095, which become nearly black, "
            f"since white is 65535. If the values have 10 or 12 bits, pass {name} / 1023 or "
            f"{name} / 4095.",
            stacklevel=2,
        )


def _check_integers(smallest, largest, dtype, name):
    if smallest < 0 or largest > 255:
        raise ValueError(
            f"{name} holds images of {dtype} with values from {smallest} to {largest}, but "
            "integers are taken for pixels in 0..255 (uint16: 0..65535); scale them to floats in "
            "[0, 1], or use that type."
        )


def _other_type(dtype, name):
    return (
        f"{name} is an array of images of type {dtype}; pass uint8, uint16, bool, integers in "
        "0..255, or floats."
    )


def _canonical_tensor(X, name):
    if X.dtype == torch.uint8:
        return X
    if X.dtype == torch.bool:
        return X.to(torch.uint8) * 255
    if X.dtype == getattr(torch, "uint16", None):
        X = X.to(torch.int32)  # torch computes with hardly any unsigned type
        _warn_of_few_bits(int(X.max()), name)
        return ((X + 128) // 257).to(torch.uint8)
    if X.dtype in _TORCH_INTEGERS:
        values = X.to(torch.int64)
        _check_integers(int(values.min()), int(values.max()), X.dtype, name)
        return values.to(torch.uint8)
    if not X.is_floating_point():
        raise ValueError(_other_type(X.dtype, name))
    X = X.float()
    if not torch.isfinite(X).all():
        raise ValueError(f"Input {name} contains NaN, infinity or a value too large for float32.")
    return X


def _permuted(X, *dimensions):
    return X.permute(dimensions) if isinstance(X, torch.Tensor) else X.transpose(dimensions)
