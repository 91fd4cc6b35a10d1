"""Tensors in files: the format of the safetensors library, and files that are whole or not there.

A file is the length of its header (8 bytes, little-endian), the header in JSON, which names the
type, the shape and the place of every tensor, and their bytes. It holds no code. What a header
says is checked against the file before memory is taken.
"""

import contextlib
import json
import math
import os
import sys
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import torch

# What the library itself reads at most.
_LONGEST_HEADER = 100_000_000
_ALIGNMENT = 8
_METADATA = "__metadata__"
_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U64": torch.uint64,
    "U32": torch.uint32,
    "U16": torch.uint16,
    "U8": torch.uint8,
    "BOOL": torch.bool,
    "C64": torch.complex64,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}


class StoredTensors(NamedTuple):
    """What a file holds."""

    tensors: dict[str, torch.Tensor]
    metadata: dict[str, str]


def write_whole(path: Any, write: Callable[[BinaryIO], Any]) -> None:
    """Write a file that is whole under its name, or not there.

    It is written under another name in the same folder, brought to the disk and renamed. A full
    disk, an error or an interruption leaves what was there before; only a process that is killed
    leaves the unfinished file too, whose name begins with a dot and ends in ``.tmp``.

    Parameters
    ----------
    path : str or path
        Of the file. What a link points to is replaced, the link stays.

    write : callable
        Called with the open binary file.

    Raises
    ------
    OSError
        If the file cannot be written.
    """
    path = Path(os.path.realpath(path))
    if path.is_dir():
        raise IsADirectoryError(f"{os.fspath(path)!r} is a folder; name a file.")
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"there is no folder {os.fspath(path.parent)!r} for {path.name!r}; make it first."
        )
    unfinished = path.with_name(f".{path.name[:100]}-{uuid.uuid4().hex}.tmp")
    try:
        with open(unfinished, "xb") as file:
            if path.exists():
                os.chmod(unfinished, path.stat().st_mode & 0o777)
            write(file)
            file.flush()
            os.fsync(file.fileno())  # the name must not outlive a crash without content
        os.replace(unfinished, path)
    except BaseException:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)
        raise
    _bring_to_disk(path.parent)


