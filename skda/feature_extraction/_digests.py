"""Digests of the rows that features are of."""

import os
from collections.abc import Mapping
from hashlib import blake2b

import numpy as np
import torch

from skda.images import ImageReading, UnreadableImageError, read_image
from skda.text import text_key

_AS_IT_IS = ImageReading()


def content_keys(items, reading=_AS_IT_IS, *, are_texts=False):
    """Return a digest of the content of every row.

    Parameters
    ----------
    items : ndarray or torch.Tensor of shape (n, ...), dict of them, or list of paths, bytes, PIL \
            images and arrays, or of texts
        Rows. A file counts with its bytes, not with its name.

    reading : ImageReading, default=ImageReading()
        How PIL images are read.

    are_texts : bool, default=False
        Whether strings are texts, and not paths.

    Returns
    -------
    keys : list of (bytes or None)
        16 bytes per row; None for a file that cannot be read.

    Examples
    --------
    >>> import numpy as np
    >>> from skda.feature_extraction._digests import content_keys
    >>> first, second = content_keys(np.ones((2, 3)))
    >>> first == second, len(first)
    (True, 16)
    """
    if isinstance(items, torch.Tensor):
        items = items.detach().cpu().numpy()
    if isinstance(items, Mapping):
        columns = zip(*(content_keys(items[name]) for name in sorted(items)), strict=True)
        kind = f"inputs {sorted(items)}".encode()
        return [_hash(kind, b"".join(keys)) for keys in columns]
    if are_texts:
        return [text_key(item) for item in items]
    if isinstance(items, np.ndarray) and items.dtype != object:
        kind = f"array {items.dtype.str} {items.shape[1:]}".encode()
        return [_hash(kind, np.ascontiguousarray(row)) for row in items]
    return [_item_key(item, reading) for item in items]


def _hash(kind, content):
    state = blake2b(kind, digest_size=16)
    state.update(content)
    return state.digest()


def _item_key(item, reading):
    if isinstance(item, bytes | bytearray | memoryview):
        return _hash(b"file", item)
    if isinstance(item, str | os.PathLike):
        try:
            with open(item, "rb") as file:
                return _hash(b"file", file.read())
        except OSError:
            return None
    if isinstance(item, np.ndarray):
        return content_keys(item[None])[0]
    try:
        return content_keys(np.asarray(read_image(item, reading=reading))[None])[0]
    except UnreadableImageError:
        return None
