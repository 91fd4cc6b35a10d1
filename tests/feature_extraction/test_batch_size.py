"""Rows that go through a network at a time: found out by time and by memory."""

import numpy as np
import pytest
import torch
from torch import nn

from skda.feature_extraction import DeepFeatureExtractor, _computation
from skda.feature_extraction._batch_size import BatchSize, make_batch_size

X = np.random.RandomState(0).rand(150, 6).astype(np.float32)
MLP_OF_64, MOBILENET = {"work": (16_000, 2), "n_values": 64}, {"work": (3 * 10**8, 53)}
MOBILENET["n_values"] = 3 * 224 * 224


def _sizes(size, n_rows, seconds_of):
    """Return the rows of all batches, which take as long as a function of their number says."""
    rows = []
    for part in size.slices(n_rows):
        rows.append(min(part.stop, n_rows) - part.start)
        size.measured(rows[-1], seconds_of(rows[-1]))
    return rows


def _levels_off_at(most):
    return lambda n: max(n, most) / 1000


def test_it_doubles_until_rows_come_out_no_faster():
    size = BatchSize(32, 4096)
    # Past the best size two are tried.
    expected = [n for n in (32, 64, 128, 256, 512, 1024) for _ in range(2)] + [256] * 3
    assert _sizes(size, sum(expected), _levels_off_at(256)) == expected
    assert size.rows == 256


def test_two_small_gains_that_add_up_go_on():
    size = BatchSize(1, 64)
    _sizes(size, 1000, lambda n: n / 1.05 ** np.log2(n))
    assert size.rows == 64


def test_one_slow_batch_does_not_end_it():
    size = BatchSize(1, 64)
    _sizes(size, 1000, lambda n: 9 if n == 8 else 1)
    assert size.rows == 64


def test_the_first_batch_of_a_size_only_warms_up():
    size, seen = BatchSize(1, 64), set()

    def seconds(n):
        is_first = n not in seen
        seen.add(n)
        return 1e6 * 3.0**n if is_first else 1

    _sizes(size, 1000, seconds)
    assert size.rows == 64


def test_a_part_of_a_batch_says_nothing():
    size = BatchSize(8, 64)
    for _ in range(9):
        size.measured(5, 1e-9)
        assert size.rows == 8


def test_it_ends_at_its_bound():
    size = BatchSize(8, 50)
    assert max(_sizes(size, 2000, lambda n: 1)) == size.rows == 32


def test_it_goes_on_where_an_earlier_call_has_ended():
    size = BatchSize(1, 1024)
    _sizes(size, 14, lambda n: 1)
    assert size.rows == 8
    assert _sizes(size, 16, lambda n: 1) == [8, 8]
    assert size.rows == 16


def _limited(most, calls=None):
    """Return a function for which memory is out where there are more rows."""

    def run(inputs):
        if calls is not None:
            calls.append(len(inputs))
        if len(inputs) > most:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return 2 * inputs

    return run


@pytest.mark.skipif(not hasattr(torch, "OutOfMemoryError"), reason="of torch 2.5")
class TestMemory:
    def test_rows_of_a_batch_that_memory_did_not_hold_are_computed_in_parts(self):
        size, inputs, calls = BatchSize(64, may_shrink=True), torch.arange(64.0)[:, None], []
        torch.testing.assert_close(size.compute(_limited(20, calls), inputs), 2 * inputs)
        assert calls == [64, 32, 16, 16, 16, 16] and size.rows == 16

    def test_batches_that_were_cut_before_are_not_tried_whole(self):
        size, calls = BatchSize(64, may_shrink=True), []
        size.compute(_limited(40), torch.zeros(64, 1))
        size.compute(_limited(40, calls), torch.zeros(64, 1))
        assert calls == [32, 32]

    def test_it_never_grows_again(self):
        size = BatchSize(16, 1024, may_shrink=True)
        size.compute(_limited(10), torch.zeros(16, 1))
        assert set(_sizes(size, 500, lambda n: 1)) == {8, 4} and size.rows == 8

    def test_a_larger_size_that_fails_leaves_the_one_before(self):
        size = BatchSize(8, 1024, may_shrink=True)
        _sizes(size, 16, lambda n: 1)
        assert size.rows == 16
        size.compute(_limited(10), torch.zeros(16, 1))
        assert size.rows == 8

    def test_parts_are_rows_of_every_input_by_name(self):
        inputs = {"a": torch.arange(8.0)[:, None], "b": torch.ones(8, 1)}

        def run(batch):
            assert set(batch) == {"a", "b"}
            return _limited(3)(batch["a"] + batch["b"])

        size = BatchSize(8, may_shrink=True)
        torch.testing.assert_close(size.compute(run, inputs), 2 * (inputs["a"] + 1))

    def test_one_row_that_memory_does_not_hold_is_an_error(self):
        with pytest.raises(torch.OutOfMemoryError):
            BatchSize(8, may_shrink=True).compute(_limited(0), torch.zeros(8, 1))

    def test_a_number_of_the_user_is_not_changed(self):
        size, calls = BatchSize(8), []
        with pytest.raises(torch.OutOfMemoryError):
            size.compute(_limited(4, calls), torch.zeros(8, 1))
        assert calls == [8] and size.rows == 8


