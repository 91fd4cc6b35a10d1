"""Pictures in folders: a domain has a folder, and a class one within it."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from skda._naming import shortened
from skda.datasets._fetching import as_result, check_domains
from skda.datasets._files import get_data_home

_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"}


def load_image_domains(
    folder: str | os.PathLike,
    source: str,
    target: str,
    *,
    classes: Sequence[str] | None = None,
    return_X_y: bool = False,
) -> Any:
    """Load paths of pictures in ``folder/domain/class/picture``, of two domains.

    Nothing is decoded: estimators and :class:`~skda.feature_extraction.DeepFeatureExtractor` take
    the paths as rows.

    Parameters
    ----------
    folder : str or path-like
        Has a folder for each domain. ``folder/domain/images/class/picture``, as Office-31 has it,
        will do too.

    source : str
        Folder of the domain with labels.

    target : str
        Folder of the other domain. It may lack classes of the source.

    classes : sequence of str or None, default=None
        Those that are loaded, by the names of their folders. None takes all that the source has.

    return_X_y : bool, default=False
        Whether a tuple of X, y, X_target and y_target is returned.

    Returns
    -------
    pictures : sklearn.utils.Bunch or tuple
        With the entries

        X : ndarray of shape (n_samples,), dtype=object
            Paths of the source's pictures, as strings, ordered by class and name.
        y : ndarray of shape (n_samples,)
            Names of their classes.
        X_target, y_target : ndarrays
            Those of the target; its classes measure an adaptation, no method needs them. Pictures
            of classes that the source lacks are left out, unless `classes` names them.
        target_names : list of str
            The classes, sorted.
        DESCR : str
            How many pictures there are.

    Raises
    ------
    OSError
        If a folder is missing.

    ValueError
        If a domain has no picture of the classes.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import mkdtemp
    >>> from skda.datasets import load_image_domains
    >>> folder = Path(mkdtemp())
    >>> for name in ("shop/cup/1.jpg", "shop/pen/1.jpg", "home/cup/1.jpg", "home/pen/2.png"):
    ...     (folder / name).parent.mkdir(parents=True, exist_ok=True)
    ...     (folder / name).touch()
    >>> pictures = load_image_domains(folder, "shop", "home")
    >>> pictures.y.tolist(), [Path(path).name for path in pictures.X_target]
    (['cup', 'pen'], ['1.jpg', '2.png'])
    """
    home = Path(folder).expanduser()
    wanted = None if classes is None else set(classes)
    X, y = _pictures_of(home, source, wanted, "source")
    wanted = set(y.tolist()) if wanted is None else wanted
    X_target, y_target = _pictures_of(home, target, wanted, "target")
    return as_result(
        X,
        y,
        X_target,
        y_target,
        return_X_y=return_X_y,
        target_names=sorted(wanted),
        DESCR=f"{len(X)} pictures of {home / source} and {len(X_target)} of {home / target}.",
    )


def _pictures_of(home, domain, wanted, name):
    folder = home / domain
    if not folder.is_dir():
        there = (
            sorted(path.name for path in home.iterdir() if path.is_dir()) if home.is_dir() else []
        )
        raise OSError(
            f"{name}={domain!r}: there is no folder {folder}; {home} has the folders "
            f"{shortened(there[:10]) if there else 'of no domain'}."
        )
    if (folder / "images").is_dir() and not (wanted and "images" in wanted):
        folder = folder / "images"
    paths = [
        path
        for kind in sorted(folder.iterdir())
        if kind.is_dir() and (wanted is None or kind.name in wanted)
        for path in sorted(kind.iterdir())
        if path.suffix.lower() in _SUFFIXES
    ]
    if not paths:
        raise ValueError(
            f"{name}={domain!r}: {folder} holds no picture of "
            f"{'any class' if wanted is None else shortened(sorted(wanted)[:5])}; pictures "
            f"({', '.join(sorted(_SUFFIXES))}) must lie in folders of their classes."
        )
    return (
        np.array([str(path) for path in paths], dtype=object),
        np.array([path.parent.name for path in paths]),
    )


def _fetch(folders, page, domains, source, target, data_home, return_X_y):
    check_domains(source, target, list(domains))
    home = get_data_home(data_home)
    found = next((home / folder for folder in folders if (home / folder).is_dir()), None)
    if found is None:
        raise OSError(
            f"{home / folders[0]} is missing. Its terms do not let it be downloaded from here: get "
            f"it from {page} and unpack it there, with the folders {', '.join(domains)}; or name "
            f"the folder that holds {folders[0]} by data_home or the environment variable "
            "SKDA_DATA."
        )
    source, target = (
        next((name for name in domains[domain] if (found / name).is_dir()), domains[domain][0])
        for domain in (source, target)
    )
    return load_image_domains(found, source, target, return_X_y=return_X_y)


def fetch_office31(
    source: str = "amazon",
    target: str = "webcam",
    *,
    data_home: str | os.PathLike | None = None,
    return_X_y: bool = False,
) -> Any:
    """Load paths of Office-31's photographs, which must be in the data folder.

    31 classes of objects, 4,110 photographs. K. Saenko et al. Adapting Visual Category Models to
    New Domains. ECCV 2010. Download it by hand from https://faculty.cc.gatech.edu/~judy/domainadapt.

    Parameters
    ----------
    source : {"amazon", "dslr", "webcam"}, default="amazon"
        The domain with labels.

    target : {"amazon", "dslr", "webcam"}, default="webcam"
        The other domain.

    data_home : str, path-like or None, default=None
        Holds the folder ``office31``, see :func:`get_data_home`.

    return_X_y : bool, default=False
        Whether a tuple of X, y, X_target and y_target is returned.

    Returns
    -------
    pictures : sklearn.utils.Bunch or tuple
        As of :func:`load_image_domains`.

    Raises
    ------
    OSError
        If the folder is missing; the message says where to get it.

    ValueError
        If there is no such domain.
    """
    domains = {name: (name,) for name in ("amazon", "dslr", "webcam")}
    page = "https://faculty.cc.gatech.edu/~judy/domainadapt"
    folders = ("office31", "office31/domain_adaptation_images", "domain_adaptation_images")
    return _fetch(folders, page, domains, source, target, data_home, return_X_y)


def fetch_office_home(
    source: str = "art",
    target: str = "real_world",
    *,
    data_home: str | os.PathLike | None = None,
    return_X_y: bool = False,
) -> Any:
    """Load paths of Office-Home's pictures, which must be in the data folder.

    65 classes of objects, 15,588 pictures. H. Venkateswara et al. Deep Hashing Network for
    Unsupervised Domain Adaptation. CVPR 2017. Download it by hand from
    https://www.hemanthdv.org/officeHomeDataset.html.

    Parameters
    ----------
    source : {"art", "clipart", "product", "real_world"}, default="art"
        The domain with labels.

    target : {"art", "clipart", "product", "real_world"}, default="real_world"
        The other domain.

    data_home : str, path-like or None, default=None
        Holds the folder ``office_home``, see :func:`get_data_home`.

    return_X_y : bool, default=False
        Whether a tuple of X, y, X_target and y_target is returned.

    Returns
    -------
    pictures : sklearn.utils.Bunch or tuple
        As of :func:`load_image_domains`.

    Raises
    ------
    OSError
        If the folder is missing; the message says where to get it.

    ValueError
        If there is no such domain.
    """
    domains = {
        "art": ("Art", "art"),
        "clipart": ("Clipart", "clipart"),
        "product": ("Product", "product"),
        "real_world": ("Real World", "Real_World", "RealWorld", "real_world"),
    }
    page = "https://www.hemanthdv.org/officeHomeDataset.html"
    folders = ("office_home", "OfficeHomeDataset_10072016", "office-home")
    return _fetch(folders, page, domains, source, target, data_home, return_X_y)


def fetch_pacs(
    source: str = "photo",
    target: str = "sketch",
    *,
    data_home: str | os.PathLike | None = None,
    return_X_y: bool = False,
) -> Any:
    """Load paths of PACS's pictures, which must be in the data folder.

    7 classes of animals and things as photographs, paintings, cartoons and sketches, 9,991
    pictures. D. Li et al. Deeper, Broader and Artier Domain Generalization. ICCV 2017. Download it
    by hand from https://dali-dl.github.io/project_iccv2017.html.

    Parameters
    ----------
    source : {"photo", "art_painting", "cartoon", "sketch"}, default="photo"
        The domain with labels.

    target : {"photo", "art_painting", "cartoon", "sketch"}, default="sketch"
        The other domain.

    data_home : str, path-like or None, default=None
        Holds the folder ``pacs``, see :func:`get_data_home`.

    return_X_y : bool, default=False
        Whether a tuple of X, y, X_target and y_target is returned.

    Returns
    -------
    pictures : sklearn.utils.Bunch or tuple
        As of :func:`load_image_domains`.

    Raises
    ------
    OSError
        If the folder is missing; the message says where to get it.

    ValueError
        If there is no such domain.
    """
    domains = {name: (name,) for name in ("photo", "art_painting", "cartoon", "sketch")}
    page = "https://dali-dl.github.io/project_iccv2017.html"
    return _fetch(("pacs", "PACS"), page, domains, source, target, data_home, return_X_y)
