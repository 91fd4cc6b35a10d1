"""Images that are decoded once and kept, in memory or in a file."""

import copy
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from joblib import effective_n_jobs

from skda._optional import import_optional
from skda.images._decoding import decoded_batches
from skda.images._reading import UnreadableImageError, read_image
from skda.images._rows import ImageRows, PixelRows
from skda.images._sinks import make_sink
from skda.images._stored import StoredFile, StoredRows

_BATCH = 32  # images that are decoded between two writes; three times as many are in memory


def decode_rows(
    images: ImageRows, *, store: Any = "auto", n_jobs: int | None = None, on_error: str = "raise"
) -> tuple[Any, dict[int, str]]:
    """Decode every image once, and keep what comes before its normalisation.

    Parameters
    ----------
    images : ImageRows
        The images.

    store : {"auto"}, None, str or path, default="auto"
        The estimators' parameter ``image_store``. ``"auto"`` keeps pixels in memory as long as
        they take up to a quarter of what is available, and otherwise in a file in the system's
        folder for temporary files, which goes with the last rows that use it. A folder is where
        that file is to be instead; of image files, encoded images and arrays it stays there, and
        another call with the same images, unchanged, and the same preprocessing takes it as it
        is. None keeps nothing: images are decoded at every use.

        What a `preprocess` of the user's own returns may be random, and is kept in a folder
        alone; there it is what the first use made of an image.

    n_jobs : int, default=None
        Number of threads, as in joblib.

    on_error : {"raise", "drop"}, default="raise"
        Whether an image that cannot be read is an error, or is left out.

    Returns
    -------
    rows : StoredRows or ImageRows
        Those that can be read; ImageRows if nothing is kept.

    unreadable : dict of int to str
        Why images were left out, by their number.

    Raises
    ------
    UnreadableImageError
        With its path, if an image cannot be read and is not to be left out (with ``store=None``
        only when it is used); or if none can.

    ValueError
        If a parameter is none of these, or images become rows of several shapes.

    OSError
        If the folder cannot hold the rows.

    Examples
    --------
    >>> from PIL import Image
    >>> from skda.images import ImageRows, decode_rows
    >>> pictures = [Image.new("RGB", (8, 6)), b"no image", Image.new("RGB", (8, 6))]
    >>> rows, unreadable = decode_rows(ImageRows(pictures, None), on_error="drop")
    >>> rows.shape, list(unreadable)
    ((2, 3, 6, 8), [1])
    """
    if on_error not in ("raise", "drop"):
        raise ValueError(f"on_error must be 'raise' or 'drop', got {on_error!r}.")
    folder = _check_store(store)
    skip, n_jobs = on_error == "drop", effective_n_jobs(1 if n_jobs is None else n_jobs)
    pixels = PixelRows.of(images)
    if store is None or (pixels is None and folder is None):
        return _readable(images, n_jobs) if skip else (images, {})
    return _decode_all(copy.copy(images) if pixels is None else pixels, folder, n_jobs, skip)


def _check_store(store):
    """Return the folder that the parameter names, or None."""
    if store is None or (isinstance(store, str) and store == "auto"):
        return None
    if not isinstance(store, str | os.PathLike):
        raise ValueError(f"image_store must be 'auto', None or a folder, got {store!r}.")
    folder = Path(store).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"image_store={os.fspath(store)!r} is no folder, and none can be made ({error}); "
            "name one that can be written to, or leave it at 'auto'."
        ) from error
    return folder


def _readable(images, n_jobs):
    """Return the images that can be read, and why the others cannot; nothing is kept."""

    def why_not(number):
        try:
            read_image(images.items[number], f"{images.name}[{number}]", images.reading)
        except UnreadableImageError as error:
            return str(error)

    with ThreadPoolExecutor(n_jobs, thread_name_prefix="skda-read") as pool:
        reasons = list(pool.map(why_not, range(len(images))))
    unreadable = {number: why for number, why in enumerate(reasons) if why}
    kept = [number for number, why in enumerate(reasons) if not why]
    if not kept:
        raise _none_readable(unreadable)
    rows = copy.copy(images)
    if unreadable:
        rows.items = [images.items[number] for number in kept]
    return rows, unreadable


def _none_readable(unreadable):
    return UnreadableImageError(
        f"none of the {len(unreadable)} images can be read; the first: {unreadable[0]}"
    )


def _decode_all(source, folder, n_jobs, skip):
    first, unreadable = _first_readable(source, skip)
    number = len(unreadable)
    path = _path_of(source, folder) if folder is not None and not unreadable else None
    kept = _existing(path, source)
    if kept is None:
        parts = [slice(n, n + _BATCH) for n in range(number + 1, len(source), _BATCH)]
        batches = decoded_batches(source, parts, n_jobs=n_jobs, skip_unreadable=skip)
        with make_sink(source.shape, source.dtype, folder) as sink:
            sink.write(np.zeros((number, *first.shape), source.dtype))  # in their places
            sink.write(first[None])
            for part, block, errors in batches:
                unreadable |= {part.start + place: why for place, why in errors.items()}
                sink.write(block.permute(0, 2, 3, 1).contiguous().numpy())
            # What is left out is not known to another call that finds the file.
            kept = sink.finish(None if unreadable else path)
    pixels, file = kept
    rows = StoredRows(
        pixels, source.preprocess if isinstance(source, PixelRows) else None, file=file
    )
    if unreadable:
        rows = rows.subset(np.setdiff1d(np.arange(len(source)), list(unreadable)))
    return rows, unreadable


def _first_readable(source, skip):
    """Return the first image, which tells the shape of all, and why those before it are none."""
    unreadable = {}
    for number in range(len(source)):
        try:
            row = source.read(number)
        except UnreadableImageError as error:
            if not skip:
                raise
            unreadable[number] = str(error)
            continue
        return row.permute(1, 2, 0).contiguous().numpy(), unreadable
    raise _none_readable(unreadable)


def _path_of(source, folder):
    """Return where rows are found again as long as images and settings are the same, or None."""
    if not isinstance(source, PixelRows):
        return None  # of the user's own preprocessing nobody knows whether it is the same
    settings = {
        name: value for name, value in vars(source).items() if name not in ("items", "name")
    }
    pillow = import_optional("PIL", "vision").__version__
    digest = hashlib.sha256(repr((pillow, sorted(settings.items()))).encode())
    if isinstance(source.items, np.ndarray):
        digest.update(repr((source.items.shape, source.items.dtype)).encode())
        digest.update(np.ascontiguousarray(source.items).data)
        return folder / f"skda-{digest.hexdigest()[:32]}.npy"
    for item in source.items:
        if isinstance(item, str | os.PathLike):
            try:
                stat = os.stat(item)
            except OSError:
                return None
            # The time of the last change of any kind too: copies can keep that of the content.
            item = os.path.abspath(item), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
        elif isinstance(item, bytes | bytearray | memoryview):
            item = hashlib.sha256(item).hexdigest()
        else:
            return None
        digest.update(repr(item).encode())
    return folder / f"skda-{digest.hexdigest()[:32]}.npy"


def _existing(path, source):
    """Return the rows of a file and the file, or None if there is none that holds them."""
    if path is None or not path.is_file():
        return None
    file = StoredFile(path, temporary=False)
    try:
        pixels = file.open()
    except (OSError, ValueError):
        return None
    n, n_channels, height, width = source.shape
    is_whole = pixels.shape == (n, height, width, n_channels) and pixels.dtype == torch.uint8
    return (pixels, file) if is_whole else None
