"""The row cache: several processes, killed writers, damage, eviction."""

import multiprocessing
import os
import pickle
import shutil
import signal
import sqlite3
import time

import numpy as np
import pytest

from skda.feature_extraction._cache import RowCache

N_FEATURES = 64
N_ROWS = 400

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def make_keys(numbers):
    return [int(number).to_bytes(4, "little") for number in numbers]


def make_rows(numbers):
    """Rows that tell their number, and all of them different."""
    return np.asarray(numbers, dtype=np.float32)[:, None] + np.linspace(0, 0.5, N_FEATURES)


KEYS = make_keys(range(N_ROWS))
ROWS = make_rows(range(N_ROWS)).astype(np.float32)


@pytest.fixture
def cache(tmp_path):
    return RowCache(tmp_path / "cache", b"network", N_FEATURES)


@pytest.fixture
def stored(cache):
    """The path of a database with all rows, closed."""
    cache.put(KEYS, ROWS)
    cache.close()
    return cache._path


def reopened(cache, **changes):
    return RowCache(
        **{
            "folder": cache.folder,
            "namespace_digest": cache.namespace_digest,
            "n_features": cache.n_features,
            **changes,
        }
    )


# -- rows ---------------------------------------------------------------------------------------


def test_rows_come_back(cache):
    cache.put(KEYS, ROWS)
    found, rows = reopened(cache).get(KEYS)
    assert found.all() and rows.dtype == np.float32
    np.testing.assert_array_equal(rows, ROWS)


def test_absent_rows_are_nan(cache):
    cache.put(KEYS[:3], ROWS[:3])
    found, rows = cache.get(KEYS[2:5])
    assert found.tolist() == [True, False, False]
    np.testing.assert_array_equal(rows[0], ROWS[2])
    assert np.isnan(rows[1:]).all()


def test_a_key_may_be_asked_for_twice(cache):
    cache.put(KEYS[:2], ROWS[:2])
    found, rows = cache.get([KEYS[1], KEYS[0], KEYS[1]])
    assert found.all()
    np.testing.assert_array_equal(rows, ROWS[[1, 0, 1]])


def test_later_row_replaces_earlier_one(cache):
    cache.put(KEYS[:1], ROWS[:1])
    cache.put(KEYS[:1], ROWS[1:2])
    np.testing.assert_array_equal(cache.get(KEYS[:1])[1], ROWS[1:2])


def test_rows_without_key_are_not_stored(cache):
    cache.put([None, KEYS[1]], ROWS[:2])
    assert cache.get([None, KEYS[1], None])[0].tolist() == [False, True, False]


def test_no_rows(cache):
    cache.put([], np.empty((0, N_FEATURES)))
    found, rows = cache.get([])
    assert found.shape == (0,) and rows.shape == (0, N_FEATURES)


def test_networks_share_a_folder(cache):
    cache.put(KEYS[:1], ROWS[:1])
    other = reopened(cache, namespace_digest=b"another", n_features=2)
    assert not other.get(KEYS[:1])[0].any()
    other.put(KEYS[:1], [[7, 8]])
    np.testing.assert_array_equal(other.get(KEYS[:1])[1], [[7, 8]])
    np.testing.assert_array_equal(cache.get(KEYS[:1])[1], ROWS[:1])


def test_rows_of_another_width_are_absent(cache):
    cache.put(KEYS[:1], ROWS[:1])
    assert not reopened(cache, n_features=3).get(KEYS[:1])[0].any()


def test_rows_of_a_wrong_shape_are_refused(cache):
    with pytest.raises(ValueError, match=r"rows must have shape \(2, 64\), got \(1, 64\)"):
        cache.put(KEYS[:2], ROWS[:1])


def test_pickle_finds_the_same_rows(cache):
    cache.put(KEYS, ROWS)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(cache)).get(KEYS)[1], ROWS)


def test_a_closed_cache_opens_again(cache):
    cache.put(KEYS, ROWS)
    cache.close()
    cache.close()
    assert [path.name for path in cache._path.parent.iterdir()] == ["rows.sqlite3"]
    assert cache.get(KEYS)[0].all()


def test_folder_that_cannot_be_used(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OSError, match=r"cache: .*file' cannot be used"):
        RowCache(tmp_path / "file", b"network", 1).get(KEYS)


def test_folder_that_is_removed_meanwhile(cache):
    cache.put(KEYS, ROWS)
    shutil.rmtree(cache.folder)
    assert not cache.get(KEYS)[0].any()
    cache.put(KEYS, ROWS)
    assert reopened(cache).get(KEYS)[0].all()


# -- eviction -----------------------------------------------------------------------------------


