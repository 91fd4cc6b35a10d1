"""Files of data sets: where they lie, and how they get there."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from skda._optional import import_optional

# Seconds without a byte after which a download has stalled.
_PATIENCE = 30


@dataclass(frozen=True)
class DataFile:
    """A file of a data set.

    Parameters
    ----------
    path : str
        In the data folder.

    sha256 : str
        Digest of its content, or the beginning of one.

    url : str or None
        Where it can be downloaded; None if only `origin` says where it comes from.

    origin : str
        Where else to look, in words.
    """

    path: str
    sha256: str
    url: str | None
    origin: str


def get_data_home(data_home: str | os.PathLike | None = None) -> Path:
    """Return the folder in which data sets are kept.

    Parameters
    ----------
    data_home : str, path-like or None, default=None
        The folder. None takes the environment variable ``SKDA_DATA``, or ``~/skda_data``. It need
        not exist.

    Returns
    -------
    data_home : pathlib.Path
        Absolute, with ``~`` expanded.

    Examples
    --------
    >>> from skda.datasets import get_data_home
    >>> get_data_home("~/data").name
    'data'
    """
    if data_home is None:
        data_home = os.environ.get("SKDA_DATA") or Path.home() / "skda_data"
    return Path(data_home).expanduser().absolute()


def find_file(
    file: DataFile,
    data_home: str | os.PathLike | None = None,
    *,
    download_if_missing: bool = True,
    n_retries: int = 3,
) -> Path:
    """Return the path of a file of a data set, which is downloaded if it is missing.

    Parameters
    ----------
    file : DataFile
        What is wanted.

    data_home : str, path-like or None, default=None
        As of :func:`get_data_home`.

    download_if_missing : bool, default=True
        If False, a missing file is an error.

    n_retries : int, default=3
        How often a failed download is tried again, after 1, 2, ... seconds.

    Returns
    -------
    path : pathlib.Path
        Of a file with the right content.

    Raises
    ------
    OSError
        If the file is missing and cannot be had, or has another content. Nothing is left of a
        download that failed.
    """
    path = get_data_home(data_home) / file.path
    if path.is_file():
        found = _digest_of(path)
        if found.startswith(file.sha256):
            return path
        raise OSError(
            f"{path} is not the file that is wanted: its SHA-256 is {found[:16]}..., wanted "
            f"{file.sha256[:16]}...; delete it, and it is downloaded again. {_advice(file, path)}"
        )
    if not download_if_missing:
        raise OSError(f"{path} is missing and download_if_missing is False. {_advice(file, path)}")
    if file.url is None:
        raise OSError(f"{path} is missing and cannot be downloaded. {_advice(file, path)}")
    _download(file, path, n_retries)
    return path


def _download(file, path, n_retries):
    pooch = import_optional("pooch", "data")
    known = f"sha256:{file.sha256}" if len(file.sha256) == 64 else None
    try:
        # Writes to a temporary file, compares digests and renames.
        downloader = pooch.create(
            path.parent,
            base_url="",
            registry={path.name: known},
            urls={path.name: file.url},
            retry_if_failed=n_retries,
        )
        check: Callable[..., Any] = _check_beginning(file, path)
        patient = pooch.HTTPDownloader(timeout=_PATIENCE)
        downloader.fetch(path.name, processor=check, downloader=patient)
    except Exception as error:
        words = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
        raise OSError(
            f"{file.path} could not be downloaded from {file.url}: {words} {_advice(file, path)}"
        ) from error


def _check_beginning(file, path):
    def check(_, action, __):
        if action == "fetch":
            return
        found = _digest_of(path)
        if not found.startswith(file.sha256):
            path.unlink()
            raise OSError(f"its SHA-256 is {found[:16]}..., wanted {file.sha256}.")

    return check


def _digest_of(path):
    state = sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            state.update(block)
    return state.hexdigest()


def _advice(file, path):
    return (
        f"It is from {file.origin}. With a copy from elsewhere (SHA-256 {file.sha256[:16]}...), "
        f"put it there as {path}, or name the folder that holds {file.path} by data_home or the "
        "environment variable SKDA_DATA."
    )
