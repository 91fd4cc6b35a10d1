"""The file: a zip archive that is not compressed, of JSON and safetensors.

``manifest.json`` has the number of the format, the versions of the libraries, and size and digest
of every other part; ``objects.json`` has all but the numbers; ``tensors.safetensors`` has those,
and any program that knows the format can read them; parts that scikit-learn's own estimators need
skops for are beside them. Sizes and digests are checked before anything is made of a part.
"""

import hashlib
import json
import os
import zipfile
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import torch

from skda._safetensors import load_tensors, save_tensors, write_whole

FORMAT = 1
_MANIFEST, _OBJECTS, _TENSORS = "manifest.json", "objects.json", "tensors.safetensors"
_LONGEST_MANIFEST = 1_000_000
# A hundred times what a network of a thousand layers takes; JSON grows when it is read.
_LONGEST_OBJECTS = 100_000_000
_MOST_PARTS = 1000
_LIBRARIES = ("numpy", "scikit-learn", "torch", "skorch")
_DATE = (1980, 1, 1, 0, 0, 0)  # the same estimator gives the same file
_DIGEST = "blake2b"


class Content(NamedTuple):
    """What a file holds."""

    objects: dict[str, Any]
    tensors: dict[str, torch.Tensor]
    attachments: dict[str, bytes]
    manifest: dict[str, Any]


def write_container(
    path: Any,
    objects: dict[str, Any],
    tensors: Mapping[str, torch.Tensor],
    attachments: Mapping[str, bytes],
    versions: Mapping[str, str],
) -> None:
    """Write a file that is whole under its name, or not there."""
    text = json.dumps(objects, separators=(",", ":"), allow_nan=False).encode()
    if len(text) > _LONGEST_OBJECTS or len(attachments) > _MOST_PARTS:
        raise ValueError(f"the estimator is too large: {len(text)} bytes beside its tensors.")
    parts = {
        _OBJECTS: lambda file: file.write(text),
        _TENSORS: lambda file: save_tensors(file, tensors),
        **{name: _writer_of(content) for name, content in attachments.items()},
    }

    def write(file):
        described = {}
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for name, write_part in parts.items():
                with archive.open(zipfile.ZipInfo(name, _DATE), "w", force_zip64=True) as opened:
                    hashing = _Hashing(opened)
                    write_part(hashing)
                described[name] = hashing.description()
            manifest = {"format": FORMAT, "versions": {**_versions(), **versions}}
            manifest["parts"] = described
            archive.writestr(
                zipfile.ZipInfo(_MANIFEST, _DATE), json.dumps(manifest, indent=1).encode()
            )

    write_whole(path, write)


def _writer_of(content):
    return lambda file: file.write(content)


def _versions():
    versions = {}
    for name in _LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


class _Hashing:
    """A file that knows the digest of what went through it."""

    def __init__(self, file):
        self._file, self._digest, self._n_bytes = file, hashlib.new(_DIGEST), 0

    def write(self, data):
        self._digest.update(data)
        self._n_bytes += memoryview(data).nbytes
        return self._file.write(data)

    def read(self, n_bytes):
        data = self._file.read(n_bytes)
        self._digest.update(data)
        self._n_bytes += len(data)
        return data

    def readinto(self, view):
        n_read = self._file.readinto(view)
        self._digest.update(view[:n_read])
        self._n_bytes += n_read
        return n_read

    def description(self):
        return {"n_bytes": self._n_bytes, _DIGEST: self._digest.hexdigest()}


def read_container(path: Any) -> Content:
    """Return the parts of a file, checked against its manifest.

    Parameters
    ----------
    path : str or path
        Of the file.

    Returns
    -------
    content : Content
        Its parts. Nothing is made of them yet.

    Raises
    ------
    ValueError
        If the file is damaged, no file of this kind, or of a later version.
    """
    path = Path(path)
    with open(path, "rb") as file:
        n_bytes = os.fstat(file.fileno()).st_size
        try:
            with zipfile.ZipFile(file) as archive:
                return _read(archive, n_bytes)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
            raise damaged(path, error) from error
        except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
            if isinstance(error, _LaterFormat):
                raise
            raise damaged(path, error) from error


class _LaterFormat(ValueError):
    pass


def damaged(path: Any, error: Any) -> ValueError:
    """Return what to say of a file that is not as it was written."""
    return ValueError(
        f"{os.fspath(path)!r} cannot be loaded: {str(error) or type(error).__name__}. It is "
        "damaged, or was not written by skda.save; copy it again or save the estimator again. "
        "(Pickles are loaded with joblib.load or pickle.load.)"
    )


def _read(archive, n_bytes):
    entries = {entry.filename: entry for entry in archive.infolist()}
    if len(entries) != len(archive.infolist()) or len(entries) > _MOST_PARTS + 3:
        raise ValueError("parts are there twice, or too many")
    for entry in entries.values():
        if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
            raise ValueError(f"the part {entry.filename!r} is compressed")
    if sum(entry.file_size for entry in entries.values()) > n_bytes:
        raise ValueError("its parts are said to be longer than the file")
    if entries[_MANIFEST].file_size > _LONGEST_MANIFEST:
        raise ValueError("its manifest is too long")
    manifest = json.loads(archive.read(_MANIFEST))
    _check_format(manifest)
    parts = manifest["parts"]
    if set(parts) != set(entries) - {_MANIFEST} or not {_OBJECTS, _TENSORS} <= set(parts):
        raise ValueError("its parts are not those of the manifest")
    if entries[_OBJECTS].file_size > _LONGEST_OBJECTS:
        raise ValueError("the part objects.json is too long")
    content = {name: _read_part(archive, entries[name], parts[name]) for name in parts}
    try:
        objects = json.loads(content.pop(_OBJECTS))
    except RecursionError as error:
        raise ValueError("objects.json is nested too deeply") from error
    return Content(objects, content.pop(_TENSORS), content, manifest)


def _check_format(manifest):
    number = manifest["format"]
    if type(number) is not int or number < 1:
        raise ValueError("its manifest names no format")
    if number > FORMAT:
        made = manifest.get("versions", {}).get("skda")
        raise _LaterFormat(
            f"The file has format {number}, written by skda {str(made)[:40]}; this version reads "
            f"formats up to {FORMAT}. Update skda: pip install -U skda."
        )


def _read_part(archive, entry, described):
    with archive.open(entry) as opened:
        file = _Hashing(opened)
        if entry.filename == _TENSORS:
            part: Any = load_tensors(file, n_bytes=entry.file_size).tensors
        else:
            part = file.read(entry.file_size)
    if file.description() != described:
        raise ValueError(
            f"the part {entry.filename!r} has changed: its digest is not that of the manifest"
        )
    return part
