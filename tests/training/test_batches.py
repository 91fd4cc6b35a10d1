"""Batches of several domains."""

import numpy as np
import pytest
import torch
from skorch.dataset import Dataset

from skda.training import DomainDataset, PairedBatches, RowBatches, take_rows


def _rows(n, start=0.0):
    """Rows that tell their number and their domain: column 0 counts, column 1 is `start`."""
    return np.stack([np.arange(n), np.full(n, start)], axis=1).astype(np.float32)


def _dataset(n_source, *n_targets, target_labels=None):
    targets = tuple(_rows(n, k + 1) for k, n in enumerate(n_targets))
    return DomainDataset(_rows(n_source), np.arange(n_source), targets, target_labels)


def _numbers(batches, domain):
    """The numbers of the rows of one domain, batch by batch."""
    return [X[X[:, 1] == domain, 0].int().tolist() for X, _ in batches]


def _flat(lists):
    return [number for numbers in lists for number in numbers]


def _same(first, second):
    return len(first) == len(second) and all(
        torch.equal(a, b)
        for one, two in zip(first, second, strict=True)
        for a, b in zip(one, two, strict=True)
    )


# -- what an epoch holds ----------------------------------------------------------------------


@pytest.mark.parametrize("n_source, n_target", [(70, 21), (21, 70), (64, 64), (65, 64)])
def test_every_row_of_the_longer_domain_comes_once_before_any_comes_again(n_source, n_target):
    batches = PairedBatches(_dataset(n_source, n_target), batch_size=16)
    n, domain = max((n_source, 0), (n_target, 1))
    numbers = _flat(_numbers(batches, domain))
    assert sorted(numbers[:n]) == list(range(n))
    assert len(batches) == -(-n // 16) and len(numbers) == 16 * len(batches)


def test_the_shorter_domain_starts_again_shuffled_anew():
    batches = PairedBatches(_dataset(60, 20), batch_size=10)
    numbers = _flat(_numbers(batches, 1))
    rounds = [numbers[start : start + 20] for start in (0, 20, 40)]
    assert all(sorted(numbers) == list(range(20)) for numbers in rounds)
    assert rounds[0] != rounds[1] != rounds[2]


def test_every_epoch_has_an_order_of_its_own():
    batches = PairedBatches(_dataset(40, 40), batch_size=10)
    assert _numbers(batches, 0) != _numbers(batches, 0)


def test_source_rows_come_first_and_all_batches_are_full():
    for X, y in PairedBatches(_dataset(33, 50), batch_size=16):
        assert X[:, 1].tolist() == [0] * 16 + [1] * 16
        assert len(y) == 16


def test_labels_match_rows():
    for X, y in PairedBatches(_dataset(33, 50), batch_size=16):
        assert torch.equal(X[:16, 0].long(), y)


def test_labels_of_target_rows_match_rows():
    dataset = _dataset(33, 50, target_labels=(np.arange(50) + 1000,))
    for X, y in PairedBatches(dataset, batch_size=16):
        assert torch.equal(X[:, 0].long() + 1000 * X[:, 1].long(), y)


def test_a_domain_smaller_than_a_batch_gives_all_its_rows():
    batches = PairedBatches(_dataset(40, 5), batch_size=16)
    assert batches.sizes == [16, 5]
    assert all(sorted(numbers) == list(range(5)) for numbers in _numbers(batches, 1))


def test_a_lone_row_is_repeated():
    batches = PairedBatches(_dataset(40, 1), batch_size=16)
    assert _numbers(batches, 1) == [[0, 0]] * 3


def test_several_targets_share_the_target_half():
    batches = PairedBatches(_dataset(40, 30, 50), batch_size=16)
    assert batches.sizes == [16, 8, 8] and len(batches) == 7
    for X, _ in batches:
        assert X[:, 1].tolist() == [0] * 16 + [1] * 8 + [2] * 8
    assert sorted(_flat(_numbers(batches, 2))[:50]) == list(range(50))


def test_more_targets_than_rows_of_a_batch_give_two_rows_each():
    assert PairedBatches(_dataset(40, *(9,) * 6), batch_size=4).sizes == [4] + [2] * 6


def test_without_target_an_epoch_goes_through_the_source():
    batches = PairedBatches(_dataset(20, 50), batch_size=10, with_target=False)
    assert len(list(batches)) == len(batches) == 2
    assert all(X[:, 1].tolist() == [0] * 10 for X, _ in batches)


def test_no_target_at_all():
    batches = PairedBatches(_dataset(20), batch_size=10)
    assert sorted(_flat(_numbers(batches, 0))) == list(range(20))


# -- order ------------------------------------------------------------------------------------


def test_order_comes_from_the_random_state():
    dataset = _dataset(40, 30)
    first, again, other = (list(PairedBatches(dataset, random_state=s)) for s in (3, 3, 4))
    assert _same(first, again) and not _same(first, other)


def test_order_does_not_touch_the_global_generator():
    before = torch.get_rng_state()
    list(PairedBatches(_dataset(40, 30)))
    assert torch.equal(torch.get_rng_state(), before)


def test_order_of_the_source_does_not_depend_on_the_target():
    orders = [
        _numbers(PairedBatches(_dataset(40, *targets), batch_size=10, **keywords), 0)
        for targets, keywords in (
            ((30,), {}),
            ((7, 18), {}),
            ((30,), {"with_target": False}),
            ((), {}),
        )
    ]
    assert all(order == orders[0] for order in orders)


def test_domains_of_equal_length_are_shuffled_independently():
    batches = list(PairedBatches(_dataset(40, 40), batch_size=40))
    assert _numbers(batches, 0) != _numbers(batches, 1)


# -- where rows come from ---------------------------------------------------------------------


@pytest.mark.parametrize("with_target", [True, False])
@pytest.mark.parametrize("targets", [(30,), (30, 11), ()])
@pytest.mark.parametrize("labelled", [True, False])
def test_loader_gives_the_batches_of_the_resident_path(with_target, targets, labelled):
    labels = tuple(np.arange(n) + 100 for n in targets) if labelled and targets else None
    dataset = _dataset(40, *targets, target_labels=labels)
    keywords = {"batch_size": 16, "with_target": with_target}
    resident = PairedBatches(dataset, **keywords)
    loaded = PairedBatches(dataset, num_workers=0, **keywords)
    assert resident.resident and not loaded.resident
    for _ in range(2):
        assert _same(list(resident), list(loaded))


def test_workers_give_the_batches_of_the_resident_path():
    dataset = _dataset(40, 30)
    loaded = PairedBatches(dataset, num_workers=1)
    assert _same(list(loaded), list(PairedBatches(dataset)))


def test_loader_does_not_touch_the_global_generator():
    batches = PairedBatches(_dataset(40, 30), num_workers=0)
    before = torch.get_rng_state()
    list(batches)
    assert torch.equal(torch.get_rng_state(), before)


def test_read_only_memory_maps_are_not_loaded_whole(tmp_path):
    dataset = _dataset(40, 30)
    maps = []
    for number, rows in enumerate(dataset.domains):
        np.save(tmp_path / f"{number}.npy", rows)
        maps.append(np.load(tmp_path / f"{number}.npy", mmap_mode="r"))
    # What scikit-learn's checks return is a view of the map.
    mapped = DomainDataset(np.asarray(maps[0]), dataset.y, (maps[1],))
    batches = PairedBatches(mapped, batch_size=16)
    assert not batches.resident
    assert _same(list(batches), list(PairedBatches(dataset, batch_size=16)))


def test_read_only_arrays_are_resident_and_copied(recwarn):
    dataset = _dataset(40, 30)
    for rows in dataset.domains:
        rows.flags.writeable = False
    batches = PairedBatches(dataset, batch_size=16)
    assert batches.resident and len(list(batches)) == 3
    assert not recwarn.list


def test_tensors_serve_as_rows():
    arrays = _dataset(40, 30)
    tensors = DomainDataset(
        torch.from_numpy(arrays.X), arrays.y, tuple(map(torch.from_numpy, arrays.targets))
    )
    assert _same(list(PairedBatches(tensors)), list(PairedBatches(arrays)))
    assert _same(list(PairedBatches(tensors, num_workers=0)), list(PairedBatches(arrays)))


def test_unknown_keyword_raises():
    with pytest.raises(TypeError, match="iterator_train__shuffle is not known; use batch_size or"):
        PairedBatches(_dataset(4, 4), shuffle=True)


# -- RowBatches -------------------------------------------------------------------------------


def test_row_batches_are_consecutive():
    batches = RowBatches(_dataset(10), batch_size=4)
    parts = list(batches)
    assert [len(X) for X, _ in parts] == [4, 4, 2] and len(batches) == 3
    assert torch.cat([X for X, _ in parts])[:, 0].tolist() == list(range(10))
    assert torch.cat([y for _, y in parts]).tolist() == list(range(10))


# -- rows that are read when they are indexed -------------------------------------------------


class _Lazy:
    """Rows 0, 1, 2, ... that are made when they are read, and how many were read at a time."""

    dtype = np.dtype(np.float32)

    def __init__(self, n):
        self.shape, self.sizes = (n, 1), []

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, key):
        rows = np.arange(len(self), dtype=np.float32)[key][:, None]
        self.sizes.append(len(rows))
        return torch.from_numpy(rows)