def test_other_errors_are_the_networks_own():
    def fail(inputs):
        raise RuntimeError("shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="multiplied"):
        BatchSize(8, may_shrink=True).compute(fail, torch.zeros(8, 1))


@pytest.mark.parametrize(
    ("device", "params", "first", "last"),
    [
        ("cpu", MLP_OF_64, 1024, 1024),
        ("cpu", {"work": (16_000, 2), "n_values": 10**6}, 32, 32),
        ("cpu", {"work": (10**6, 4), "n_values": 784}, 32, 32),
        ("cpu", {"work": (0, 0), "n_values": 100}, 1024, 1024),
        ("cpu", {"work": None, "n_values": 0}, 32, 32),
        ("cpu", MOBILENET, 32, 32),
        ("meta", MOBILENET, 32, 512),
        ("meta", MLP_OF_64, 32, 4096),
        ("meta", {"work": (10**9, 9), "n_values": 10**8}, 32, 32),
        ("meta", {"work": None, "n_values": 0}, 32, 32),
        ("meta", {**MOBILENET, "engine": "compile"}, 256, 256),
    ],
)
def test_what_auto_stands_for(device, params, first, last):
    size = make_batch_size("auto", device, **{"engine": "auto", **params})
    assert size.rows == first
    _sizes(size, 50_000, lambda n: 1)
    assert size.rows == last


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_a_number_is_that_number(device):
    assert make_batch_size(7, device, engine="auto", **MLP_OF_64).rows == 7


# -- in an extractor ----------------------------------------------------------------------------


class Seen(nn.Module):
    """The rows of every batch, and an output that tells each row from others."""

    def __init__(self, fits=10**9):
        super().__init__()
        self.sizes, self.fits = [], fits

    def forward(self, x):
        if len(x) > self.fits:
            raise RuntimeError("CUDA error: out of memory")
        self.sizes.append(len(x))
        return x.flatten(1) * 3


@pytest.fixture
def growing(monkeypatch):
    """An extractor whose size grows from 2 rows on, by a clock that every batch takes a second."""
    monkeypatch.setattr(
        _computation, "make_batch_size", lambda *args, **kwargs: BatchSize(2, 16, may_shrink=True)
    )
    ticks = iter(range(10**6))
    monkeypatch.setattr(_computation, "perf_counter", lambda: next(ticks))

    def make(rows, fits=10**9, **params):
        extractor = DeepFeatureExtractor(Seen(fits), device="cpu", **params).fit(rows[:1])
        extractor.transform(rows[:1])  # an engine tries the network
        extractor.module_.sizes.clear()
        return extractor, extractor.module_.sizes

    return make


@pytest.mark.parametrize("kind", ["array", "memmap", "tensor", "sparse", "files", "pixels"])
def test_rows_of_every_kind_come_in_growing_batches(kind, growing, tmp_path):
    rows, expected = X, 3 * X
    if kind == "memmap":
        np.save(tmp_path / "rows.npy", X)
        rows = np.load(tmp_path / "rows.npy", mmap_mode="r")
    elif kind == "tensor":
        rows = torch.from_numpy(X)
    elif kind == "sparse":
        rows = pytest.importorskip("scipy.sparse").csr_matrix(X)
    elif kind in ("files", "pixels"):
        rows = np.random.RandomState(0).randint(256, size=(150, 4, 5, 3)).astype(np.uint8)
        scaled = rows.transpose(0, 3, 1, 2).reshape(150, -1) / np.float32(255)
        expected = 3 * scaled
        if kind == "files":
            Image = pytest.importorskip("PIL.Image")
            rows = [Image.fromarray(row) for row in rows]
    extractor, sizes = growing(rows)
    np.testing.assert_array_equal(np.asarray(extractor.transform(rows)), expected)
    assert sizes[:2] == [2, 2] and max(sizes) == 16 and sorted(sizes[:-1]) == sizes[:-1]
    sizes.clear()
    extractor.transform(rows)  # what was found out is kept
    assert sizes[0] == 16


def test_a_cache_is_filled_in_growing_batches(growing, tmp_path):
    extractor, sizes = growing(X)
    extractor.set_params(cache=tmp_path)
    np.testing.assert_array_equal(extractor.transform(X), 3 * X)
    assert max(sizes) == 16
    sizes.clear()
    np.testing.assert_array_equal(extractor.transform(X[::-1]), 3 * X[::-1])
    assert not sizes


def test_rows_without_memory_are_done_again(growing):
    extractor, sizes = growing(X, fits=5)
    np.testing.assert_array_equal(extractor.transform(X), 3 * X)
    assert max(sizes) == 4


def test_blocks_share_what_was_found_out(growing):
    dask_array = pytest.importorskip("dask.array")
    extractor, sizes = growing(X)
    blocks = dask_array.from_array(X, chunks=(50, 6))
    features = extractor.transform(blocks).compute(scheduler="synchronous")
    np.testing.assert_array_equal(features, 3 * X)
    assert sum(sizes) == 150 and sizes.count(2) < 6 and max(sizes) == 16


def test_a_fit_begins_anew(growing):
    extractor, sizes = growing(X)
    extractor.transform(X)
    assert sizes[-3] == 16
    module = extractor.fit(X).module_
    extractor.transform(X[:1])
    module.sizes.clear()
    extractor.transform(X)
    assert module.sizes[0] == 2


@pytest.mark.parametrize("batch_size", [0, "all", 2.5])
def test_what_is_no_number_of_rows(batch_size):
    with pytest.raises(ValueError, match="'batch_size' parameter"):
        DeepFeatureExtractor(batch_size=batch_size).fit(X)


def test_tables_of_small_networks_take_many_rows_at_a_time_on_the_cpu():
    rows = np.random.RandomState(0).rand(2000, 64).astype(np.float32)
    params = {"device": "cpu", "random_state": 0}
    features = {
        size: DeepFeatureExtractor(batch_size=size, **params).fit_transform(rows)
        for size in ("auto", 32)
    }
    np.testing.assert_allclose(features["auto"], features[32], rtol=1e-4, atol=1e-6)
    extractor = DeepFeatureExtractor(Seen(), device="cpu").fit(rows)
    extractor.transform(rows)
    assert extractor.module_.sizes[-2:] == [1024, 976]