def _bring_to_disk(folder):
    """Make the names in a folder outlive a crash, where the system has a way."""
    with contextlib.suppress(OSError):  # Windows opens no folders
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def save_tensors(
    file: Any, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors; one after the other comes to the CPU.

    Parameters
    ----------
    file : str, path or binary file
        A path is written whole, see :func:`write_whole`.

    tensors : mapping of str to torch.Tensor
        Dense, of any shape and strides, on any device. Those that share memory are written each
        for itself.

    metadata : mapping of str to str, default=None
        Kept in the header.

    Raises
    ------
    TypeError
        If something is no tensor, or a name or an entry of the metadata no string.

    ValueError
        If the format has no such tensors: sparse, quantized, without memory, complex128. Nothing
        is written then.
    """
    header = _header(tensors, dict(metadata or {}))
    if hasattr(file, "write"):
        _write(file, header, tensors)
    else:
        write_whole(file, lambda opened: _write(opened, header, tensors))


def _write(file, header, tensors):
    file.write(len(header).to_bytes(8, "little"))
    file.write(header)
    for name in _order(tensors):
        # Of a tensor that is computed lazily, numpy sees what it is computed from.
        tensor = tensors[name].detach().resolve_conj().resolve_neg().cpu().reshape(-1)
        if tensor.stride(0) != 1:  # one value may have any stride and counts as contiguous
            tensor = tensor.clone(memory_format=torch.contiguous_format)
        file.write(tensor.view(torch.uint8).numpy().data)


def _order(tensors):
    """Return names as the library orders them: the widest types first, so all are aligned."""
    return sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))


def _header(tensors, metadata):
    _check_machine()
    for text in [*tensors, *metadata, *metadata.values()]:
        if not isinstance(text, str):
            raise TypeError(f"Names of tensors and metadata must be strings; got {text!r}.")
    for name, tensor in tensors.items():
        _check_tensor(name, tensor)
    content: dict[str, Any] = {_METADATA: metadata} if metadata else {}
    begin = 0
    for name in _order(tensors):
        tensor = tensors[name]
        end = begin + tensor.numel() * tensor.element_size()
        content[name] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [begin, end],
        }
        begin = end
    header = json.dumps(content, separators=(",", ":")).encode()
    return header + b" " * (-len(header) % _ALIGNMENT)


def _check_machine():
    if sys.byteorder != "little":
        raise ValueError("Tensors are written and read on little-endian machines alone.")


def _check_tensor(name, tensor):
    if not isinstance(tensor, torch.Tensor):
        raise TypeError(f"{name!r} must be a tensor; got {type(tensor).__name__}.")
    if name == _METADATA:
        raise ValueError(f"No tensor can be named {name!r}: the format has that name for itself.")
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
        raise ValueError(
            f"The tensor {name!r} is sparse, quantized or without memory, which the format has "
            "no place for; save tensor.to_dense(), tensor.dequantize() or real values."
        )
    if tensor.dtype not in _NAMES:
        raise ValueError(
            f"The tensor {name!r} has dtype {tensor.dtype}; the format has {sorted(_DTYPES)}."
        )


def load_tensors(file: Any, *, n_bytes: int | None = None) -> StoredTensors:
    """Read tensors, into memory of their own on the CPU.

    Parameters
    ----------
    file : str, path or binary file
        A file is read from where it stands, one tensor after the other.

    n_bytes : int, default=None
        That the file may have from there on. None asks the file, which must be seekable then.

    Returns
    -------
    stored : StoredTensors
        ``tensors`` and ``metadata`` by name.

    Raises
    ------
    ValueError
        If the file is damaged: before memory is taken for what it does not hold.
    """
    _check_machine()
    if not hasattr(file, "read"):
        with open(file, "rb") as opened:
            return load_tensors(opened, n_bytes=n_bytes)
    if n_bytes is None:
        place = file.tell()
        n_bytes = file.seek(0, os.SEEK_END) - place
        file.seek(place)
    entries, metadata = _read_header(file, n_bytes)
    return StoredTensors(
        {name: _read_tensor(file, name, *entry) for name, *entry in entries}, metadata
    )


def _read_header(file, n_bytes):
    """Return (name, type, shape, number of bytes) of every tensor by its place, and metadata."""
    length = int.from_bytes(file.read(8), "little")
    if n_bytes < 8 or length > min(n_bytes - 8, _LONGEST_HEADER):
        raise _damaged(f"its header is to have {length} bytes, of {n_bytes} in all")
    text = file.read(length)
    if len(text) < length:
        raise _damaged("its header is cut off")
    try:
        content = json.loads(text, object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise _damaged(f"its header is no JSON ({type(error).__name__})") from error
    if not isinstance(content, dict):
        raise _damaged("its header is no object")
    metadata = content.pop(_METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise _damaged("its metadata are no texts")
    entries = sorted((*_entry(name, value), name) for name, value in content.items())
    end_before = 0
    for begin, end, *_, name in entries:
        if begin != end_before:
            raise _damaged(f"{name!r} begins at {begin}, what is before it ends at {end_before}")
        end_before = end
    if end_before != n_bytes - 8 - length:
        raise _damaged(f"its tensors take {end_before} bytes, and there are {n_bytes - 8 - length}")
    return [
        (name, _DTYPES[kind], shape, end - begin) for begin, end, kind, shape, name in entries
    ], metadata


def _entry(name, value):
    """Return the place (begin, end), the name of the type and the shape of a tensor."""
    keys = {"dtype", "shape", "data_offsets"}
    if not isinstance(value, dict) or set(value) != keys:
        raise _damaged(f"{name!r} is described by other things than {sorted(keys)}")
    kind, shape, place = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(kind, str) or kind not in _DTYPES:
        raise _damaged(f"{name!r} has type {kind!r}; known are {sorted(_DTYPES)}")
    for numbers in (shape, place):
        if not isinstance(numbers, list) or not all(
            type(number) is int and 0 <= number < 2**63 for number in numbers
        ):
            raise _damaged(f"{name!r} has shape {shape!r} at {place!r}")
    if len(place) != 2 or math.prod(shape) * _DTYPES[kind].itemsize != place[1] - place[0]:
        raise _damaged(f"{name!r} has {kind}, shape {shape} and place {place}: they disagree")
    return *place, kind, shape


def _read_tensor(file, name, dtype, shape, n_bytes):
    memory = torch.empty(n_bytes, dtype=torch.uint8, device="cpu")
    view, n_read = memory.numpy().data, 0
    while n_read < n_bytes:
        n_more = file.readinto(view[n_read:])
        if not n_more:
            raise _damaged(f"it ends within {name!r}")
        n_read += n_more
    if dtype == torch.bool and n_bytes and memory.max() > 1:
        raise _damaged(f"{name!r} is neither true nor false somewhere")
    return memory.view(dtype).reshape(shape)


def _without_duplicates(pairs):
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError("a name is there twice")
    return content


def _damaged(what):
    return ValueError(
        f"The tensors cannot be read: {what}. The file is damaged, or is no file of safetensors; "
        "make or fetch it again."
    )
