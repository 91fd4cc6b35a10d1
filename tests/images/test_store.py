"""Images that are decoded once and kept."""

import collections
import errno
import gc
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch

from skda.images import ImagePreprocess, ImageRows, UnreadableImageError, decode_rows

pillow = pytest.importorskip("PIL.Image")

PREPROCESS = ImagePreprocess(size=(20, 24), std=(0.2, 0.3, 0.4))
N = 70  # more than two batches of decoding


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.RandomState(0)
    for number in range(N):
        pixels = rng.randint(256, size=(30 + number % 7, 44, 3)).astype(np.uint8)
        pillow.fromarray(pixels).save(folder / f"{number}.png")
    return [str(folder / f"{number}.png") for number in range(N)]


@pytest.fixture
def decoded(monkeypatch):
    """How often every item was read."""
    counts = collections.Counter()
    read = sys.modules["skda.images._rows"].read_image

    def count(item, *name):
        counts[item if isinstance(item, str) else bytes(item)] += 1
        return read(item, *name)

    monkeypatch.setattr("skda.images._rows.read_image", count)
    monkeypatch.setattr("skda.images._store.read_image", count)
    return counts


@pytest.fixture
def no_memory(monkeypatch):
    monkeypatch.setattr("skda.images._sinks.available_memory", lambda: 0)


@pytest.fixture
def temporary(monkeypatch, tmp_path):
    """The folder of temporary files."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def as_decoded(paths, preprocess=PREPROCESS, rows=slice(None)):
    return ImageRows(paths, preprocess)[rows]


# -- what is kept -----------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["memory", "file"])
@pytest.mark.parametrize("preprocess", [PREPROCESS, ImagePreprocess(size=9, mean=0.5, std=0.5)])
def test_rows_are_those_that_decoding_gives_bit_for_bit(paths, preprocess, where, tmp_path):
    store = "auto" if where == "memory" else tmp_path
    rows, unreadable = decode_rows(ImageRows(paths, preprocess), store=store, n_jobs=2)
    expected = as_decoded(paths, preprocess)
    assert unreadable == {} and rows.shape == expected.shape == (N, *rows.shape[1:])
    assert torch.equal(rows[:], expected) and rows[:].dtype == torch.float32
    assert rows.pixels.dtype == torch.uint8 and (rows.file is None) == (where == "memory")
    for part in (slice(3, 40), slice(60, None, -7), np.array([5, 0, 5, N - 1]), np.arange(N) > 50):
        assert torch.equal(rows[part], expected[np.arange(N)[part].copy()])
    assert rows[:].is_contiguous(memory_format=torch.channels_last)


def test_pixels_without_preprocessing_are_scaled(paths):
    same = paths[::7]  # of one size
    rows, _ = decode_rows(ImageRows(same, None))
    assert torch.equal(rows[:], as_decoded(same, None))


def test_arrays_of_pixels_are_decoded_once_too(decoded):
    pixels = np.random.RandomState(0).randint(256, size=(9, 33, 31, 3)).astype(np.uint8)
    expected = ImageRows(pixels, PREPROCESS)[:]
    decoded.clear()
    rows, _ = decode_rows(ImageRows(pixels, PREPROCESS))
    for _ in range(3):
        assert torch.equal(rows[:], expected)
    assert list(decoded.values()) == [1] * 9


@pytest.mark.parametrize("n_jobs", [None, 1, 3])
def test_every_file_is_decoded_once(paths, decoded, n_jobs):
    rows, _ = decode_rows(ImageRows(paths, PREPROCESS), n_jobs=n_jobs)
    for _ in range(2):
        rows[:], rows.shape
    assert decoded == dict.fromkeys(paths, 1)


def test_a_subset_is_no_copy(paths):
    rows, _ = decode_rows(ImageRows(paths, PREPROCESS))
    numbers = np.array([8, 1, 30, 2])
    subset = rows.subset(numbers).subset(np.array([3, 0]))
    assert torch.equal(subset[:], as_decoded(paths)[[2, 8]]) and len(subset) == 2
    assert subset.pixels.data_ptr() == rows.pixels.data_ptr()


def test_rows_can_be_written_to(paths, tmp_path):
    """A network or an augmentation that works in place must not change what is kept."""
    preprocess = ToTensor()
    for images, store in ((PREPROCESS, "auto"), (PREPROCESS, tmp_path), (preprocess, tmp_path)):
        rows, _ = decode_rows(ImageRows(paths[::7], images), store=store)
        before = rows[:].clone()
        rows[:].zero_()
        rows[np.arange(3)].zero_()
        assert torch.equal(rows[:], before)


class ToTensor:
    """A preprocessing of the user's own, which is another one at every use."""

    n_calls = 0

    def __call__(self, image):
        self.n_calls += 1
        return torch.from_numpy(np.asarray(image) / np.float32(255)).permute(2, 0, 1) + self.n_calls


