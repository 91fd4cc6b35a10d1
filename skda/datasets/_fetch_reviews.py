"""Reviews of four kinds of goods: the Amazon reviews of Blitzer et al."""

from functools import partial
from os import PathLike
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.datasets import load_svmlight_file

from skda.datasets._fetching import as_result, check_domains
from skda.datasets._files import DataFile, find_file, get_data_home

_DOMAINS = ("books", "dvd", "electronics", "kitchen")
_N_WORDS = 5000
_REPOSITORY = (
    "https://raw.githubusercontent.com/GRAAL-Research/domain_adversarial_neural_network/"
    "74eec5e0ae06bd6614bce048abba492c16a633e3/data/"
)
_ORIGIN = "the data of H. Ajakan et al. (Domain-Adversarial Neural Networks), data/*.svmlight"
# All in one, by name of an array: lossless, and a tenth as large.
PACKED = DataFile(
    "amazon_reviews/amazon_reviews_5000.npz",
    "e0b6ee2094dae1dcc8bedd445edf785069d4542af3a84e60146bf92623457dae",
    None,
    _ORIGIN,
)
# Only the beginnings of their digests are known.
PARTS = {
    name: DataFile(
        f"amazon_reviews/{name}.svmlight", sha256, f"{_REPOSITORY}{name}.svmlight", _ORIGIN
    )
    for name, sha256 in {
        "books_test": "fe4605c7dcf0e0a9",
        "books_train": "317f9a2ec34b81de",
        "dvd_test": "4fe1b1a15010f78d",
        "dvd_train": "95f602aa08bf6b55",
        "electronics_test": "641783bc941839c3",
        "electronics_train": "7d0061f03ff3827e",
        "kitchen_test": "e1502b97a824eb12",
        "kitchen_train": "a70b5ebfe1413e0e",
    }.items()
}

_DESCR = """\
Amazon reviews
--------------
Reviews of books, DVDs, electronics and kitchen appliances, positive or negative: 2,000 of each to
train with, and 4,465, 3,586, 5,681 and 5,945 others to test. Rows are counts of the 5,000 most
frequent words and pairs of words. J. Blitzer, M. Dredze, F. Pereira. Biographies, Bollywood,
Boom-boxes and Blenders. ACL 2007 (for research); counts of Y. Ganin et al. Domain-Adversarial
Training of Neural Networks. JMLR 2016, section 5.1 (BSD licence).
"""


def fetch_amazon_reviews(
    source: str = "books",
    target: str = "kitchen",
    *,
    data_home: str | PathLike | None = None,
    download_if_missing: bool = True,
    n_retries: int = 3,
    return_X_y: bool = False,
) -> Any:
    """Load reviews of two kinds of goods (download if they are missing).

    Parameters
    ----------
    source : {"books", "dvd", "electronics", "kitchen"}, default="books"
        The domain with labels.

    target : {"books", "dvd", "electronics", "kitchen"}, default="kitchen"
        The other domain.

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
    reviews : sklearn.utils.Bunch or tuple
        With the entries

        X : csr_matrix of shape (2000, 5000), dtype=float32
            Counts of words in the source's reviews.
        y : ndarray of shape (2000,), dtype=int64
            -1 negative, 1 positive.
        X_target : csr_matrix of shape (2000, 5000), dtype=float32
            Target reviews, to adapt to.
        y_target : ndarray of shape (2000,), dtype=int64
            Their labels; no method needs them.
        X_test, y_test : csr_matrix, ndarray
            Other target reviews, to measure an adaptation with. Not in the tuple.
        DESCR : str
            The description, with the terms.

    Raises
    ------
    OSError
        If a file cannot be had, or is another one; the message says where else to look.

    ValueError
        If there is no such domain.

    Examples
    --------
    >>> from skda.datasets import fetch_amazon_reviews
    >>> reviews = fetch_amazon_reviews("books", "dvd")         # doctest: +SKIP
    >>> reviews.X.shape, reviews.X_test.shape                  # doctest: +SKIP
    ((2000, 5000), (3586, 5000))
    """
    check_domains(source, target, _DOMAINS)
    find = partial(
        find_file,
        data_home=data_home,
        download_if_missing=download_if_missing,
        n_retries=n_retries,
    )
    has_pack = (get_data_home(data_home) / PACKED.path).is_file()
    read = _read_pack if has_pack else _read_part
    X_test, y_test = read(find, f"{target}_test")
    return as_result(
        *read(find, f"{source}_train"),
        *read(find, f"{target}_train"),
        return_X_y=return_X_y,
        X_test=X_test,
        y_test=y_test,
        DESCR=_DESCR,
    )


def _read_pack(find, name):
    with np.load(find(PACKED)) as arrays:
        counts, columns, starts, y = (
            arrays[f"{name}_{part}"] for part in ("data", "indices", "indptr", "y")
        )
    parts = counts.astype(np.float32), columns.astype(np.int32), starts
    return csr_matrix(parts, shape=(len(y), _N_WORDS)), y.astype(np.int64)


def _read_part(find, name):
    options: Any = {"n_features": _N_WORDS, "dtype": np.float32, "zero_based": False}
    X, y = load_svmlight_file(str(find(PARTS[name])), **options)
    return X, y.astype(np.int64)
