"""Images decoded in threads while the network runs."""

import threading
import weakref

import numpy as np
import pytest
import torch

from skda.images import ImageRows, decoded_batches

pillow = pytest.importorskip("PIL.Image")

PIXELS = np.random.RandomState(0).randint(256, size=(20, 6, 8, 3)).astype(np.uint8)
PICTURES = [pillow.fromarray(row) for row in PIXELS]
SCALED = PIXELS.transpose(0, 3, 1, 2) / np.float32(255)


def slices(n, size):
    return [slice(start, start + size) for start in range(0, n, size)]


@pytest.mark.parametrize("n_jobs", [1, 3])
def test_batches_come_in_order(n_jobs):
    rows = ImageRows(PICTURES, None, (3, 6, 8))
    batches = list(decoded_batches(rows, slices(20, 6), n_jobs=n_jobs))
    assert [len(inputs) for _, inputs, _ in batches] == [6, 6, 6, 2]
    np.testing.assert_array_equal(torch.cat([inputs for _, inputs, _ in batches]), SCALED)


def test_chosen_rows():
    rows = ImageRows(PICTURES, None, (3, 6, 8))
    numbers = np.array([7, 2, 2])
    [(given, inputs, errors)] = decoded_batches(rows, [numbers], n_jobs=2)
    assert given is numbers and not errors
    np.testing.assert_array_equal(inputs, SCALED[numbers])


def test_decoded_images_are_bounded(monkeypatch):
    """However many images there are: a file per thread, and three batches of inputs."""
    alive, most, decoded, lock = [0], [0], [0], threading.RLock()

    def add(change):
        with lock:
            decoded[0] += change > 0
            alive[0] += change
            most[0] = max(most[0], alive[0])

    def count(item, name, reading):
        image = pillow.new("RGB", (8, 6))
        add(1)
        weakref.finalize(image, add, -1)
        return image

    monkeypatch.setattr("skda.images._rows.read_image", count)
    rows = ImageRows(["one.jpg"] * 3000, None, (3, 6, 8))
    used, ahead = 0, []
    for _, batch, _ in decoded_batches(rows, slices(3000, 10), n_jobs=3):
        ahead.append(decoded[0] - used)
        used += len(batch)
    assert used == decoded[0] == 3000
    assert most[0] <= 3
    assert 10 < max(ahead) <= 30  # it does run ahead


def test_unreadable_images_are_reported_by_position():
    rows = ImageRows([*PICTURES[:7], b"no", *PICTURES[8:]], None, (3, 6, 8))
    batches = list(decoded_batches(rows, slices(20, 6), n_jobs=2, skip_unreadable=True))
    assert [list(errors) for _, _, errors in batches] == [[], [1], [], []]
    assert batches[1][2][1].startswith("X[7]: ") and not batches[1][1][1].any()


def test_error_ends_the_threads():
    before = threading.active_count()
    rows = ImageRows([*PICTURES[:7], b"no", *PICTURES[8:]], None, (3, 6, 8))
    with pytest.raises(ValueError, match=r"X\[7\]"):
        list(decoded_batches(rows, slices(20, 6), n_jobs=2))
    assert threading.active_count() == before


def test_other_errors_are_not_skipped():
    def fail(image):
        raise ZeroDivisionError

    rows = ImageRows(PICTURES, fail, (3, 6, 8))
    with pytest.raises(ZeroDivisionError):
        list(decoded_batches(rows, slices(20, 6), n_jobs=2, skip_unreadable=True))
