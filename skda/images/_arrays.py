"""Arrays and tensors of images: types, dimensions, layouts."""

import math

import numpy as np
import torch

from skda._sklearn_compat import check_array


def check_tensor(X):
    """Return a tensor as scikit-learn would have an array: finite, and of a usable type.

    Parameters
    ----------
    X : torch.Tensor
        Rows, on any device.

    Returns
    -------
    X : torch.Tensor
        uint8 unchanged, everything else in float32; without gradients.

    Raises
    ------
    ValueError
        If it has no rows, is complex, or holds NaN or infinity.
    """
    if X.ndim == 0 or len(X) == 0:
        raise ValueError(f"X is a tensor of shape {tuple(X.shape)}; pass at least one row.")
    if X.is_complex():
        raise ValueError("Complex data not supported: X is a complex tensor.")
    X = X.detach()
    if X.dtype != torch.uint8:
        X = X.float()
        if not torch.isfinite(X).all():
            raise ValueError("Input X contains NaN or infinity.")
    return X


def unflatten(X, image_shape):
    """Return flat rows as images.

    Parameters
    ----------
    X : array-like or torch.Tensor of shape (n_samples, n_values)
        Rows.

    image_shape : tuple of int
        (n_channels, height, width), (height, width, n_channels) or (height, width), as
        documented by :class:`skda.feature_extraction.DeepFeatureExtractor`.

    Returns
    -------
    images : ndarray or torch.Tensor
        uint8 of shape (n_samples, height, width, n_channels), or others of shape (n_samples,
        n_channels, height, width).

    Raises
    ------
    ValueError
        If a row has another number of values.
    """
    if not isinstance(X, torch.Tensor):
        X = check_array(X, dtype=None, input_name="X")
    shape = tuple(image_shape)
    if len(shape) not in (2, 3) or X.shape[1] != math.prod(shape):
        raise ValueError(
            f"image_shape={image_shape!r} must be two or three numbers whose product is that of "
            f"the columns of X, {X.shape[1]}."
        )
    is_uint8 = X.dtype in (np.uint8, torch.uint8)
    if len(shape) == 2:
        shape = (*shape, 1) if is_uint8 else (1, *shape)
    images = X.reshape((len(X), *shape))
    channels_first = shape[2] not in (1, 3, 4) and shape[0] in (1, 3, 4)
    if is_uint8 and channels_first:
        return images.swapaxes(1, 2).swapaxes(2, 3)
    return images


def n_dimensions(X):
    """Return the number of dimensions of an array or of nested lists."""
    return X.ndim if hasattr(X, "ndim") else np.asarray(X).ndim


def check_images(X, name):
    """Return images as float32 or uint8, and their shape with channels first.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_channels, height, width), or uint8 of shape \
            (n_samples, height, width, n_channels)
        Images.

    name : str
        Of the parameter, for messages.

    Returns
    -------
    X : ndarray of float32 or uint8
        The same layout.

    shape : tuple of int
        (n_channels, height, width).

    Raises
    ------
    ValueError
        If X is no array of images.
    """
    X = X if hasattr(X, "dtype") else np.asarray(X)
    is_uint8 = X.dtype in (np.uint8, torch.uint8)
    X = check_array(X, dtype=np.uint8 if is_uint8 else np.float32, allow_nd=True, input_name=name)
    return X, channels_first_shape(X, name)


def channels_first_shape(X, name):
    """Return (n_channels, height, width) of float or uint8 images in their own layouts.

    Parameters
    ----------
    X : ndarray or torch.Tensor of 4 dimensions
        Images, uint8 ones with channels last.

    name : str
        Of the parameter, for messages.

    Returns
    -------
    shape : tuple of int
        Of a row.

    Raises
    ------
    ValueError
        If the last dimension of uint8 images can be none of channels.
    """
    if X.dtype not in (np.uint8, torch.uint8):
        return tuple(X.shape[1:])
    if X.shape[3] not in (1, 3, 4):
        raise ValueError(
            f"{name} holds uint8 images of shape {tuple(X.shape[1:])}; uint8 images are "
            "(height, width, n_channels) with 1, 3 or 4 channels. Transpose them, or pass floats "
            "of shape (n_samples, n_channels, height, width)."
        )
    return (X.shape[3], *X.shape[1:3])


def as_host_array(X):
    """Return tensors on any device as arrays, and everything else unchanged."""
    return X.cpu().numpy() if isinstance(X, torch.Tensor) else X
