"""Ten classes of objects in four places: Office-Caltech10."""

from functools import partial
from os import PathLike
from typing import Any
from zipfile import ZipFile

import numpy as np
from scipy.io import loadmat

from skda._optional import import_optional
from skda.datasets._fetching import as_result, check_domains
from skda.datasets._files import DataFile, find_file

_DOMAINS = ("amazon", "caltech10", "dslr", "webcam")
_CLASSES = (
    "backpack", "bike", "calculator", "headphones", "keyboard",
    "laptop", "monitor", "mouse", "mug", "projector",
)  # fmt: skip
_TOOLBOX = (
    "https://raw.githubusercontent.com/viggin/domain-adaptation-toolbox/"
    "2a991816a0ac39043b526c2b0cbe01bc844d8890/ToRelease_GFK/data/"
)
HISTOGRAMS = {
    domain: DataFile(
        f"office_caltech10_surf/{name}_SURF_L10.mat",
        sha256,
        f"{_TOOLBOX}{name}_SURF_L10.mat",
        "the code of B. Gong et al. for the geodesic flow kernel (ToRelease_GFK)",
    )
    for domain, name, sha256 in (
        ("amazon", "amazon", "df32548b994e18d364c99e1f317e1fae100597259f0423a41b90f4f68187bb1f"),
        (
            "caltech10",
            "Caltech10",
            "4f9334c8ced489d5054de97a5fd51a61f017f3bcd1f38c9a85c6d78cb9d7bda5",
        ),
        ("dslr", "dslr", "44d673c68e1d07b837893aa74dba3b986e4a6cc3fd66f0dd357683bdef059216"),
        ("webcam", "webcam", "a6a9c78b4b7181dfbb58bcfd351d4ebd737f171c31247b8884948aa156d3f700"),
    )
}
FEATURES = DataFile(
    "office_caltech10_mobilenetv2/office_caltech10_mobilenetv2_1280.npz",
    "8920a5752fb8a32a73299d7a63130a82e641e8c08a65a660bd092e0b247c47ad",
    None,
    "the images of Office-31 and Caltech-256, whose pooled features of MobileNetV2 it holds as "
    "arrays DOMAIN_x of 1280 columns and DOMAIN_y",
)
IMAGES = DataFile(
    "office_caltech10_images/office_caltech10_128px.zip",
    "b87aafded9fa75e3fbe0ecd71b63426d785a1cbb26cfc41ac985c28d1903d28c",
    None,
    "the images of Office-31 and Caltech-256, which it holds as DOMAIN/CLASS/NAME.jpg of 128 x "
    "128 pixels",
)

_DESCR = """\
Office-Caltech10
----------------
Photographs of the ten classes that Office-31 and Caltech-256 share, from four places: a shop
(amazon, 958), Caltech-256 (caltech10, 1123), a reflex camera (dslr, 157) and a webcam (295). K.
Saenko et al. Adapting Visual Category Models to New Domains. ECCV 2010; G. Griffin et al.
Caltech-256 Object Category Dataset. 2007; histograms of B. Gong et al. Geodesic Flow Kernel for
Unsupervised Domain Adaptation. CVPR 2012. Offered for research, without an explicit licence.

- ``surf``: histograms of 800 visual words, each row divided by its sum and each column
  standardised within its domain;
- ``mobilenetv2``: 1280 pooled features of a MobileNetV2 that was trained on ImageNet;
- ``images``: the photographs at 128 x 128 pixels.
"""


def fetch_office_caltech10(
    source: str = "amazon",
    target: str = "webcam",
    *,
    features: str = "surf",
    data_home: str | PathLike | None = None,
    download_if_missing: bool = True,
    n_retries: int = 3,
    return_X_y: bool = False,
) -> Any:
    """Load two domains of Office-Caltech10 (download of the histograms if they are missing).

    Parameters
    ----------
    source : {"amazon", "caltech10", "dslr", "webcam"}, default="amazon"
        The domain with labels.

    target : {"amazon", "caltech10", "dslr", "webcam"}, default="webcam"
        The other domain.

    features : {"surf", "mobilenetv2", "images"}, default="surf"
        What rows are: 800 standardised histograms, 1280 deep features, or images. The last two
        must be in the data folder; no place is known that has them as one file.

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
    office : sklearn.utils.Bunch or tuple
        With the entries

        X : ndarray of shape (n_samples, 800) or (n_samples, 1280), dtype=float32, or of shape \
                (n_samples, 128, 128, 3), dtype=uint8
            Source rows.
        y : ndarray of shape (n_samples,), dtype=int64
            Source classes, 0 to 9.
        X_target, y_target : ndarrays
            Those of the target; its classes measure an adaptation, no method needs them.
        target_names : list of str
            What the classes are called.
        DESCR : str
            The description, with the terms.

    Raises
    ------
    OSError
        If a file cannot be had, or is another one; the message says where else to look.

    ValueError
        If there are no such domains or features.

    Examples
    --------
    >>> from skda.datasets import fetch_office_caltech10
    >>> office = fetch_office_caltech10("dslr", "webcam")      # doctest: +SKIP
    >>> office.X.shape, office.X_target.shape                  # doctest: +SKIP
    ((157, 800), (295, 800))
    """
    check_domains(source, target, _DOMAINS)
    if features not in _READERS:
        raise ValueError(f"features must be one of {', '.join(_READERS)}, got {features!r}.")
    find = partial(
        find_file,
        data_home=data_home,
        download_if_missing=download_if_missing,
        n_retries=n_retries,
    )
    read = _READERS[features]
    return as_result(
        *read(find, source),
        *read(find, target),
        return_X_y=return_X_y,
        target_names=list(_CLASSES),
        DESCR=_DESCR,
    )


def _read_histograms(find, domain):
    contents = loadmat(find(HISTOGRAMS[domain]))
    shares = contents["fts"] / contents["fts"].sum(axis=1, keepdims=True)
    spread = shares.std(axis=0)
    X = (shares - shares.mean(axis=0)) / np.where(spread > 0, spread, 1)
    return X.astype(np.float32), contents["labels"].ravel().astype(np.int64) - 1


def _read_features(find, domain):
    with np.load(find(FEATURES)) as arrays:
        return arrays[f"{domain}_x"].astype(np.float32), arrays[f"{domain}_y"].astype(np.int64)


def _read_images(find, domain):
    image = import_optional("PIL.Image", "vision")
    with ZipFile(find(IMAGES)) as archive:
        names = sorted(name for name in archive.namelist() if name.startswith(f"{domain}/"))
        names = [name for name in names if name.endswith(".jpg")]
        X = np.stack([np.asarray(image.open(archive.open(name))) for name in names])
    folders = sorted({name.split("/")[1] for name in names})
    return X, np.array([folders.index(name.split("/")[1]) for name in names])


_READERS = {"surf": _read_histograms, "mobilenetv2": _read_features, "images": _read_images}
