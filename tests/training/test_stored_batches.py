"""Batches of images that are decoded once."""

import numpy as np
import pytest
import torch
from devices import on_cpu
from torch import nn

from skda.images import ImagePreprocess, ImageRows, StoredRows, decode_rows
from skda.training import AdaptationModule, AdaptationNet, DomainDataset, PairedBatches, take_rows

pytest.importorskip("PIL.Image")

PREPROCESS = ImagePreprocess(size=8)


def _pixels(n, seed):
    return np.random.RandomState(seed).randint(256, size=(n, 9, 10, 3)).astype(np.uint8)


def _images(n, seed, preprocess=PREPROCESS):
    return ImageRows(_pixels(n, seed), preprocess)


def _dataset(rows_of):
    """Two targets; the second one is normalised otherwise."""
    other = ImagePreprocess(size=8, mean=0.2)
    domains = [_images(30, 0), _images(50, 1), _images(21, 2, other)]
    source, *targets = map(rows_of, domains)
    return DomainDataset(source, np.arange(30) % 3, targets)


def _stored(tmp_path, monkeypatch, where):
    if where == "file":
        monkeypatch.setattr("skda.images._sinks.available_memory", lambda: 0)
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return lambda images: decode_rows(images)[0]


@pytest.mark.parametrize("where", ["memory", "file"])
@pytest.mark.parametrize("loader", [{}, {"num_workers": 0}, {"num_workers": 1}])
def test_batches_are_those_of_decoding_bit_for_bit(where, loader, tmp_path, monkeypatch):
    stored = _dataset(_stored(tmp_path, monkeypatch, where))
    assert all((rows.file is None) == (where == "memory") for rows in stored.domains)
    batches = PairedBatches(stored, batch_size=12, random_state=3, **loader)
    expected = PairedBatches(_dataset(lambda rows: rows), batch_size=12, random_state=3)
    assert batches.resident == (not loader) and not expected.resident
    for _ in range(2):
        pairs = list(zip(batches, expected, strict=True))
        assert len(pairs) == 9
        for (X, y), (X_expected, y_expected) in pairs:
            assert torch.equal(X, X_expected) and torch.equal(y, y_expected)


@pytest.mark.parametrize("mixed", [False, True])
def test_layout_is_channels_last(mixed):
    rows, _ = decode_rows(_images(30, 0))
    target = rows[:].contiguous().numpy() if mixed else decode_rows(_images(9, 1))[0]
    dataset = DomainDataset(rows, np.zeros(30, int), (target,))
    for X, _ in PairedBatches(dataset, batch_size=8):
        assert mixed or X.is_contiguous(memory_format=torch.channels_last)


def test_stored_rows_and_arrays_make_one_batch():
    rows, _ = decode_rows(_images(30, 0))
    pixels = _pixels(20, 1)[:, :8, :8]
    dataset = DomainDataset(rows, np.arange(30), (pixels,))
    for X, y in PairedBatches(dataset, batch_size=10):
        assert torch.equal(X[:10], rows[y.numpy()])
        found = (X[10:, None] == torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255).flatten(2)
        assert found.all(2).sum(1).tolist() == [1] * 10


def test_a_part_of_the_rows_stays_stored():
    rows, _ = decode_rows(_images(30, 0))
    part = take_rows(rows, np.array([20, 3, 9, 4]))
    assert isinstance(part, StoredRows)
    dataset = DomainDataset(part, np.array([20, 3, 9, 4]))
    batches = PairedBatches(dataset, batch_size=2)
    assert batches.resident
    for X, y in batches:
        assert torch.equal(X, rows[y.numpy()])


def test_images_are_not_copied_to_make_batches():
    rows, _ = decode_rows(_images(30, 0))
    batches = PairedBatches(DomainDataset(rows, np.zeros(30, int), (rows,)), batch_size=8)
    kept = [part.pixels.data_ptr() for part in batches.rows.domains]
    assert kept == [rows.pixels.data_ptr()] * 2


def test_what_stays_on_a_device_is_counted_as_it_is_stored(monkeypatch):
    rows, _ = decode_rows(_images(30, 0))
    dataset = DomainDataset(rows, np.zeros(30, int), (rows,))
    n_bytes = 2 * 30 * 8 * 8 * 3
    for free, is_resident in ((2 * n_bytes + 2, True), (2 * n_bytes, False)):
        monkeypatch.setattr("torch.cuda.mem_get_info", lambda _, free=free: (free, free))
        assert dataset.is_resident("cuda") == is_resident


def test_training_is_that_of_decoded_arrays(tmp_path, monkeypatch):
    def train(rows_of):
        torch.manual_seed(0)
        backbone = nn.Sequential(nn.Flatten(), nn.Linear(192, 8), nn.BatchNorm1d(8))
        module = AdaptationModule(backbone, nn.Linear(8, 3), n_targets=2)
        net = AdaptationNet(module, max_epochs=2, batch_size=12, verbose=0)
        dataset = _dataset(rows_of)
        net.fit(dataset, None)
        features = net.activations_of(dataset.targets[0])["features"]
        return torch.cat([p.flatten() for p in on_cpu(net.module_.state_dict()).values()]), features

    stored = train(_stored(tmp_path, monkeypatch, "memory"))
    arrays = train(lambda rows: rows[:].numpy())
    assert all(map(torch.equal, stored, arrays))