def test_lazy_rows_give_the_batches_of_an_array():
    lazy = _Lazy(20)
    array = np.arange(20, dtype=np.float32)[:, None]
    for with_array, with_lazy in zip(
        PairedBatches(DomainDataset(array, np.arange(20) % 2, (array,)), batch_size=8),
        PairedBatches(DomainDataset(lazy, np.arange(20) % 2, (lazy,)), batch_size=8),
        strict=True,
    ):
        assert torch.equal(with_array[0], with_lazy[0])
        assert torch.equal(with_array[1], with_lazy[1])
    assert set(lazy.sizes) == {8}


def test_row_batches_read_a_batch_at_a_time():
    lazy = _Lazy(20)
    batches = [X for X, _ in RowBatches(Dataset(lazy, length=20), batch_size=8)]
    assert torch.cat(batches).flatten().tolist() == list(range(20))
    assert lazy.sizes == [8, 8, 4]


def test_part_of_lazy_rows_is_not_read():
    lazy = _Lazy(20)
    part = take_rows(lazy, np.array([3, 5, 8]))
    assert len(part) == 3 and part.shape == (3, 1) and lazy.sizes == []
    assert part[1:].flatten().tolist() == [5, 8]
    assert part[np.array([2, 0])].flatten().tolist() == [8, 3]