def test_a_preprocessing_of_the_users_own_is_kept_in_a_folder_alone(paths, tmp_path):
    images = ImageRows(paths[::7], ToTensor())
    assert decode_rows(images)[0] is images
    rows, _ = decode_rows(ImageRows(paths[::7], ToTensor()), store=tmp_path)
    expected = ImageRows(paths[::7], ToTensor())
    assert torch.equal(rows[:], torch.stack([expected.read(i) for i in range(len(expected))]))
    assert torch.equal(rows[:], rows[:])
    del rows
    assert list(tmp_path.iterdir()) == []  # nobody knows whether it is the same another time


def test_a_subclass_that_changes_the_call_is_the_users_own(paths):
    class Inverted(ImagePreprocess):
        def __call__(self, image):
            return -super().__call__(image)

    images = ImageRows(paths, Inverted(size=20))
    assert decode_rows(images)[0] is images


def test_none_keeps_nothing(paths, decoded):
    images = ImageRows(paths, PREPROCESS)
    assert decode_rows(images, store=None)[0] is images and not decoded


@pytest.mark.parametrize("store", [3, ["auto"], True])
def test_other_stores_are_errors(paths, store):
    with pytest.raises(ValueError, match="image_store must be 'auto', None or a folder"):
        decode_rows(ImageRows(paths, PREPROCESS), store=store)


def test_a_folder_that_is_a_file_is_an_error(paths):
    with pytest.raises(ValueError, match=r"image_store=.* is no folder"):
        decode_rows(ImageRows(paths, PREPROCESS), store=paths[0])


# -- images that cannot be read ---------------------------------------------------------------


@pytest.mark.parametrize("store", ["auto", None, "folder"])
@pytest.mark.parametrize("bad", [(0, 1, 40), (69,), (5, 33)])
def test_unreadable_images_are_left_out(paths, store, bad, tmp_path, decoded):
    store = tmp_path / "store" if store == "folder" else store
    items = [str(tmp_path / "gone.png") if n in bad else path for n, path in enumerate(paths)]
    rows, unreadable = decode_rows(
        ImageRows(items, PREPROCESS), store=store, n_jobs=2, on_error="drop"
    )
    assert tuple(sorted(unreadable)) == bad and len(rows) == N - len(bad)
    assert all("gone.png" in why and f"X[{n}]" in why for n, why in unreadable.items())
    good = [path for path in items if "gone" not in path]
    assert set(map(decoded.get, good)) == {1}
    assert torch.equal(rows[np.arange(len(rows))], as_decoded(good))


def test_a_file_with_gaps_is_not_found_again(paths, tmp_path):
    items = [*paths[:5], b"no image"]
    rows, _ = decode_rows(ImageRows(items, PREPROCESS), store=tmp_path, on_error="drop")
    assert len(list(tmp_path.iterdir())) == 1
    del rows
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("bad", [0, 50])
def test_an_unreadable_image_is_an_error_with_its_path(paths, bad, tmp_path):
    items = list(paths)
    items[bad] = str(tmp_path / "gone.png")
    with pytest.raises(UnreadableImageError, match=r"gone\.png"):
        decode_rows(ImageRows(items, PREPROCESS), store=tmp_path / "store")
    assert list((tmp_path / "store").iterdir()) == []


@pytest.mark.parametrize("store", ["auto", None])
def test_no_readable_image_at_all_is_an_error(store):
    with pytest.raises(UnreadableImageError, match="none of the 2 images can be read"):
        decode_rows(ImageRows([b"no", b"nor"], PREPROCESS), store=store, on_error="drop")


def test_images_of_several_sizes_are_an_error(paths):
    with pytest.raises(ValueError, match="becomes an input of shape"):
        decode_rows(ImageRows(paths, None), on_error="drop")


# -- files ------------------------------------------------------------------------------------


def test_what_is_too_large_for_memory_goes_into_a_file_that_goes_with_it(
    paths, no_memory, temporary
):
    rows, _ = decode_rows(ImageRows(paths, PREPROCESS))
    (file,) = temporary.iterdir()
    assert file.stat().st_size >= N * 20 * 24 * 3
    subset = rows.subset(np.arange(5))
    del rows
    gc.collect()
    assert file.exists() and torch.equal(subset[:], as_decoded(paths[:5]))
    del subset
    gc.collect()
    assert not file.exists()


def test_memory_is_left_to_others(paths, monkeypatch, temporary):
    n_bytes = N * 20 * 24 * 3
    for available, n_files in ((4 * n_bytes, 0), (4 * n_bytes - 4, 1)):
        monkeypatch.setattr("skda.images._sinks.available_memory", lambda n=available: n)
        rows, _ = decode_rows(ImageRows(paths, PREPROCESS))
        assert len(list(temporary.iterdir())) == n_files
        del rows


