"""Where decoded rows go: memory, or a file that is whole or not there."""

import contextlib
import math
import os
import shutil
import tempfile
import uuid
from pathlib import Path

import numpy as np
import torch

from skda.images._memory import available_memory
from skda.images._stored import StoredFile

# Of the available memory, that decoded rows may take before they go into a file.
_MEMORY_SHARE = 0.25


def make_sink(shape, dtype, folder):
    """Return what takes decoded rows, one block after the other.

    Parameters
    ----------
    shape : tuple of int
        (n, n_channels, height, width) of all rows.

    dtype : numpy.dtype
        Of the rows.

    folder : Path or None
        For the file. None is memory, as long as rows take up to a quarter of what is available,
        and otherwise the system's folder for temporary files.

    Returns
    -------
    sink : context manager
        With ``write(block)``, a block being an ndarray of shape (k, height, width, n_channels),
        and ``finish(path)``, which returns the rows as a tensor and their file or None.
    """
    n, n_channels, height, width = shape
    shape = n, height, width, n_channels
    if folder is None and math.prod(shape) * dtype.itemsize <= _MEMORY_SHARE * available_memory():
        return _Memory(shape, dtype)
    return _File(Path(tempfile.gettempdir()) if folder is None else folder, shape, dtype)


class _Memory:
    def __init__(self, shape, dtype):
        self._rows, self._n_written = np.empty(shape, dtype), 0

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def write(self, block):
        self._rows[self._n_written : self._n_written + len(block)] = block
        self._n_written += len(block)

    def finish(self, path):
        return torch.from_numpy(self._rows), None


class _File:
    """A file under a name of its own, which is given up, or goes, when it is whole or fails."""

    def __init__(self, folder, shape, dtype):
        self._folder, self._shape, self._dtype = folder, shape, dtype
        self._n_bytes = math.prod(shape) * dtype.itemsize
        self._path = folder / f".skda-{uuid.uuid4().hex}.npy"
        self._is_whole = False

    def __enter__(self):
        with self._explained():
            free = shutil.disk_usage(self._folder).free
            if free < self._n_bytes:
                raise OSError(f"{free / 1e6:.0f} MB are free")
            self._file = open(self._path, "xb")
        return self

    def __exit__(self, *error):
        with contextlib.suppress(OSError):  # the disk is still full
            self._file.close()
        if not self._is_whole:
            self._path.unlink(missing_ok=True)

    def write(self, block):
        with self._explained():
            if not self._file.tell():
                description = np.lib.format.dtype_to_descr(self._dtype)
                header = {"descr": description, "fortran_order": False, "shape": self._shape}
                np.lib.format.write_array_header_1_0(self._file, header)
            self._file.write(np.ascontiguousarray(block).data)

    def finish(self, path):
        """Return the rows and their file, under `path`, or, if it is None, for as long as used."""
        with self._explained():
            self._file.flush()
            if path is not None:
                os.fsync(self._file.fileno())  # the name must not outlive a crash without content
            self._file.close()
            if path is not None:
                os.replace(self._path, path)
        self._is_whole = True
        file = StoredFile(path or self._path, temporary=path is None)
        return file.open(), file

    @contextlib.contextmanager
    def _explained(self):
        try:
            yield
        except OSError as error:
            raise OSError(
                f"image_store: {self._n_bytes / 1e6:.0f} MB of decoded images cannot be written "
                f"to {str(self._folder)!r} ({error}); name a folder with more room that can be "
                "written to, or None, which decodes images at every use."
            ) from error