def test_part_of_an_array_is_an_array():
    part = take_rows(np.arange(4), np.array([3, 1]))
    assert isinstance(part, np.ndarray) and part.tolist() == [3, 1]


def test_part_of_a_file_is_not_read(tmp_path):
    np.save(tmp_path / "rows.npy", np.arange(20, dtype=np.float32)[:, None])
    rows = np.load(tmp_path / "rows.npy", mmap_mode="r")
    part = take_rows(rows, np.array([7, 2]))
    assert not isinstance(part, np.ndarray)
    assert np.asarray(part[:]).flatten().tolist() == [7, 2]


@pytest.mark.parametrize(
    "draw, message",
    [
        (lambda self, drawn: drawn[:, :-1], r"int64 of shape \(2, 8\), got torch.int64 of shape"),
        (lambda self, drawn: drawn[:1], r"int64 of shape \(2, 8\)"),
        (lambda self, drawn: drawn.float(), "got torch.float32"),
        (lambda self, drawn: drawn.tolist(), "got list"),
        (lambda self, drawn: drawn % 8, "where those of a domain are 8 to 12"),
    ],
)
def test_rows_that_are_drawn_wrongly_are_an_error(draw, message):
    class Drawn(PairedBatches):
        def draw_epoch(self):
            return draw(self, super().draw_epoch())

    dataset = DomainDataset(np.zeros((8, 3)), np.arange(8) % 2, (np.ones((5, 3)),))
    with pytest.raises(ValueError, match=message):
        next(iter(Drawn(dataset, batch_size=4)))
