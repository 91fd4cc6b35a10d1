"""Whether floats are in the range that a network was trained on."""

import math
import warnings

import numpy as np
import torch

from skda.images._preprocess import ImagePreprocess

_CLEARLY_BELOW = -0.5
_TOLERANCE = 0.1
_MOST_BYTES = 64 * 2**20


def expected_range(preprocess):
    """Return the values that a preprocessing yields.

    Parameters
    ----------
    preprocess : callable or None
        As returned by :func:`resolve_preprocess`; None scales pixels to [0, 1].

    Returns
    -------
    expected : (float, float) or None
        Smallest and largest, over all channels; None if only trying would tell.

    Examples
    --------
    >>> from skda.images import ImagePreprocess, expected_range
    >>> expected_range(ImagePreprocess(mean=0.5, std=0.5))
    (-1.0, 1.0)
    """
    if preprocess is None:
        return 0.0, 1.0
    if not isinstance(preprocess, ImagePreprocess):
        return None
    mean, std = np.asarray(preprocess.mean), np.asarray(preprocess.std)
    return float((-mean / std).min()), float(((1 - mean) / std).max())


def warn_of_range(X, expected, name):
    """Warn of float images that are far outside of a range.

    Parameters
    ----------
    X : ndarray, torch.Tensor or any other rows
        Images in a canonical form; floats alone are looked at, of more than 64 MiB every k-th row.

    expected : (float, float) or None
        Smallest and largest value that the network knows; None looks at nothing.

    name : str
        Of the parameter, for messages.

    Warns
    -----
    UserWarning
        If a value is outside by more than 10 % of the width, or all values are in [0, 1] where
        the network expects negative ones too.

    Examples
    --------
    >>> import numpy as np
    >>> from skda.images import warn_of_range
    >>> warn_of_range(np.ones((2, 3, 8, 8), dtype=np.float32), (0, 1), "X")
    """
    is_float = isinstance(X, np.ndarray) and X.dtype.kind == "f"
    is_float |= isinstance(X, torch.Tensor) and X.is_floating_point()
    if expected is None or not is_float or not len(X):
        return
    n_bytes = math.prod(X.shape) * X.dtype.itemsize
    sample = X[:: math.ceil(n_bytes / _MOST_BYTES)]
    low, high = expected
    smallest, largest = float(sample.min()), float(sample.max())
    margin = _TOLERANCE * (high - low)
    # Normalised images hold negative values; those of [0, 1] have missed the normalisation.
    is_raw = low < _CLEARLY_BELOW and smallest >= 0 and largest <= 1
    if is_raw or smallest < low - margin or largest > high + margin:
        warnings.warn(
            f"{name} holds float images with values from {smallest:.4g} to {largest:.4g}, but the "
            f"network expects {low:.4g} to {high:.4g}: floats are taken as they are. Pass uint8 "
            "images or files, which are preprocessed, or bring the floats into that range.",
            stacklevel=2,
        )
