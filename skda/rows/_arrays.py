"""Tensors and arrays as scikit-learn would have them."""

import math

import torch

from skda._sklearn_compat import check_array


def check_tensor(X, name="X"):
    """Return a tensor as scikit-learn would have an array: finite, and of a usable type.

    Parameters
    ----------
    X : torch.Tensor
        Rows, on any device.

    name : str, default="X"
        Of the parameter, for messages.

    Returns
    -------
    X : torch.Tensor
        In float32, without gradients.

    Raises
    ------
    ValueError
        If it has no rows, is complex, or holds NaN or infinity.
    """
    if X.ndim == 0 or len(X) == 0:
        raise ValueError(f"{name} is a tensor of shape {tuple(X.shape)}; pass at least one row.")
    if X.is_complex():
        raise ValueError(f"Complex data not supported: {name} is a complex tensor.")
    X = X.detach().float()
    if not torch.isfinite(X).all():
        raise ValueError(f"Input {name} contains NaN or infinity.")
    return X


def as_host_array(X):
    """Return tensors on any device as arrays, and everything else unchanged."""
    return X.cpu().numpy() if isinstance(X, torch.Tensor) else X


def unflatten(X, image_shape, name="X"):
    """Return flat rows as images.

    Parameters
    ----------
    X : array-like or torch.Tensor of shape (n_samples, n_values)
        Rows.

    image_shape : tuple of int
        (n_channels, height, width), (height, width, n_channels) or (height, width).

    name : str, default="X"
        Of the parameter, for messages.

    Returns
    -------
    images : ndarray or torch.Tensor of shape (n_samples, *image_shape)
        Of the same type.

    Raises
    ------
    ValueError
        If a row has another number of values.
    """
    if not isinstance(X, torch.Tensor):
        X = check_array(X, dtype=None, input_name=name)
    shape = tuple(image_shape)
    if len(shape) not in (2, 3) or X.shape[1] != math.prod(shape):
        raise ValueError(
            f"image_shape={image_shape!r} must be two or three numbers whose product is that of "
            f"the columns of {name}, {X.shape[1]}."
        )
    return X.reshape((len(X), *shape))
