"""Handwritten digits that several people collected."""

import gzip
from collections.abc import Callable
from functools import partial
from os import PathLike
from typing import Any

import numpy as np
import torch
from torch.nn.functional import interpolate

from skda._optional import import_optional
from skda.datasets._fetching import as_result, check_domains
from skda.datasets._files import DataFile, find_file

_RAW = "https://raw.githubusercontent.com/"
_MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist/"
_OPTDIGITS = _RAW + "yupinghuang/optical_digits/e20bac46f63c368613b24b2ff6b24259d791ae51/data/"
_OF_MNIST = "MNIST (Y. LeCun, C. Cortes; test images)"
_OF_OPTDIGITS = "the UCI repository, Optical Recognition of Handwritten Digits"

IMAGES = DataFile(
    "digits/t10k-images-idx3-ubyte.gz",
    "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    _MNIST + "t10k-images-idx3-ubyte.gz",
    _OF_MNIST,
)
LABELS = DataFile(
    "digits/t10k-labels-idx1-ubyte.gz",
    "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    _MNIST + "t10k-labels-idx1-ubyte.gz",
    _OF_MNIST,
)
USPS = DataFile(
    "digits/usps.h5",
    "734f88c541104a956d88be2c95d03b4a463ffd74ccc2ba9c80841fb98e3fcb36",
    _RAW + "niuers/Learning-From-Data-A-Short-Course/"
    "879a698b960e5867f7c2b11f8938fa89c3d21839/data/usps.h5",
    "the US postal digits of LeCun, as of The Elements of Statistical Learning",
)
OPTDIGITS = [
    DataFile(f"digits/optdigits.{part}", sha256, _OPTDIGITS + f"optdigits.{part}", _OF_OPTDIGITS)
    for part, sha256 in {
        "tra": "a6d20dd0016ea85e8e207860d7b59411b07ddd18981ab250fa0ce37525570ab7",
        "hol": "4e93dfa93f501c29e4b6e1db417db68be20a7acafd85e52939e04369ecde386a",
        "tes": "94d7b3c067125a5f6a6d51cf1dc8e95de7d731e41c7f1e714897330242949464",
    }.items()
]
MNIST_M = DataFile(
    "mnist_m/mnist_m_test_4000_6500.npz",
    "504f639a1dc8de83c30d39ef6e6a99589482daa98f4cfb45da93f9e484ab0731",
    None,
    "MNIST-M (Y. Ganin, V. Lempitsky, 2015), whose test pictures 4000 to 6499 it holds as arrays "
    "x of shape (2500, 32, 32, 3) and y",
)

_DESCR = """\
Digits
------
Handwritten digits, 0 to 9, that were collected in different places:

- ``mnist``: the 10,000 test images of MNIST, 28 x 28 pixels (Y. LeCun, C. Cortes, C. Burges;
  CC BY-SA 3.0);
- ``usps``: 7,291 training digits of the US postal service, 16 x 16 pixels (J. Hull. A Database
  for Handwritten Text Recognition Research. TPAMI 1994; no explicit licence, used for research);
- ``optdigits``: 5,620 digits of the UCI repository, 8 x 8 pixels (E. Alpaydin, C. Kaynak, 1998;
  CC BY 4.0). Scikit-learn ships the last 1,797 of them, those of `load_digits`.
"""
_DESCR_M = """\
MNIST-M
-------
The target is 2,500 test pictures of MNIST-M: digits of MNIST whose strokes invert the colours of
pieces of photographs (Y. Ganin, V. Lempitsky. Unsupervised Domain Adaptation by Backpropagation.
ICML 2015; MNIST is CC BY-SA 3.0, the photographs of BSDS500 are for non-commercial research). The
source is the first 4,000 test images of MNIST, so that no digit is in both, with a border of two
pixels and three equal channels.
"""


