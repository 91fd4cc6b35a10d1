"""Tables and images as every estimator takes them."""

import numpy as np
import torch
from sklearn.utils import check_array


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
