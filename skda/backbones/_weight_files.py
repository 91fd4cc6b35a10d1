"""Files of weights, looked at before memory is taken for what they promise."""

import argparse
import hashlib
import io
import os
import re
import zipfile
from collections.abc import Mapping
from contextlib import nullcontext
from enum import Enum
from pathlib import Path
from typing import Any

import torch

from skda._optional import import_optional

# Names and shapes of 100,000 tensors; one of 63 MB keeps its reader busy for 85 s.
_LARGEST_HEADER = 10_000_000
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


def check_weights_hash(weights: Any, sha256: str | None) -> None:
    """Raise if a hash is asked for that cannot be looked at.

    Parameters
    ----------
    weights : object
        The parameter of an estimator.

    sha256 : str or None
        Its parameter ``weights_sha256``.

    Raises
    ------
    ValueError
        If there is a hash, but no file; or if it is none.
    """
    if sha256 is None:
        return
    if not isinstance(weights, str | os.PathLike) or weights == "pretrained":
        given = "a mapping" if isinstance(weights, Mapping) else repr(weights)
        if isinstance(weights, Enum):
            given = f"{weights}, which torchvision checks itself"
        raise ValueError(
            f"weights_sha256 is the hash of a file, but weights is {given}; leave it out."
        )
    if not _SHA256.fullmatch(sha256):
        raise ValueError(
            f"weights_sha256={sha256!r} is no SHA-256, which has 64 hexadecimal digits; "
            "sha256sum FILE prints it."
        )


def read_weight_file(path: Path, sha256: str | None) -> Any:
    """Return what a file of weights holds.

    Parameters
    ----------
    path : Path
        Of an existing file.

    sha256 : str or None
        That the bytes must have that are read.

    Returns
    -------
    content : object
        A state dict, if the file is one.

    Raises
    ------
    ValueError
        If the bytes have another hash, or if the file promises more than it has.

    Exception
        Whatever the readers raise for a damaged file.
    """
    file: Any = path
    if sha256 is not None:
        # Read once: what has the hash is what is loaded.
        file = io.BytesIO(path.read_bytes())
        digest = hashlib.sha256(file.getbuffer()).hexdigest()
        if digest != sha256.lower():
            raise ValueError(
                f"weights_sha256={sha256!r}, but that of {path} is {digest}; the file is damaged "
                "or another one."
            )
    if path.suffix == ".safetensors":
        with path.open("rb") if file is path else nullcontext(file) as opened:
            _check_header(opened)
        safetensors = import_optional("safetensors.torch", "vision")
        return safetensors.load_file(path) if file is path else safetensors.load(file.getvalue())
    _check_zip(file)
    # Training programs put their command line beside the weights; it holds no code. Torch 2.4
    # cannot allow it for one call alone, and refuses it.
    allow = getattr(torch.serialization, "safe_globals", None)
    with allow([argparse.Namespace]) if allow else nullcontext():
        return torch.load(file, map_location="cpu", weights_only=True)


def _check_header(file):
    """Raise unless the header of a safetensors file is of a size that one can have."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    file.seek(0)
    if length > min(size - 8, _LARGEST_HEADER):
        raise ValueError(
            f"its header is said to have {length} bytes, of {size} in the file and "
            f"{_LARGEST_HEADER} at most."
        )


def _check_zip(file):
    """Raise if an archive, in which torch stores tensors as they are, would grow when read."""
    if not zipfile.is_zipfile(file):
        return
    size = file.stat().st_size if isinstance(file, Path) else len(file.getbuffer())
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > size or any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise ValueError(
            f"it is a compressed archive, of {size} bytes that become {unpacked}; torch.save does "
            "not compress. If you trust the file, unpack it."
        )
    if not isinstance(file, Path):
        file.seek(0)
