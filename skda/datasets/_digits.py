"""Scikit-learn's digits, seen by a scanner that moved."""

from typing import Any

import numpy as np
from scipy.ndimage import rotate
from sklearn.datasets import load_digits
from sklearn.utils import Bunch, check_random_state

_DESCR = """\
Shifted digits
--------------
The 1797 handwritten digits of 8 x 8 pixels that ship with scikit-learn (UCI optical recognition
of handwritten digits, test part; E. Alpaydin, C. Kaynak, 1998; CC BY 4.0), split at random into
two disjoint halves. The source half is as it is. The target half is turned counter-clockwise and
gets Gaussian noise, as if the scanner had moved. Pixels are scaled to [0, 1].
"""


def load_shifted_digits(
    *, angle: float = 30, noise: float = 0.1, random_state: Any = None, as_images: bool = False
) -> Bunch:
    """Load real digits as two domains, the second turned and noisy.

    No download: the digits ship with scikit-learn.

    Parameters
    ----------
    angle : float, default=30
        Counter-clockwise rotation of the target images, in degrees.

    noise : float, default=0.1
        Standard deviation of the noise on target pixels, which range from 0 to 1.

    random_state : int, RandomState instance or None, default=None
        Seeds the split and the noise.

    as_images : bool, default=False
        Whether rows are images of shape (1, 8, 8) instead of 64 columns.

    Returns
    -------
    digits : sklearn.utils.Bunch
        With the entries

        X : ndarray of shape (898, 64) or (898, 1, 8, 8), dtype=float32
            Source pixels in [0, 1].
        y : ndarray of shape (898,), dtype=int64
            Source digits, 0 to 9.
        X_target : ndarray of shape (899, 64) or (899, 1, 8, 8), dtype=float32
            Target pixels.
        y_target : ndarray of shape (899,), dtype=int64
            Target digits, to measure an adaptation with; no method needs them.
        DESCR : str
            The description.

    Examples
    --------
    >>> from skda.datasets import load_shifted_digits
    >>> digits = load_shifted_digits(random_state=0)
    >>> digits.X.shape, digits.X_target.shape
    ((898, 64), (899, 64))
    """
    random_state = check_random_state(random_state)
    data: Any = load_digits()
    order = random_state.permutation(len(data.target))
    images, labels = data.images[order] / 16, data.target[order]
    n_source = len(labels) // 2
    target = rotate(images[n_source:], angle, axes=(2, 1), reshape=False, order=1)
    target = target + noise * random_state.standard_normal(target.shape)
    shape = (-1, 1, 8, 8) if as_images else (-1, 64)
    return Bunch(
        X=images[:n_source].reshape(shape).astype(np.float32),
        y=labels[:n_source],
        X_target=target.reshape(shape).astype(np.float32),
        y_target=labels[n_source:],
        DESCR=_DESCR,
    )
