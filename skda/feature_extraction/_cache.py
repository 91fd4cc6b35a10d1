"""Features on disk, row by row."""

import os
import shutil
import sqlite3
import threading
import uuid
from collections import defaultdict
from contextlib import suppress
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np

_KEYS_PER_QUERY = 500  # SQLite may take no more than 999
_CHECKSUM_SIZE = 4

# What a sound database may say; all else that SQLite complains about is damage.
_NO_DAMAGE = ("locked", "full", "unable to open", "interrupted", "readonly", "disk I/O")
_FILES = ("-wal", "-shm", "")  # of a database, in the order in which it is thrown away
_SHARED_MEMORY = 2**15  # size of the smallest -shm file, which is there while one is open


class RowCache:
    """A folder that remembers the features of rows, for any number of processes at once.

    The folder holds one SQLite database in write-ahead mode. What a dying process has written in
    part does not count, its locks die with it, and every row has a checksum. A row whose checksum
    is wrong is absent; a database that cannot be read is thrown away and begun anew. The folder
    must be on a disk of this machine: write-ahead mode needs memory that processes share.

    Parameters
    ----------
    folder : str or path
        Made if it does not exist; ``~`` is the home folder. Several networks may share it.

    namespace_digest : bytes
        Of all that features depend on beside the row; see
        :func:`skda._digest.digest`.

    n_features : int
        Length of a row.

    size_limit : int, default=None
        Largest size in bytes of all files of the database, the rows of all networks together and
        the write-ahead log. When it is exceeded the oldest rows are removed, a tenth of the limit
        at a time. Of rows that are more than half of it by themselves the last are stored.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from skda.feature_extraction._cache import RowCache
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     cache = RowCache(folder, b"network", n_features=2)
    ...     cache.put([b"first"], np.ones((1, 2)))
    ...     found, rows = cache.get([b"first", b"second"])
    ...     cache.close()
    >>> found
    array([ True, False])
    >>> rows
    array([[ 1.,  1.],
           [nan, nan]], dtype=float32)
    """

    def __init__(self, folder, namespace_digest, n_features, size_limit=None):
        self.folder = Path(folder).expanduser()
        self.namespace_digest = namespace_digest
        self.n_features = n_features
        self.size_limit = size_limit
        self._local = threading.local()

    def get(self, keys):
        """Return the rows that are there.

        Parameters
        ----------
        keys : list of (bytes or None)
            As :func:`skda.feature_extraction._digests.content_keys` returns them. There is no
            row for None.

        Returns
        -------
        found : ndarray of bool of shape (n_keys,)
            Which rows are there.

        rows : ndarray of float32 of shape (n_keys, n_features)
            NaN where there is none.

        Raises
        ------
        OSError
            If the folder cannot be used.
        """
        positions = defaultdict(list)
        for position, key in enumerate(keys):
            if key is not None:
                positions[self._row_key(key)].append(position)

        def read(connection):
            found = np.zeros(len(keys), dtype=bool)
            rows = np.full((len(keys), self.n_features), np.nan, dtype=np.float32)
            is_sound = True
            for row_key, stored in _select(connection, list(positions)):
                row = self._unpack(row_key, stored) if row_key in positions else None
                if row is None:
                    is_sound = False
                else:
                    where = positions[row_key]
                    found[where], rows[where] = True, row
            if not is_sound:
                _check_structure(connection)
            return found, rows

        return self._use(read)

    def put(self, keys, rows):
        """Store rows: all of them or, if the process dies meanwhile, none.

        Parameters
        ----------
        keys : list of (bytes or None)
            As for `get`. Rows with None are not stored.

        rows : array-like of shape (n_keys, n_features)
            Stored in float32.

        Raises
        ------
        OSError
            If the folder cannot be used, or if the disk is full.
        """
        rows = np.ascontiguousarray(rows, dtype="<f4")
        if rows.shape != (len(keys), self.n_features):
            raise ValueError(
                f"rows must have shape {(len(keys), self.n_features)}, got {rows.shape}."
            )
        pairs = [
            (row_key := self._row_key(key), _checksum(row_key, row.tobytes()) + row.tobytes())
            for key, row in zip(keys, rows, strict=True)
            if key is not None
        ]
        if self.size_limit is None:
            self._use(lambda connection: _insert(connection, pairs, None))
            return
        # A part at a time, for until it is written to the database the log holds it once more.
        step = max(1, self.size_limit // 16 // (4 * self.n_features + _CHECKSUM_SIZE))
        pairs = pairs[-8 * step :]
        for start in range(0, len(pairs), step):
            some = pairs[start : start + step]
            self._use(partial(_insert_limited, pairs=some, size_limit=self.size_limit))

    def close(self):
        """Close this thread's connection; it is opened again when it is needed."""
        connection, _ = self._by_process.pop(os.getpid(), (None, None))
        if connection is not None:
            connection.close()

    def __getstate__(self):
        return {name: value for name, value in vars(self).items() if name != "_local"}

    def __setstate__(self, state):
        vars(self).update(state, _local=threading.local())

    # -- rows ---------------------------------------------------------------------------------

    def _row_key(self, key):
        return blake2b(self.namespace_digest + key, digest_size=16).digest()

    def _unpack(self, row_key, stored):
        if not isinstance(stored, bytes) or len(stored) != _CHECKSUM_SIZE + 4 * self.n_features:
            return None
        content = stored[_CHECKSUM_SIZE:]
        if _checksum(row_key, content) != stored[:_CHECKSUM_SIZE]:
            return None
        return np.frombuffer(content, dtype="<f4")

    # -- the database -------------------------------------------------------------------------

    @property
    def _path(self):
        return self.folder / "rows" / "rows.sqlite3"

    @property
    def _by_process(self) -> Any:
        # A connection must not cross a fork; the child's copy of the dict keeps it open.
        return vars(self._local)

    def _use(self, operation) -> Any:
        """Run an operation; if the database is damaged, begin a new one and run it again."""
        for n_tries_left in (2, 1, 0):
            identity = _identity(self._path)
            try:
                return operation(self._connect())
            # SQLite quotes what it complains about, and damaged text cannot be decoded.
            except (sqlite3.Error, UnicodeDecodeError, OSError) as error:
                self.close()
                if isinstance(error, OSError) or "full" in str(error) or not n_tries_left:
                    raise OSError(
                        f"cache: {os.fspath(self.folder)!r} cannot be used ({error}); pass a "
                        "folder on a disk of this machine in which this process may write, or "
                        "None."
                    ) from error
                is_damage = not any(reason in str(error) for reason in _NO_DAMAGE)
                if is_damage and os.access(self._path, os.W_OK):
                    self._discard(identity)

    def _connect(self):
        """Return a connection of this thread and process to the file that is there now."""
        connection, identity = self._by_process.get(os.getpid(), (None, None))
        if connection is None or _identity(self._path) != identity:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = _open(self._path)
            self._by_process[os.getpid()] = connection, _identity(self._path)
        return connection

    def _discard(self, identity):
        if _identity(self._path) != identity:
            return  # another process has begun a new one
        away = self.folder / f"damaged-{uuid.uuid4().hex}"
        away.mkdir()
        # The log first: none may lie beside a database that it is not of. One that is begun
        # meanwhile belongs to this database, and SQLite drops it where it finds a new one.
        for ending in _FILES:
            with suppress(FileNotFoundError):  # another process was faster
                path = self._path.with_name(self._path.name + ending)
                path.rename(away / path.name)
        shutil.rmtree(away, ignore_errors=True)


def _checksum(row_key, content):
    return crc32(content, crc32(row_key)).to_bytes(_CHECKSUM_SIZE, "little")


def _identity(path):
    """Return what tells a file from another one that takes its place."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _open(path):
    connection = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
    connection.text_factory = bytes  # damage may turn bytes into text that is none
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    connection.execute("PRAGMA journal_mode = WAL")
    # After a power failure rows may be missing, but none is broken.
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS rows "
        "(id INTEGER PRIMARY KEY, key BLOB UNIQUE NOT NULL, content BLOB NOT NULL)"
    )
    return connection


def _select(connection, row_keys):
    for start in range(0, len(row_keys), _KEYS_PER_QUERY):
        some = row_keys[start : start + _KEYS_PER_QUERY]
        marks = ",".join("?" * len(some))
        yield from connection.execute(f"SELECT key, content FROM rows WHERE key IN ({marks})", some)


def _check_structure(connection):
    """Raise an error unless damage is confined to the content of rows."""
    (report,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if report not in ("ok", b"ok"):
        raise sqlite3.DatabaseError(report)


def _insert(connection, pairs, size_limit):
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany("INSERT OR REPLACE INTO rows (key, content) VALUES (?, ?)", pairs)
        has_evicted = size_limit is not None and _evict(connection, size_limit)
    if has_evicted:
        # As a script, for it works page by page, and execute would stop after the first.
        connection.executescript("PRAGMA incremental_vacuum")


def _insert_limited(connection, pairs, size_limit):
    """Store rows, and keep all files together within the limit."""
    _insert(connection, pairs, max(size_limit - _SHARED_MEMORY, size_limit // 2))
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def _evict(connection, size_limit):
    """Remove the oldest rows if there are too many; return whether there were."""
    n_pages, n_free, page_size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    )
    used = (n_pages - n_free) * page_size
    if used <= size_limit:
        return False
    (n_rows,) = connection.execute("SELECT COUNT(*) FROM rows").fetchone()
    if not n_rows:
        return False
    n_old = int(np.ceil(n_rows * (used - 0.9 * size_limit) / used))
    connection.execute(
        "DELETE FROM rows WHERE id IN (SELECT id FROM rows ORDER BY id LIMIT ?)", (n_old,)
    )
    _evict(connection, size_limit)  # rows differ in size
    return True