def test_oldest_rows_give_way(cache):
    limit = 100_000  # of about 300 bytes a row
    limited = reopened(cache, size_limit=limit)
    for start in range(0, N_ROWS, 20):
        limited.put(KEYS[start : start + 20], ROWS[start : start + 20])
    found, rows = limited.get(KEYS)
    assert 150 < found.sum() < N_ROWS
    first = int(np.argmax(found))
    assert found[first:].all()  # only the oldest are gone
    np.testing.assert_array_equal(rows[found], ROWS[found])


def test_file_stays_within_the_limit(cache):
    limit = 100_000
    cache.put(KEYS, ROWS)
    limited = reopened(cache, size_limit=limit)
    limited.put(KEYS[:1], ROWS[:1])
    cache.close()
    limited.close()  # the last one empties the write-ahead log
    assert sum(file.stat().st_size for file in cache.folder.rglob("*.*")) <= limit


def test_all_files_stay_within_the_limit_while_rows_come(tmp_path):
    limit, width = 400_000, 2048
    limited = RowCache(tmp_path / "cache", b"network", width, size_limit=limit)
    rng = np.random.default_rng(0)
    sizes, last = [], None
    for start in range(0, 640, 32):
        rows = rng.random((32, width), dtype=np.float32)
        limited.put(make_keys(range(start, start + 32)), rows)
        sizes.append(sum(file.stat().st_size for file in limited.folder.rglob("*.*")))
        last = rows[-1:]
    assert max(sizes) <= limit  # with the log, and without closing
    found, stored = limited.get(make_keys([639]))
    assert found.all()
    np.testing.assert_array_equal(stored, last)


def test_of_more_rows_than_the_limit_the_last_are_stored(tmp_path):
    limited = RowCache(tmp_path / "cache", b"network", N_FEATURES, size_limit=60_000)
    limited.put(make_keys(range(5000)), make_rows(range(5000)))
    found = limited.get(make_keys(range(5000)))[0]
    assert 0 < found.sum() < 300 and found[-1]


def test_rows_of_other_networks_give_way(cache):
    cache.put(KEYS, ROWS)
    other = reopened(cache, namespace_digest=b"another", size_limit=100_000)
    other.put(KEYS[:50], ROWS[:50])
    assert other.get(KEYS[:50])[0].all()
    assert 0 < cache.get(KEYS)[0].sum() < N_ROWS


# -- damage -------------------------------------------------------------------------------------


def test_a_flipped_bit_costs_one_row(cache, stored):
    content = bytearray(stored.read_bytes())
    where = content.index(ROWS[5].tobytes())
    content[where + 10] ^= 1
    stored.write_bytes(content)
    again = reopened(cache)
    found, rows = again.get(KEYS)
    assert np.flatnonzero(~found).tolist() == [5]
    np.testing.assert_array_equal(rows[found], ROWS[found])
    again.put(KEYS[5:6], ROWS[5:6])
    np.testing.assert_array_equal(again.get(KEYS)[1], ROWS)


def test_a_row_under_a_wrong_key_is_noticed(cache, stored):
    connection = sqlite3.connect(stored)
    first, second = (
        connection.execute("SELECT content FROM rows WHERE id = ?", [n]).fetchone() for n in (1, 2)
    )
    assert first != second
    connection.execute("UPDATE rows SET content = ? WHERE id = 1", second)
    connection.commit()
    connection.close()
    assert np.flatnonzero(~reopened(cache).get(KEYS)[0]).tolist() == [0]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"no database at all" * 1000,
        lambda content: content[: len(content) // 2],
        lambda content: content[:4096] + bytes(len(content) - 4096),
    ],
    ids=["empty", "text", "half", "zeros"],
)
def test_a_database_that_cannot_be_read_is_begun_anew(cache, stored, damage):
    stored.write_bytes(damage(stored.read_bytes()))
    again = reopened(cache)
    assert not again.get(KEYS)[0].any()
    again.put(KEYS, ROWS)
    np.testing.assert_array_equal(reopened(cache).get(KEYS)[1], ROWS)
    assert [path.name for path in cache.folder.iterdir()] == ["rows"]


def test_what_else_lies_beside_a_damaged_database_stays(cache, stored):
    others = [stored.parent / "thesis.txt", stored.parent / "results" / "table.csv"]
    others[1].parent.mkdir()
    for other in others:
        other.write_text("mine")
    stored.write_bytes(b"no database at all" * 1000)
    stored.with_name("rows.sqlite3-wal").write_bytes(b"no log at all" * 1000)
    again = reopened(cache)
    assert not again.get(KEYS)[0].any()
    again.put(KEYS, ROWS)
    np.testing.assert_array_equal(reopened(cache).get(KEYS)[1], ROWS)
    assert [other.read_text() for other in others] == ["mine", "mine"]
    assert [path.name for path in cache.folder.iterdir()] == ["rows"]