def fetch_digits(
    source: str = "mnist",
    target: str = "usps",
    *,
    size: int = 28,
    data_home: str | PathLike | None = None,
    download_if_missing: bool = True,
    n_retries: int = 3,
    return_X_y: bool = False,
) -> Any:
    """Load handwritten digits of two collections (download if they are missing).

    Parameters
    ----------
    source : {"mnist", "usps", "optdigits"}, default="mnist"
        The domain with labels: 10,000, 7,291 or 5,620 digits. The extra ``data`` reads those of
        USPS, and downloads.

    target : {"mnist", "usps", "optdigits"}, default="usps"
        The other domain.

    size : int, default=28
        Height and width of the images in pixels, to which those of another size are interpolated
        (bilinear).

    data_home : str, path-like or None, default=None
        The folder of data sets, see :func:`get_data_home`.

    download_if_missing : bool, default=True
        If False, a missing file is an error.

    n_retries : int, default=3
        How often a failed download is tried again.

    return_X_y : bool, default=False
        Whether a tuple of X, y, X_target and y_target is returned.

    Returns
    -------
    digits : sklearn.utils.Bunch or tuple
        With the entries

        X : ndarray of shape (n_samples, 1, size, size), dtype=float32
            Source images, with ink of 1 on a ground of 0.
        y : ndarray of shape (n_samples,), dtype=int64
            Source digits.
        X_target, y_target : ndarrays
            Those of the target; its labels measure an adaptation, no method needs them.
        DESCR : str
            The description, with the licences.

    Raises
    ------
    OSError
        If a file cannot be had, or is another one; the message says where else to look.

    ValueError
        If there is no such domain.

    Examples
    --------
    >>> from skda.datasets import fetch_digits
    >>> digits = fetch_digits("usps", "optdigits", size=16)    # doctest: +SKIP
    >>> digits.X.shape, digits.X_target.shape                  # doctest: +SKIP
    ((7291, 1, 16, 16), (5620, 1, 16, 16))
    """
    check_domains(source, target, list(_DOMAINS))
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise ValueError(f"size must be a number of pixels, got {size!r}.")

    find = partial(
        find_file,
        data_home=data_home,
        download_if_missing=download_if_missing,
        n_retries=n_retries,
    )
    (X, y), (X_target, y_target) = (_DOMAINS[domain](find) for domain in (source, target))
    return as_result(
        _resized(X, size), y, _resized(X_target, size), y_target,
        return_X_y=return_X_y, DESCR=_DESCR,
    )  # fmt: skip


def fetch_mnist_m(
    *,
    data_home: str | PathLike | None = None,
    download_if_missing: bool = True,
    n_retries: int = 3,
    return_X_y: bool = False,
) -> Any:
    """Load digits of MNIST and of MNIST-M, where they lie on photographs.

    The pictures of MNIST-M must be in the data folder: no place is known that has them as one file.

    Parameters
    ----------
    data_home : str, path-like or None, default=None
        The folder of data sets, see :func:`get_data_home`.

    download_if_missing : bool, default=True
        If False, a missing file of MNIST is an error.

    n_retries : int, default=3
        How often a failed download is tried again.

    return_X_y : bool, default=False
        Whether a tuple of X, y, X_target and y_target is returned.

    Returns
    -------
    digits : sklearn.utils.Bunch or tuple
        With the entries

        X : ndarray of shape (4000, 32, 32, 3), dtype=uint8
            Source images.
        y : ndarray of shape (4000,), dtype=int64
            Source digits.
        X_target : ndarray of shape (2500, 32, 32, 3), dtype=uint8
            Target images.
        y_target : ndarray of shape (2500,), dtype=int64
            Target digits, to measure an adaptation with.
        DESCR : str
            The description, with the licences.

    Raises
    ------
    OSError
        If a file cannot be had, or is another one; the message says where else to look.

    Examples
    --------
    >>> from skda.datasets import fetch_mnist_m
    >>> digits = fetch_mnist_m()                               # doctest: +SKIP
    """
    find = partial(
        find_file,
        data_home=data_home,
        download_if_missing=download_if_missing,
        n_retries=n_retries,
    )
    with np.load(find(MNIST_M)) as arrays:
        X_target, y_target = arrays["x"], arrays["y"].astype(np.int64)
    X, y = _read_mnist(find)
    X = np.pad(X[:4000], [(0, 0), (2, 2), (2, 2)])
    X = np.repeat(X[..., None], 3, axis=3)
    return as_result(X, y[:4000], X_target, y_target, return_X_y=return_X_y, DESCR=_DESCR_M)


def _read_mnist(find: Callable) -> tuple[np.ndarray, np.ndarray]:
    with gzip.open(find(IMAGES)) as stream:
        X = np.frombuffer(stream.read(), np.uint8, offset=16).reshape(-1, 28, 28)
    with gzip.open(find(LABELS)) as stream:
        return X, np.frombuffer(stream.read(), np.uint8, offset=8).astype(np.int64)


def _read_usps(find: Callable) -> tuple[np.ndarray, np.ndarray]:
    h5py = import_optional("h5py", "data")
    with h5py.File(find(USPS)) as file:
        X, y = file["train/data"][:], file["train/target"][:]
    return X.reshape(-1, 16, 16), y.astype(np.int64)


def _read_optdigits(find: Callable) -> tuple[np.ndarray, np.ndarray]:
    rows = np.concatenate([np.loadtxt(find(file), delimiter=",") for file in OPTDIGITS])
    return rows[:, :64].reshape(-1, 8, 8) / 16, rows[:, 64].astype(np.int64)


_DOMAINS = {"mnist": _read_mnist, "usps": _read_usps, "optdigits": _read_optdigits}


def _resized(X, size):
    X = X.astype(np.float32) / (255 if X.dtype == np.uint8 else 1)
    if X.shape[1] == size:
        return X[:, None]
    images = torch.from_numpy(X[:, None].astype(np.float32))
    return interpolate(images, (size, size), mode="bilinear", antialias=True).numpy()