def test_a_temporary_file_is_removed_at_exit(paths, tmp_path):
    script = f"""
import skda.images._sinks as sinks
from skda.images import ImagePreprocess, ImageRows, decode_rows
sinks.available_memory = lambda: 0
rows, _ = decode_rows(ImageRows({paths[:3]!r}, ImagePreprocess(size=8)))
import os, tempfile
print(len(os.listdir(tempfile.gettempdir())))
"""
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    result = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    assert result.stdout == "1\n" and list(tmp_path.iterdir()) == []


def test_rows_of_a_file_can_be_pickled_and_copied(paths, no_memory, temporary):
    rows, _ = decode_rows(ImageRows(paths, PREPROCESS))
    content = pickle.dumps(rows.subset(np.array([4, 2])))
    assert len(content) < 2000
    copy = pickle.loads(content)
    assert torch.equal(copy[:], as_decoded(paths)[[4, 2]])
    del copy
    gc.collect()
    assert len(list(temporary.iterdir())) == 1  # the original is in use


def test_a_folder_is_used_again(paths, decoded, tmp_path):
    for _ in range(2):
        rows, _ = decode_rows(ImageRows(paths, PREPROCESS), store=tmp_path)
        assert torch.equal(rows[:], rows[np.arange(N)])
        del rows
    assert len(list(tmp_path.iterdir())) == 1
    assert decoded.pop(paths[0]) == 2  # tells the shape
    assert decoded == dict.fromkeys(paths[1:], 1)


def test_other_images_or_settings_are_other_files(paths, tmp_path):
    own = [str(tmp_path / f"{number}.png") for number in range(3)]
    pixels = np.zeros((30, 30, 3), np.uint8)
    for path in own:
        pillow.fromarray(pixels).save(path, compress_level=0)

    def rows_of(items, preprocess):
        return decode_rows(ImageRows(items, preprocess), store=tmp_path / "store")[0]

    rows_of(own, PREPROCESS)
    times = os.stat(own[1])
    # The same size and the same time of change.
    pillow.fromarray(pixels + 9).save(own[1], compress_level=0)
    os.utime(own[1], ns=(times.st_atime_ns, times.st_mtime_ns))
    assert os.stat(own[1]).st_size == times.st_size
    variants = [
        (own, PREPROCESS),
        (own[::-1], PREPROCESS),
        (own, ImagePreprocess(size=(20, 24), std=(0.2, 0.3, 0.4), crop_pct=0.9)),
        ([open(path, "rb").read() for path in own], PREPROCESS),
        (np.stack([pixels, pixels + 3]), PREPROCESS),
        (np.stack([pixels, pixels + 4]), PREPROCESS),
    ]
    for items, preprocess in variants:
        assert torch.equal(rows_of(items, preprocess)[:], ImageRows(items, preprocess)[:])
    assert len(list((tmp_path / "store").iterdir())) == 1 + len(variants)


@pytest.mark.parametrize("damage", ["cut", "other"])
def test_a_damaged_file_is_written_anew(paths, tmp_path, damage):
    decode_rows(ImageRows(paths, PREPROCESS), store=tmp_path)
    (file,) = tmp_path.iterdir()
    content = file.read_bytes()
    file.write_bytes(content[:-100] if damage == "cut" else b"nonsense")
    rows, _ = decode_rows(ImageRows(paths, PREPROCESS), store=tmp_path)
    assert torch.equal(rows[:], as_decoded(paths))
    assert file.read_bytes() == content


class FullDisk:
    """A file whose disk is full after some writes."""

    def __init__(self, file, n_writes):
        self.file, self.n_left = file, n_writes

    def __getattr__(self, name):
        return getattr(self.file, name)

    def write(self, content):
        self.n_left -= 1
        if self.n_left < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return self.file.write(content)


@pytest.mark.parametrize("n_writes", [0, 1, 3])
def test_a_full_disk_is_told_and_leaves_nothing(paths, tmp_path, monkeypatch, n_writes):
    def open_full(*args):
        return FullDisk(open(*args), n_writes)

    monkeypatch.setattr("skda.images._sinks.open", open_full, raising=False)
    with pytest.raises(OSError, match=r"image_store: .* cannot be written to .*No space left"):
        decode_rows(ImageRows(paths, PREPROCESS), store=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_too_small_a_disk_is_told_before_anything_is_decoded(paths, tmp_path, monkeypatch, decoded):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(OSError, match=r"image_store: .* cannot be written"):
        decode_rows(ImageRows(paths, PREPROCESS), store=tmp_path)
    assert list(decoded) == paths[:1]  # tells the size