def test_the_log_of_a_damaged_database_is_not_played_into_the_new_one(cache):
    """Its frames are valid: only their database is not the one that they are of."""
    other = reopened(cache, namespace_digest=b"another")
    cache.put(KEYS[:50], ROWS[:50])  # not closed: the rows are in the log
    log = cache._path.with_name("rows.sqlite3-wal")
    assert log.stat().st_size
    content = log.read_bytes()
    cache.close()
    cache._path.write_bytes(b"no database at all" * 1000)
    log.write_bytes(content)
    other.put(KEYS, ROWS)
    np.testing.assert_array_equal(reopened(other).get(KEYS)[1], ROWS)


@pytest.mark.parametrize("seed", range(40))
def test_flipped_bytes_never_give_a_wrong_row(cache, stored, seed):
    rng = np.random.RandomState(seed)
    content = bytearray(stored.read_bytes())
    # Half of the time in the first page, which says how to read the others.
    for where in rng.randint(len(content) if seed % 2 else 4096, size=20):
        content[where] ^= rng.randint(1, 256)
    stored.write_bytes(content)
    again = reopened(cache)
    found, rows = again.get(KEYS)
    np.testing.assert_array_equal(rows[found], ROWS[found])
    missing = np.flatnonzero(~found)
    again.put([KEYS[number] for number in missing], ROWS[missing])
    np.testing.assert_array_equal(again.get(KEYS)[1], ROWS)


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write anywhere")
def test_a_file_that_may_not_be_written_is_kept(cache, stored):
    stored.chmod(0o400)
    with pytest.raises(OSError, match=r"cache: .* cannot be used"):
        reopened(cache).put(KEYS, ROWS)
    assert stored.is_file()


# -- processes ----------------------------------------------------------------------------------


def extract(folder, order, log=None):
    """Store the rows that are not there, a few at a time; log what is stored for sure."""
    cache = RowCache(folder, b"network", N_FEATURES)
    for start in range(0, len(order), 8):
        numbers = order[start : start + 8]
        found, rows = cache.get(make_keys(numbers))
        np.testing.assert_array_equal(rows[found], make_rows(numbers)[found].astype(np.float32))
        missing = np.asarray(numbers)[~found]
        cache.put(make_keys(missing), make_rows(missing))
        if log is not None:
            os.write(log, np.asarray(numbers, dtype="<i4").tobytes())


@needs_fork
def test_killed_writers_leave_whole_rows_and_no_locks(cache, tmp_path):
    rng = np.random.RandomState(0)
    numbers = np.arange(20_000)
    log = os.open(tmp_path / "log", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    fork = multiprocessing.get_context("fork")
    for number in range(50):
        child = fork.Process(target=extract, args=(cache.folder, rng.permutation(numbers), log))
        n_logged = os.fstat(log).st_size
        child.start()
        # Half of them in the middle of their work, however slow the machine is.
        until = time.monotonic() + 10 * (number % 2)
        while os.fstat(log).st_size == n_logged and time.monotonic() < until:
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 0.04))
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        assert child.exitcode == -signal.SIGKILL  # and had not failed before
    os.close(log)
    logged = np.unique(np.fromfile(tmp_path / "log", dtype="<i4"))
    assert 100 < len(logged) < len(numbers)

    start = time.monotonic()
    found, rows = cache.get(make_keys(numbers))
    assert found[logged].all()
    np.testing.assert_array_equal(rows[found], make_rows(numbers)[found].astype(np.float32))
    missing = numbers[~found]
    cache.put(make_keys(missing), make_rows(missing))
    assert time.monotonic() - start < 30  # a lock would be waited for 60 seconds
    found, rows = cache.get(make_keys(numbers))
    assert found.all()
    np.testing.assert_array_equal(rows, make_rows(numbers).astype(np.float32))


@needs_fork
def test_processes_write_at_once(cache):
    fork = multiprocessing.get_context("fork")
    orders = [np.random.RandomState(seed).permutation(1000) for seed in range(3)]
    children = [fork.Process(target=extract, args=(cache.folder, order)) for order in orders]
    for child in children:
        child.start()
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0, 0]
    found, rows = cache.get(make_keys(range(1000)))
    assert found.all()
    np.testing.assert_array_equal(rows, make_rows(range(1000)).astype(np.float32))
    connection = sqlite3.connect(cache._path)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


@needs_fork
def test_a_fork_does_not_share_the_connection(cache):
    cache.put(KEYS[:10], ROWS[:10])
    child = multiprocessing.get_context("fork").Process(target=cache.put, args=(KEYS, ROWS))
    child.start()
    child.join()
    assert child.exitcode == 0
    assert cache.get(KEYS)[0].all()
