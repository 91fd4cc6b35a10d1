"""Image files that PIL cannot write, made by hand, byte for byte."""

import struct
import zlib
from io import BytesIO

import numpy as np

_FORMATS = {3: "H", 4: "I"}


def encoded(picture, form="png", **options):
    """Return the file that PIL writes."""
    buffer = BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


def png(pixels, bits=None, key=None):
    """Return a PNG file of 8 or 16 bits a channel, or of 1, 2 or 4 in grey; `key` is its tRNS."""
    pixels = np.atleast_3d(pixels)
    height, width, channels = pixels.shape
    bits = bits or 8 * pixels.itemsize
    if bits < 8:
        lines = np.unpackbits(pixels.astype("u1"), axis=2)[..., 8 - bits :].reshape(height, -1)
        lines = np.packbits(lines, axis=1)
    else:
        lines = pixels.astype(">u2" if bits == 16 else "u1")
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    chunks = [(b"IHDR", header)]
    if key is not None:
        chunks.append((b"tRNS", struct.pack(f">{len(key)}H", *key)))
    data = b"".join(b"\0" + line.tobytes() for line in lines)
    chunks += [(b"IDAT", zlib.compress(data)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )


def tiff(pixels, order="<", *, photometric=None, planar=1, alpha=2, bits=None, data=None):
    """Return an uncompressed TIFF file of any type of numbers."""
    pixels = np.atleast_3d(pixels)
    height, width, channels = pixels.shape
    n_colours = 4 if photometric == 5 else 3 if channels > 2 else 1
    if data is None:
        data = pixels.astype(pixels.dtype.newbyteorder(order))
        data = (data.transpose(2, 0, 1) if planar == 2 else data).tobytes()
    n_strips = channels if planar == 2 else 1
    if photometric is None:
        photometric = 2 if channels > 2 else 1
    entries = {
        256: (4, width),
        257: (4, height),
        258: (3, *[bits or 8 * pixels.itemsize] * channels),
        259: (3, 1),
        262: (3, photometric),
        273: (4, *[0] * n_strips),
        277: (3, channels),
        278: (4, height),
        279: (4, *[len(data) // n_strips] * n_strips),
        284: (3, planar),
        339: (3, *[{"u": 1, "i": 2, "f": 3}[pixels.dtype.kind]] * channels),
    }
    if channels > n_colours:
        entries[338] = (3, alpha)
    start = 8 + 2 + 12 * len(entries) + 4
    sizes = [(4 if kind == 4 else 2) * len(values) for kind, *values in entries.values()]
    first = start + sum(size for size in sizes if size > 4)
    entries[273] = (4, *[first + strip * len(data) // n_strips for strip in range(n_strips)])
    directory, beyond = struct.pack(f"{order}H", len(entries)), b""
    for tag, (kind, *values) in sorted(entries.items()):
        value = struct.pack(f"{order}{len(values)}{_FORMATS[kind]}", *values)
        if len(value) > 4:
            place = struct.pack(f"{order}I", start + len(beyond))
            value, beyond = place, beyond + value
        head = struct.pack(f"{order}HHI", tag, kind, len(values))
        directory += head + value.ljust(4, b"\0")
    magic = b"II*\0" if order == "<" else b"MM\0*"
    return magic + struct.pack(f"{order}I", 8) + directory + bytes(4) + beyond + data
